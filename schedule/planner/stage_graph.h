#ifndef PENSTOCK_SCHEDULE_PLANNER_STAGE_GRAPH_H_
#define PENSTOCK_SCHEDULE_PLANNER_STAGE_GRAPH_H_

#include <vector>

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"
#include "schedule/simulator/cost_model.h"

namespace penstock {

// The stages of a schedule whose stages are each on one rank, with what they
// and the ways between them cost.
struct StageGraph {
  struct Way {
    int stage;
    int edge;
    // Without waiting for the link; 0 inside a rank.
    double time;
  };
  // Index is the stage: its rank, and the times of its actions there, with the
  // host's overhead.
  std::vector<int> rank;
  std::vector<double> forward, backward, input_gradient, weight_gradient;
  // Where its output goes, and where its inputs come from.
  std::vector<std::vector<Way>> next, previous;
  // Every edge leads on.
  std::vector<int> order;
  // Index is the rank: its stages, in that order.
  std::vector<std::vector<int>> stages_of;
};

//   INVALID_ARGUMENT  a stage that is not on exactly one rank, an edge of a
//                     stage that does not exist, edges in a circle, or costs of
//                     another number of stages.
absl::StatusOr<StageGraph> StageGraphOf(const Schedule& schedule,
                                        const CostModel& costs);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_PLANNER_STAGE_GRAPH_H_
