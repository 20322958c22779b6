#include <string>
#include <vector>

#include "checkpoint/manifest/manifest.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class CheckCoverTest : public ::testing::Test {
 protected:
  CheckCoverTest()
      : checkpoint_(MakeTestCheckpoint(TestCheckpointId("job", 5, 1), 3)),
        layers_(ExpectedLayersOf(checkpoint_)),
        files_(checkpoint_.manifest.files().begin(),
               checkpoint_.manifest.files().end()) {}

  std::string Differences(
      OptimizerFiles optimizer = OptimizerFiles::kRequired) const {
    const absl::Status status = CheckCover(files_, layers_, optimizer);
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    return std::string(status.message());
  }

  const TestCheckpoint checkpoint_;
  std::vector<ExpectedLayer> layers_;
  std::vector<ShardFile> files_;
};

TEST_F(CheckCoverTest, EveryLayerOnceIsExact) {
  EXPECT_EQ(CheckCover(files_, layers_, OptimizerFiles::kRequired),
            absl::OkStatus());
  EXPECT_EQ(CheckCover({}, {}, OptimizerFiles::kRequired), absl::OkStatus());
}

TEST_F(CheckCoverTest, OlderVersionsMayBeThere) {
  files_.push_back(files_[0]);
  files_.back().set_kind(ShardFile::OLDER_VERSIONS);
  EXPECT_EQ(CheckCover(files_, layers_, OptimizerFiles::kRequired),
            absl::OkStatus());
}

TEST_F(CheckCoverTest, AMissingLayerIsNamed) {
  files_.erase(files_.begin() + 2, files_.begin() + 4);
  EXPECT_EQ(Differences(), "layer 1 \"h1\" is missing");
}

TEST_F(CheckCoverTest, AMissingFileIsNamed) {
  files_.erase(files_.begin() + 3);
  EXPECT_EQ(Differences(), "layer 1 \"h1\": optimizer state missing");
  EXPECT_EQ(CheckCover(files_, layers_, OptimizerFiles::kIgnored),
            absl::OkStatus());
  files_.erase(files_.begin());
  EXPECT_EQ(Differences(OptimizerFiles::kIgnored),
            "layer 0 \"h0\": weights missing");
}

TEST_F(CheckCoverTest, ALayerTooManyIsNamed) {
  layers_.pop_back();
  EXPECT_EQ(Differences(), "layer 2 \"h2\" is one too many");
}

TEST_F(CheckCoverTest, AFileThereTwiceIsNamed) {
  files_.push_back(files_[0]);
  EXPECT_EQ(Differences(), "layer 0 \"h0\": weights there 2 times");
}

TEST_F(CheckCoverTest, AnotherNameIsNamed) {
  layers_[1].name = "attention";
  EXPECT_EQ(Differences(),
            "layer 1 \"h1\" is there, wanted layer 1 \"attention\"");
}

TEST_F(CheckCoverTest, TensorsAreComparedByNameAndShape) {
  layers_[0].tensors[0].shape = {3, 4};
  layers_[0].tensors[1].name = "h0.other";
  const std::string differences = Differences();
  EXPECT_THAT(differences,
              HasSubstr("\"h0.weight\" has shape [4, 3], wanted [3, 4]"));
  EXPECT_THAT(differences, HasSubstr("\"h0.other\" is missing"));
  EXPECT_THAT(differences, HasSubstr("\"h0.bias\" is one too many"));
}

TEST_F(CheckCoverTest, ALayerWithoutTensorsIsNotLookedInto) {
  for (ExpectedLayer& layer : layers_) layer.tensors.clear();
  EXPECT_EQ(CheckCover(files_, layers_, OptimizerFiles::kRequired),
            absl::OkStatus());
}

TEST_F(CheckCoverTest, OnlyTheFirstTenDifferencesAreShown) {
  for (int layer = 3; layer < 15; ++layer) {
    layers_.push_back({layer, "new", {}});
  }
  const std::string differences = Differences();
  EXPECT_THAT(differences,
              HasSubstr("layer 12 \"new\" is missing; and 2 more"));
  EXPECT_THAT(differences, Not(HasSubstr("layer 13")));
}

}  // namespace
}  // namespace penstock
