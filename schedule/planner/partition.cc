#include "schedule/planner/partition.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

// Row s, column i: the smallest possible largest stage when the layers from i
// on are cut into s stages.
using CostTable = std::vector<std::vector<int64_t>>;

int64_t SumOf(absl::Span<const int64_t> prefix, int begin, int end) {
  return prefix[end] - prefix[begin];
}

CostTable SmallestLargest(absl::Span<const int64_t> prefix, int num_stages) {
  const int num_layers = static_cast<int>(prefix.size()) - 1;
  constexpr int64_t kImpossible = std::numeric_limits<int64_t>::max();
  CostTable cost(num_stages + 1,
                 std::vector<int64_t>(num_layers + 1, kImpossible));
  cost[0][num_layers] = 0;
  for (int stages = 1; stages <= num_stages; ++stages) {
    for (int begin = num_layers - stages; begin >= 0; --begin) {
      for (int end = begin + 1; end <= num_layers; ++end) {
        if (cost[stages - 1][end] == kImpossible) continue;
        cost[stages][begin] = std::min(
            cost[stages][begin],
            std::max(SumOf(prefix, begin, end), cost[stages - 1][end]));
      }
    }
  }
  return cost;
}

}  // namespace

absl::StatusOr<std::vector<LayerRange>> PartitionEvenly(
    absl::Span<const int64_t> parameter_counts, int num_stages) {
  const int num_layers = static_cast<int>(parameter_counts.size());
  if (num_stages < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(num_stages, " stages, want at least 1"));
  }
  if (num_stages > num_layers) {
    return absl::InvalidArgumentError(
        absl::StrCat(num_stages, " stages for ", num_layers,
                     " layers; want at most ", num_layers, " stages"));
  }
  std::vector<int64_t> prefix = {0};
  for (const int64_t count : parameter_counts) {
    prefix.push_back(prefix.back() + count);
  }
  const CostTable cost = SmallestLargest(prefix, num_stages);
  const int64_t largest = cost[num_stages][0];
  std::vector<LayerRange> ranges;
  int begin = 0;
  for (int left = num_stages - 1; left >= 0; --left) {
    int end = begin + 1;
    while (cost[left][end] > largest) ++end;
    ranges.push_back({begin, end});
    begin = end;
  }
  return ranges;
}

}  // namespace penstock
