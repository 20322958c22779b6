#include "checkpoint/exchange/manifest_diff.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class DiffManifestsTest : public ::testing::Test {
 protected:
  // All but what is the same.
  std::vector<std::string> Differences() const {
    std::vector<std::string> texts;
    for (const TensorDifference& one : DiffManifests(first_, second_)) {
      if (one.change == TensorChange::kSame) continue;
      texts.push_back(absl::StrCat(one.name, ": ", ToString(one.change)));
    }
    return texts;
  }

  const CheckpointManifest first_ =
      MakeTestCheckpoint(TestCheckpointId("job", 5, 1)).manifest;
  CheckpointManifest second_ = first_;
};

TEST_F(DiffManifestsTest, EqualOnesHaveEveryTensorTheSame) {
  EXPECT_THAT(Differences(), IsEmpty());
  EXPECT_EQ(DiffManifests(first_, second_).size(), 8u);
}

TEST_F(DiffManifestsTest, AnotherChecksumIsAnotherValue) {
  second_.mutable_files(1)->mutable_tensors(0)->set_crc32c(1);
  EXPECT_THAT(Differences(), ElementsAre("h0.weight/momentum: changed"));
}

TEST_F(DiffManifestsTest, FormsAreCompared) {
  ShardTensor& tensor = *second_.mutable_files(0)->mutable_tensors(0);
  tensor.set_shape(0, 3);
  tensor.set_shape(1, 4);
  EXPECT_THAT(Differences(), ElementsAre("h0.weight: reshaped"));
  const TensorDifference one = DiffManifests(first_, second_)[1];
  EXPECT_EQ(one.first, "F32 [4, 3]");
  EXPECT_EQ(one.second, "F32 [3, 4]");
}

TEST_F(DiffManifestsTest, SaysWhatOnlyOneHas) {
  second_.mutable_files(2)->mutable_tensors(1)->set_name("h1.gate");
  EXPECT_THAT(Differences(), ElementsAre("h1.bias: only in the first",
                                         "h1.gate: only in the second"));
}

TEST_F(DiffManifestsTest, WhereATensorIsDoesNotMatter) {
  second_.mutable_files()->SwapElements(0, 2);
  second_.mutable_files(0)->set_layer(7);
  EXPECT_THAT(Differences(), IsEmpty());
}

}  // namespace
}  // namespace penstock
