#ifndef PENSTOCK_STAGE_SERVER_ENGINE_LIST_CHECK_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_LIST_CHECK_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "proto/plan.pb.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// The plan's schedule, whose counts and indices fit the plan and `rank`.
//   INVALID_ARGUMENT  they do not; says where.
absl::StatusOr<Schedule> PlannedSchedule(const Plan& plan, RankId rank);

// What one rank alone can tell of its list, checked before anything runs: the
// verifier's rules (schedule/verifier/verify.h, VerifyRank). The coordinator
// has verified the whole schedule.
//
//   INVALID_ARGUMENT  not sound; carries the violations, which name rule, rank,
//                     position and action; or it has halves of microbatches,
//                     and the plan does not cut them into
//                     `pieces_per_microbatch` of 2.
absl::Status CheckList(const Schedule& schedule, RankId rank,
                       int pieces_per_microbatch);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_LIST_CHECK_H_
