#include "schedule/planner/partition.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

std::vector<LayerRange> Cut(const std::vector<int64_t>& counts, int stages) {
  const auto ranges = PartitionEvenly(counts, stages);
  EXPECT_TRUE(ranges.ok()) << ranges.status();
  return ranges.value_or(std::vector<LayerRange>{});
}

int64_t Largest(const std::vector<int64_t>& counts,
                const std::vector<LayerRange>& ranges) {
  int64_t largest = 0;
  for (const LayerRange& range : ranges) {
    int64_t sum = 0;
    for (int i = range.begin; i < range.end; ++i) sum += counts[i];
    largest = std::max(largest, sum);
  }
  return largest;
}

// Tries every cut.
int64_t SmallestLargestByTrying(const std::vector<int64_t>& counts, int begin,
                                int stages) {
  const int n = static_cast<int>(counts.size());
  if (stages == 0) {
    return begin == n ? 0 : std::numeric_limits<int64_t>::max();
  }
  int64_t best = std::numeric_limits<int64_t>::max();
  int64_t sum = 0;
  for (int end = begin + 1; end <= n; ++end) {
    sum += counts[end - 1];
    best = std::min(
        best, std::max(sum, SmallestLargestByTrying(counts, end, stages - 1)));
  }
  return best;
}

TEST(PartitionEvenlyTest, EqualLayersGiveEqualStages) {
  EXPECT_EQ(Cut({5, 5, 5, 5}, 2), (std::vector<LayerRange>{{0, 2}, {2, 4}}));
}

TEST(PartitionEvenlyTest, OneStageHoldsAll) {
  EXPECT_EQ(Cut({1, 2, 3}, 1), (std::vector<LayerRange>{{0, 3}}));
}

TEST(PartitionEvenlyTest, AsManyStagesAsLayersHoldOneEach) {
  EXPECT_EQ(Cut({9, 0, 0}, 3),
            (std::vector<LayerRange>{{0, 1}, {1, 2}, {2, 3}}));
}

TEST(PartitionEvenlyTest, LayersWithoutParametersStillNeedAStage) {
  EXPECT_EQ(Cut({0, 0, 0}, 2), (std::vector<LayerRange>{{0, 1}, {1, 3}}));
}

TEST(PartitionEvenlyTest, LargestStageIsAsSmallAsAnyCutCanMakeIt) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    std::vector<int64_t> counts;
    const int n = 1 + static_cast<int>(RandomKey(seed, {0}) % 8);
    for (int i = 0; i < n; ++i) {
      counts.push_back(RandomKey(seed, {1, static_cast<uint64_t>(i)}) % 20);
    }
    for (int stages = 1; stages <= n; ++stages) {
      const std::vector<LayerRange> ranges = Cut(counts, stages);
      ASSERT_EQ(static_cast<int>(ranges.size()), stages);
      int begin = 0;
      for (const LayerRange& range : ranges) {
        EXPECT_EQ(range.begin, begin);
        EXPECT_GT(range.end, range.begin);
        begin = range.end;
      }
      EXPECT_EQ(begin, n);
      EXPECT_EQ(Largest(counts, ranges),
                SmallestLargestByTrying(counts, 0, stages))
          << "seed " << seed << ", " << stages << " stages";
    }
  }
}

TEST(PartitionEvenlyTest, MoreStagesThanLayersSaysHowManyLayersThereAre) {
  const absl::Status status = PartitionEvenly({{1, 1}}, 3).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("2 layers"));
}

TEST(PartitionEvenlyTest, NoStageIsRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(PartitionEvenly({{1}}, 0).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(PartitionEvenly({{1}}, -1).status()));
}

}  // namespace
}  // namespace penstock
