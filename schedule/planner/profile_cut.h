#ifndef PENSTOCK_SCHEDULE_PLANNER_PROFILE_CUT_H_
#define PENSTOCK_SCHEDULE_PLANNER_PROFILE_CUT_H_

#include <vector>

#include "absl/status/statusor.h"
#include "proto/profile.pb.h"
#include "schedule/planner/partition.h"

namespace penstock {

// Cuts a profile's chain of layers into `num_stages` consecutive, non-empty
// ranges so that the slowest stage (forward and backward) is as fast as can be;
// as `PartitionEvenly` does with parameters.
//
//   INVALID_ARGUMENT  as `PartitionEvenly` and `CheckProfile`.
absl::StatusOr<std::vector<LayerRange>> CutProfile(const wire::Profile& profile,
                                                   int num_stages);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_PLANNER_PROFILE_CUT_H_
