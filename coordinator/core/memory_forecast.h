#ifndef PENSTOCK_COORDINATOR_CORE_MEMORY_FORECAST_H_
#define PENSTOCK_COORDINATOR_CORE_MEMORY_FORECAST_H_

#include <vector>

#include "absl/status/statusor.h"
#include "models/graph/graph.h"
#include "proto/plan.pb.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// What each rank of `plan` is expected to hold, by rank: its stages' weights,
// in as many versions as the schedule's rules keep, gradients and optimizer
// state, and what a walk over its list (of a continuous schedule, over a run)
// finds in memory between actions: receives that are posted ahead, values and
// gradients that wait for the action that takes them, what forwards keep for
// their backward and input gradients for the weight gradients
// (models/graph/kept_tensors.h). Memory that several of these share counts
// once. Messages count as gone when they are sent, what operators use while
// they run does not count.
//
// `schedule` is that of the plan, `graph` the plan's model, made for whole
// microbatches. Pure. Errors as InferShapes (models/graph/layer_kinds.h) and
// Unroll (schedule/ir/unroll.h).
absl::StatusOr<std::vector<MemoryUse>> ForecastMemory(const Plan& plan,
                                                      const Schedule& schedule,
                                                      const Graph& graph);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_MEMORY_FORECAST_H_
