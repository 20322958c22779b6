#ifndef PENSTOCK_COORDINATOR_CORE_STEP_H_
#define PENSTOCK_COORDINATOR_CORE_STEP_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/core/effects.h"
#include "coordinator/core/event.h"
#include "coordinator/core/state.h"

namespace penstock {

// Applies one event: changes `state`, appends to `effects` what must become
// durable and what is then to be said. Every decision of the coordinator is in
// here.
//
// Pure but for its two outputs: no clock, I/O, lock or randomness; equal
// arguments give equal results. `now` never goes back.
//
// Answers the id of the job or server that the event was about, or why the
// event was refused, with the codes that the protos promise. A refused event
// changes nothing, except that a fence from a later coordinator sets
// `effects.step_down`.
absl::StatusOr<std::string> Step(ClusterState& state, const ClusterEvent& event,
                                 absl::Time now, Effects& effects);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_STEP_H_
