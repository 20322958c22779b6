#ifndef PENSTOCK_SCHEDULE_LOWERING_INSERT_COMMUNICATION_H_
#define PENSTOCK_SCHEDULE_LOWERING_INSERT_COMMUNICATION_H_

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Inserts a send and a receive for every tensor of `schedule.edges` that goes
// from one rank to another; what stays inside a rank needs none. A tensor of a
// stage on several ranks goes from the rank that runs the maker's F of the
// microbatch to the one that runs the taker's. Pure; linear.
//
// Activation edge, per microbatch: SF right after the F that makes the tensor,
// RF right before the F that takes it; SB right after the backward (B or I) of
// the taker, RB right before that of the maker. Several edges at one action go
// in the order of their index; an F of two microbatches moves both; a gradient
// goes in halves if either end's backward is cut in halves. Of a pair X&Y
// X's sends and then Y's receives stand between the two, so that X waits for
// nothing that only Y takes (docs/decisions/006).
//
// Tied weight of a flush, once a step: SB* right after the user's last backward
// (before RB*, where the user is on several ranks and its gradient is reduced
// first), RB* of the owner before N, SF* of the owner and then RF* of the user
// at the end of the list, after every U. All of a rank's sends at the end stand
// before its receives, so that two ranks that own weights for each other do not
// wait in a circle. Without N and U (a list that does not update), RB* ends the
// list and nothing goes forward. Who sends to whom: tied_weights.h.
//
// The lists of ranks may be empty but for one, to lower what one rank runs
// without making the others, if the stages are each on one rank.
//
//   INVALID_ARGUMENT  communication is there already; an edge of stages that do
//                     not exist, or of one stage to itself; a stage on no rank;
//                     a microbatch whose F is on no rank or on several; a pair
//                     without its second.
absl::StatusOr<Schedule> InsertCommunication(Schedule schedule);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_LOWERING_INSERT_COMMUNICATION_H_
