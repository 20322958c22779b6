#ifndef PENSTOCK_SCHEDULE_SIMULATOR_PROFILE_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_PROFILE_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/profile.pb.h"
#include "schedule/ir/schedule.h"
#include "schedule/simulator/cost_model.h"

namespace penstock {

// Whether a profile, which may come from anywhere, can be reckoned with: what
// `ProfiledCosts` refuses whatever the schedule. Linear in the profile.
//
//   INVALID_ARGUMENT  a time that is negative, not finite or above 10^9 s, a
//                     size that is negative or above 64 TiB, a fraction above
//                     1; a name that is empty or given twice; a link from a
//                     rank to itself, twice, or of a rank above 10^6; more than
//                     10^5 layers. Names the field ("layer "h3": ...").
absl::Status CheckProfile(const wire::Profile& profile);

// The costs, in seconds, of `schedule` where stage s runs the profile's layers
// `stage_layers[s]` (their indices). A stage's times and bytes are the sums of
// its layers', its workspace the largest; recomputing it keeps its incoming
// tensors; reducing its gradient is a ring over its holders, at the slowest of
// the links between them. Rank r runs on device r; ranks and links that the
// profile does not know cost as `link` says and have slowdown 1. Pure.
//
//   INVALID_ARGUMENT  from `CheckProfile`; not one entry a stage; no such
//                     layer, or one in two stages; an edge whose tensor has no
//                     size (names it).
absl::StatusOr<CostModel> ProfiledCosts(
    const wire::Profile& profile,
    const std::vector<std::vector<int>>& stage_layers,
    const Schedule& schedule);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_PROFILE_H_
