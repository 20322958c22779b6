#ifndef PENSTOCK_STAGE_SERVER_ENGINE_EMULATED_PLAN_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_EMULATED_PLAN_H_

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "proto/plan.pb.h"
#include "stage_server/engine/emulated_backend.h"

namespace penstock {

// What a rank of a job on emulated devices (Job.emulate) runs: its list, and
// the costs of its stages from the profile's layers. Pure.
//   INVALID_ARGUMENT  plan, profile and rank do not fit together, or the list
//                     is not sound (list_check.h); says where.
absl::StatusOr<EmulatedRank> ResolveEmulatedRank(const Plan& plan, RankId rank);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_EMULATED_PLAN_H_
