#ifndef PENSTOCK_SCHEDULE_SIMULATOR_SIMULATE_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_SIMULATE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"
#include "schedule/simulator/cost_model.h"
#include "schedule/simulator/timeline.h"

namespace penstock {

struct SimulateOptions {
  // Receives are posted this many actions ahead. Matters only to messages that
  // wait for that (LinkCost::eager_bytes).
  int receive_lookahead = 0;
  // Whether the timeline tells the messages too.
  bool record_transfers = false;
};

// Runs the lists as the stage servers would, by discrete events: every rank
// runs its list in order; a send posts and never blocks; a receive blocks until
// its message has arrived; N blocks until all ranks have come. G starts a
// reduction and never blocks; U, N and a tied weight's SB wait for its end.
//
// Lists without communication (before lowering) run as if each action's sends
// stood right after it and its receives right before it; edges to other ranks
// cost what the links cost. A schedule without edges has no order between its
// ranks.
//
// A continuous schedule is run as its `ranks` say: unroll it first.
//
// Pure and deterministic: equal arguments give equal answers to the last bit.
// n log p in n actions and p ranks.
//
//   INVALID_ARGUMENT     the costs do not fit the schedule or are not finite
//                        and non-negative; or an action names a stage, edge,
//                        rank or microbatch that does not exist.
//   FAILED_PRECONDITION  the lists do not run to their end; names an action and
//                        what it waits for. The verifier says more.
absl::StatusOr<Timeline> Simulate(const Schedule& schedule,
                                  const CostModel& costs,
                                  const SimulateOptions& options = {});

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_SIMULATE_H_
