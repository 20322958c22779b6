#ifndef PENSTOCK_SCHEDULE_PLANNER_AUTO_SCHEDULE_H_
#define PENSTOCK_SCHEDULE_PLANNER_AUTO_SCHEDULE_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"
#include "schedule/planner/list_schedule.h"
#include "schedule/simulator/cost_model.h"

namespace penstock {

struct AutoRequest {
  int num_ranks = 0;
  int num_microbatches = 0;
  // How many stages a rank may run; others are not tried.
  std::vector<int> chunks_per_rank = {1, 2};
  // The edges of the model cut into so many stages.
  std::function<std::vector<Edge>(int num_stages)> edges;
  // What a schedule, which has its edges, costs. Called once for each candidate
  // with another placement or number of stages.
  std::function<absl::StatusOr<CostModel>(const Schedule&)> costs;
  MemoryCap cap;
};

// A schedule that was tried.
struct AutoCandidate {
  // "one_f_one_b warmup=pb", or "auto from zbv" for one of our own making.
  std::string name;
  double makespan = 0;
  // Whether every rank stays under the cap.
  bool fits = false;
};

struct AutoChoice {
  // Compute actions only, with its edges; named "auto" if it is none of the
  // fixed ones.
  Schedule schedule;
  double makespan = 0;
  // All that were tried, the best first and those that do not fit last; the
  // first is the one chosen.
  std::vector<AutoCandidate> candidates;
};

// The fastest schedule under the cap that we know of, by simulation: the best
// of every flush schedule of the registry, with each word of its parameters and
// with shorter warm-ups where these can be given, and of list schedules of our
// own (ListSchedule) for the same placements. Those start from the fixed
// schedules' orders, whether they fit or not, and are made better by giving way
// where there is slack, as in the justification of project schedules (Valls,
// Ballestin and Quintanilla, Justification and RCPSP, 2005). So it is never
// worse, in simulation, than the best fixed one that fits.
//
// Update policy flush. Schedules that recompute are not tried. Pure and
// deterministic; a few hundred simulations.
//
//   INVALID_ARGUMENT    counts below 1, or what `costs` answers.
//   RESOURCE_EXHAUSTED  no schedule fits under the cap; says what the
//   thriftiest
//                       needs.
absl::StatusOr<AutoChoice> AutoSchedule(const AutoRequest& request);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_PLANNER_AUTO_SCHEDULE_H_
