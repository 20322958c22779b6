#ifndef PENSTOCK_SCHEDULE_GENERATORS_WEIGHT_POLICIES_H_
#define PENSTOCK_SCHEDULE_GENERATORS_WEIGHT_POLICIES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock {

// Which weight policy goes with which schedule. Policies are named as the file
// format names them (schedule/ir/text_format.h).

// "flush", "stash", "vertical", "double_buffer", "grouped".
const std::vector<std::string>& WeightPolicies();

// The generator to take for a policy if nobody names one. INVALID_ARGUMENT,
// with a suggestion and the policies there are, if `policy` is none.
absl::StatusOr<std::string> ScheduleOfPolicy(absl::string_view policy);

// "stash with pipedream; ...": every policy with its schedules, for messages.
std::string PolicyPairs();

// Whether a schedule whose own policy is `policy_of_schedule` may be asked for
// together with `policy`.
//   INVALID_ARGUMENT  they differ; names both and every pair that there is.
absl::Status CheckPolicyPair(absl::string_view schedule,
                             absl::string_view policy_of_schedule,
                             absl::string_view policy);

// A schedule's name and its policy; empty: left open.
struct PolicyChoice {
  std::string schedule;
  std::string policy;
};

// With each worked out from the other; with neither, a flush.
//   INVALID_ARGUMENT  no such policy or schedule, or they do not go together.
absl::StatusOr<PolicyChoice> CompletePolicy(PolicyChoice given);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_WEIGHT_POLICIES_H_
