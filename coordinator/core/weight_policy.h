#ifndef PENSTOCK_COORDINATOR_CORE_WEIGHT_POLICY_H_
#define PENSTOCK_COORDINATOR_CORE_WEIGHT_POLICY_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/job.pb.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// What a job says of weight versions (docs/weight_versions.md). All pure; all
// errors name the key as the job file spells it, what was wanted, what was got
// and what would do.

// The job with each of schedule.name and weights.policy worked out from the
// other where only one is given (a schedule of one's own says its policy), and
// weights.clip filled in unless it flushes.
//   INVALID_ARGUMENT  no such policy or schedule, or a file that is none; a
//   pair
//                     that does not fit, with those that do.
absl::StatusOr<Job> WithWeightPolicy(Job job);

// Whether a job whose policy has been worked out may have it, as far as that
// does not depend on the lists of its schedule. `edges` are those of the
// model's cut. Anything goes with a flush, apart from weights.clip.
//   INVALID_ARGUMENT  weights.clip with a flush, or unknown; with any other
//                     policy float16, wire.compress auto, or a weight whose
//                     owner and user are in different stages; replicas with
//                     vertical.
absl::Status CheckWeightPolicy(const Job& job, const std::vector<Edge>& edges);

// Whether the job's steps are a run of its schedule; any number is of a flush.
//   INVALID_ARGUMENT  fewer steps than the shortest run, or more than it can
//                     number.
absl::Status CheckRunLength(const Job& job, const Schedule& schedule);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_WEIGHT_POLICY_H_
