#ifndef PENSTOCK_STAGE_SERVER_ENGINE_LIST_CHECK_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_LIST_CHECK_H_

#include "absl/status/status.h"

namespace penstock {

struct RankPlan;

// What one rank alone can tell of its list, checked before anything runs: the
// verifier's rules (schedule/verifier/verify.h, VerifyRank). The coordinator
// has verified the whole schedule.
//
//   INVALID_ARGUMENT  not sound; carries the violations, which name rule, rank,
//                     position and action; or it has halves of microbatches,
//                     and the plan does not cut them.
//   UNIMPLEMENTED     a schedule that does not flush.
absl::Status CheckList(const RankPlan& plan);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_LIST_CHECK_H_
