#ifndef PENSTOCK_SCHEDULE_LOWERING_INSERT_TIED_MESSAGES_H_
#define PENSTOCK_SCHEDULE_LOWERING_INSERT_TIED_MESSAGES_H_

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Inserts the messages of tied weights between ranks into the lists of a
// continuous schedule whose updates are there; a flush is returned as it is
// (its messages: insert_communication.h). Pure; linear.
//
// For each update, to version v: SB*@v of the user where its gradient is whole,
// right before its own U@v, or right after G@v where it is on several ranks;
// RB*@v of the owner right before its U@v, and SF*@v right after it. RF*@v of
// the user right before the first F that reads version v there, by when the
// version that it replaces is read by nobody, or at the end of the epilogue. So
// the owner waits for the user once an update, and the user for nothing that it
// does not need yet. Both stages have to have the same version rule: a
// microbatch reads one version of the weight, wherever. Version 0 goes too, at
// the owner's begin, so that the first period is like the later ones; who has
// it already takes no harm. Who sends to whom: tied_weights.h.
//
//   INVALID_ARGUMENT  an edge of stages that do not exist, with other rules, or
//                     both on one rank.
absl::StatusOr<Schedule> InsertTiedMessages(Schedule schedule);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_LOWERING_INSERT_TIED_MESSAGES_H_
