#ifndef PENSTOCK_COORDINATOR_CORE_PLAN_BUILDER_H_
#define PENSTOCK_COORDINATOR_CORE_PLAN_BUILDER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/plan.pb.h"

namespace penstock {

struct BuiltPlan {
  // All ranks' action lists.
  Plan plan;
  // Indices, in the model graph, of the layers that own parameters.
  std::vector<int> parameter_layers;
  // The schedule as a grid, for people; of a long one the beginning.
  std::string grid;
};

// Partition, schedule and tensors for a job: the model's layers are cut into
// partition.stages stages as the job says, or evenly by parameter count; the
// schedule for these on partition.ranks ranks (without it, as many as the
// schedule puts so many stages on) is generated, with partition.replicas of
// each of them, or the job's own, lowered and verified. A tied parameter whose
// owner and user land in different stages becomes a tied-weight edge from the
// owner's stage to the user's. The plan's job has schedule.name and
// weights.policy both set, each worked out from the other if need be.
//
// Pure: equal jobs give equal plans.
//   INVALID_ARGUMENT  the job can never run; names the key as the job file
//                     spells it, what was wanted and what was got, and what
//                     would do.
absl::StatusOr<BuiltPlan> BuildPlan(const Job& submitted);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_PLAN_BUILDER_H_
