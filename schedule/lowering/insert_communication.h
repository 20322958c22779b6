#ifndef PENSTOCK_SCHEDULE_LOWERING_INSERT_COMMUNICATION_H_
#define PENSTOCK_SCHEDULE_LOWERING_INSERT_COMMUNICATION_H_

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Inserts a send and a receive for every tensor of `schedule.edges` that goes
// from one rank to another; edges inside a rank need none. Pure.
//
// Activation edge, per microbatch: SF right after the F that makes the tensor,
// RF right before the F that takes it; SB right after the backward (B or I) of
// the taker, RB right before that of the maker. Several edges at one action go
// in the order of their index.
//
// Tied weight, once a step: SB* right after the user's last backward, RB* of
// the owner before N, SF* of the owner and then RF* of the user at the end of
// the list, after every U. All of a rank's sends at the end stand before its
// receives, so that two ranks that own weights for each other do not wait in a
// circle. Without N and U (a list that does not update), RB* ends the list and
// nothing goes forward.
//
//   INVALID_ARGUMENT  communication is there already; an edge of stages that do
//                     not exist, or of one stage to itself; a stage with edges
//                     that is not on exactly one rank.
absl::StatusOr<Schedule> InsertCommunication(Schedule schedule);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_LOWERING_INSERT_COMMUNICATION_H_
