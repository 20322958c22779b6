#include "models/data/token_data.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>

#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

// 10 sequences of 3 tokens; token i is i.
TokenDataSpec SmallSpec() {
  std::vector<uint16_t> tokens(31);
  for (size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<uint16_t>(i);
  }
  const std::string path = ::testing::TempDir() + "/token_data_test.bin";
  EXPECT_TRUE(
      WriteFileAtomically(path, {reinterpret_cast<const char*>(tokens.data()),
                                 tokens.size() * sizeof(uint16_t)})
          .ok());
  return {.path = path,
          .vocabulary = 31,
          .sequence_length = 3,
          .batch_size = 4,
          .microbatch_size = 2,
          .seed = 5};
}

TEST(TokenDataTest, RowsAreTheSamplersSequences) {
  const TokenDataSpec spec = SmallSpec();
  const auto data = TokenData::Open(spec);
  ASSERT_TRUE(data.ok()) << data.status();
  const Sampler sampler(spec.seed, 10, spec.batch_size);
  const at::Tensor tokens = *data->Tokens(/*step=*/3, /*microbatch=*/1);
  ASSERT_EQ(tokens.sizes(), at::IntArrayRef({2, 3}));
  EXPECT_EQ(tokens.scalar_type(), at::kLong);
  for (int64_t row = 0; row < 2; ++row) {
    const int64_t first = 3 * sampler.Sequence(3, 2 + row);
    for (int64_t t = 0; t < 3; ++t) {
      EXPECT_EQ(tokens[row][t].item<int64_t>(), first + t);
    }
  }
}

TEST(TokenDataTest, LabelsAreTheNextTokensReadByThemselves) {
  const auto data = TokenData::Open(SmallSpec());
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_TRUE(at::equal(*data->Labels(2, 0), data->Tokens(2, 0)->add(1)));
}

TEST(TokenDataTest, TheMicrobatchSizeOnlyCutsTheSameStep) {
  TokenDataSpec whole = SmallSpec();
  whole.microbatch_size = 4;
  const auto cut = TokenData::Open(SmallSpec());
  const auto uncut = TokenData::Open(whole);
  ASSERT_TRUE(cut.ok() && uncut.ok());
  EXPECT_TRUE(at::equal(at::cat({*cut->Tokens(1, 0), *cut->Tokens(1, 1)}),
                        *uncut->Tokens(1, 0)));
}

TEST(TokenDataTest, RowsOfAShorterStepArePartsOfTheSamplersSequences) {
  TokenDataSpec spec = SmallSpec();
  spec.sequence_length = 5;
  spec.step_lengths = {2, 5};
  const auto data = TokenData::Open(spec);
  ASSERT_TRUE(data.ok()) << data.status();
  const Sampler sampler(spec.seed, 6, spec.batch_size);
  const StepLengths lengths(spec.seed, {2, 5});
  std::set<int64_t> seen;
  for (int64_t step = 0; step < 20; ++step) {
    const at::Tensor tokens = *data->Tokens(step, /*microbatch=*/1);
    ASSERT_EQ(tokens.sizes(), at::IntArrayRef({2, lengths.LengthOf(step)}));
    seen.insert(tokens.size(1));
    EXPECT_TRUE(at::equal(*data->Labels(step, 1), tokens.add(1)));
    for (int64_t row = 0; row < 2; ++row) {
      EXPECT_EQ(tokens[row][0].item<int64_t>(),
                5 * sampler.Sequence(step, 2 + row) +
                    lengths.OffsetOf(step, 2 + row));
    }
  }
  EXPECT_EQ(seen.size(), 2u);
}

TEST(TokenDataTest, AListOfOneLengthChangesNothing) {
  TokenDataSpec spec = SmallSpec();
  const auto plain = TokenData::Open(spec);
  spec.step_lengths = {3};
  const auto listed = TokenData::Open(spec);
  ASSERT_TRUE(plain.ok() && listed.ok());
  for (int64_t step = 0; step < 5; ++step) {
    EXPECT_TRUE(at::equal(*plain->Tokens(step, 0), *listed->Tokens(step, 0)));
  }
}

TEST(TokenDataTest, RefusesLengthsOfStepsThatDoNotFit) {
  TokenDataSpec spec = SmallSpec();
  for (const std::vector<int64_t>& lengths :
       std::vector<std::vector<int64_t>>{{1, 2}, {3, 4}, {0, 3}}) {
    spec.step_lengths = lengths;
    const absl::Status status = TokenData::Open(spec).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("tokens with samples of 3"));
  }
}

TEST(TokenDataTest, RefusesSizesThatDoNotFit) {
  TokenDataSpec spec = SmallSpec();
  spec.microbatch_size = 3;
  EXPECT_EQ(TokenData::Open(spec).status().code(),
            absl::StatusCode::kInvalidArgument);
  spec.microbatch_size = 0;
  EXPECT_EQ(TokenData::Open(spec).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(TokenDataTest, RefusesABadFileAsTokenFileDoes) {
  TokenDataSpec spec = SmallSpec();
  spec.vocabulary = 30;
  const auto data = TokenData::Open(spec);
  EXPECT_EQ(data.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(data.status().message()),
              HasSubstr("token 30 is 30"));
}

}  // namespace
}  // namespace penstock
