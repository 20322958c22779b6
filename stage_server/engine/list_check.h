#ifndef PENSTOCK_STAGE_SERVER_ENGINE_LIST_CHECK_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_LIST_CHECK_H_

#include "absl/status/status.h"

namespace penstock {

struct RankPlan;

// What one rank alone can tell of its list, checked before anything runs; the
// coordinator has verified the whole schedule.
//
// Complete: F and B exactly once for each of the rank's stages and each
// microbatch, one U per stage, at most one N (and one when gradients are to be
// clipped). Order: an action finds there what it takes, by what the actions
// before it leave (values and gradients on edges, received or made here);
// nothing is left over; gradients are whole before N, N is before every U, and
// a tied weight is sent after its update.
//
//   INVALID_ARGUMENT  not so; names rank, position and action.
//   UNIMPLEMENTED     an op that this engine does not run (I, W, R, G).
absl::Status CheckList(const RankPlan& plan);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_LIST_CHECK_H_
