#ifndef PENSTOCK_SCHEDULE_PLANNER_PARTITION_H_
#define PENSTOCK_SCHEDULE_PLANNER_PARTITION_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace penstock {

// Consecutive layers, by index: [begin, end).
struct LayerRange {
  int begin = 0;
  int end = 0;

  friend bool operator==(const LayerRange&, const LayerRange&) = default;
};

// Cuts the layers into `num_stages` consecutive, non-empty ranges so that the
// largest stage has as few parameters as possible. Of several such cuts it
// takes the one whose largest stages are met by the earliest cuts: each stage,
// from the first, is as short as the optimum allows, so the answer is unique.
//
// `parameter_counts[i]` is the number of elements that layer i owns; zero is
// fine (an activation, the loss). O(layers^2 * stages).
//
//   INVALID_ARGUMENT  num_stages < 1, or more stages than layers; says how many
//                     layers there are.
absl::StatusOr<std::vector<LayerRange>> PartitionEvenly(
    absl::Span<const int64_t> parameter_counts, int num_stages);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_PLANNER_PARTITION_H_
