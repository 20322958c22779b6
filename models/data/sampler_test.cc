#include "models/data/sampler.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace penstock {
namespace {

// The job's samples first..last-1, whatever steps they fall in.
std::vector<int64_t> Samples(uint64_t seed, int64_t sequences, int64_t batch,
                             int64_t first, int64_t last) {
  const Sampler sampler(seed, sequences, batch);
  std::vector<int64_t> samples;
  for (int64_t n = first; n < last; ++n) {
    samples.push_back(sampler.Sequence(n / batch, n % batch));
  }
  return samples;
}

class SamplerSizeTest
    : public ::testing::TestWithParam<std::pair<int64_t, int64_t>> {};

TEST_P(SamplerSizeTest, CoversEachEpochExactlyOnceAcrossItsBoundaries) {
  const auto [sequences, batch] = GetParam();
  std::vector<int64_t> all(static_cast<size_t>(sequences));
  std::iota(all.begin(), all.end(), 0);
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<int64_t> samples = Samples(
        7, sequences, batch, epoch * sequences, (epoch + 1) * sequences);
    std::sort(samples.begin(), samples.end());
    EXPECT_EQ(samples, all) << "epoch " << epoch;
  }
}

// With 100 and 7, or 3 and 8, steps span epochs.
INSTANTIATE_TEST_SUITE_P(Sizes, SamplerSizeTest,
                         ::testing::Values(std::pair(100, 7), std::pair(64, 8),
                                           std::pair(3, 8), std::pair(1, 4),
                                           std::pair(1000, 1)));

TEST(SamplerTest, EpochsHaveOrdersOfTheirOwn) {
  EXPECT_NE(Samples(7, 100, 10, 0, 100), Samples(7, 100, 10, 100, 200));
}

TEST(SamplerTest, SeedsGiveOtherOrders) {
  EXPECT_NE(Samples(7, 100, 10, 0, 100), Samples(8, 100, 10, 0, 100));
}

TEST(SamplerTest, TheOrderIsNotTheFiles) {
  const std::vector<int64_t> samples = Samples(7, 1000, 10, 0, 1000);
  int neighbours = 0;
  for (size_t i = 1; i < samples.size(); ++i) {
    neighbours += samples[i] == samples[i - 1] + 1;
  }
  EXPECT_LT(neighbours, 10);
}

TEST(SamplerTest, TheBatchSizeOnlyCutsTheSameStream) {
  EXPECT_EQ(Samples(7, 100, 4, 0, 300), Samples(7, 100, 25, 0, 300));
}

}  // namespace
}  // namespace penstock
