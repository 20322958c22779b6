#include <algorithm>
#include <utility>

#include "schedule/planner/list_schedule.h"
#include "schedule/planner/stage_graph.h"

namespace penstock {
namespace {

size_t CellOf(const Schedule& schedule, const Action& action) {
  return static_cast<size_t>(action.stage.value()) * schedule.num_microbatches +
         action.microbatch.value();
}

ActionPriorities Empty(const Schedule& schedule) {
  const size_t cells = static_cast<size_t>(schedule.num_stages()) *
                       std::max(0, schedule.num_microbatches);
  return {.forward = std::vector<double>(cells),
          .backward = std::vector<double>(cells),
          .weight = std::vector<double>(cells)};
}

// Sets what a compute action stands for; a fused B's W right after its I.
void Set(const Schedule& schedule, const CostModel& costs, const Action& action,
         double time, ActionPriorities* priorities) {
  const size_t cell = CellOf(schedule, action);
  switch (action.op) {
    case Op::kForward:
      for (int i = 0; i < action.num_microbatches; ++i) {
        priorities->forward[cell + i] = time;
      }
      break;
    case Op::kBackward:
      priorities->backward[cell] = time;
      priorities->weight[cell] =
          time + costs.stages[action.stage.value()].input_gradient;
      break;
    case Op::kBackwardInput:
      priorities->backward[cell] = time;
      break;
    case Op::kBackwardWeight:
      priorities->weight[cell] = time;
      break;
    default:
      break;
  }
}

}  // namespace

ActionPriorities WayToTheEnd(const Schedule& outline, const CostModel& costs) {
  ActionPriorities priorities = Empty(outline);
  const absl::StatusOr<StageGraph> graph = StageGraphOf(outline, costs);
  if (!graph.ok()) return priorities;
  const int n = outline.num_stages(), m = outline.num_microbatches;
  std::vector<double> work(outline.num_ranks()), from_backward(n),
      from_forward(n);
  for (const int s : graph->order) {
    work[graph->rank[s]] += graph->forward[s] + graph->backward[s];
    for (const StageGraph::Way& way : graph->previous[s]) {
      from_backward[s] =
          std::max(from_backward[s], way.time + from_backward[way.stage]);
    }
    from_backward[s] += graph->backward[s];
  }
  for (auto s = graph->order.rbegin(); s != graph->order.rend(); ++s) {
    from_forward[*s] = from_backward[*s];
    for (const StageGraph::Way& way : graph->next[*s]) {
      from_forward[*s] =
          std::max(from_forward[*s], way.time + from_forward[way.stage]);
    }
    from_forward[*s] += graph->forward[*s];
  }
  const double step =
      work.empty() ? 0 : *std::max_element(work.begin(), work.end());
  const double last = step * m;
  for (int s = 0; s < n; ++s) {
    for (int b = 0; b < m; ++b) {
      const size_t cell = static_cast<size_t>(s) * m + b;
      priorities.forward[cell] = b * step - from_forward[s];
      priorities.backward[cell] = b * step - from_backward[s];
      priorities.weight[cell] = last + b * step;
    }
  }
  return priorities;
}

ActionPriorities StartTimes(const Schedule& schedule, const CostModel& costs,
                            const Timeline& timeline) {
  ActionPriorities priorities = Empty(schedule);
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    for (size_t i = 0; i < schedule.ranks[rank].size(); ++i) {
      Set(schedule, costs, schedule.ranks[rank][i],
          timeline.ranks[rank][i].start, &priorities);
    }
  }
  return priorities;
}

ActionPriorities LatestStarts(const Schedule& schedule, const CostModel& costs,
                              const Timeline& timeline) {
  ActionPriorities latest = Empty(schedule);
  const absl::StatusOr<StageGraph> graph = StageGraphOf(schedule, costs);
  if (!graph.ok()) return latest;
  // By end, so that whatever follows an action comes after it.
  std::vector<std::pair<int, int>> actions;
  double makespan = 0;
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    for (int i = 0; i < static_cast<int>(schedule.ranks[rank].size()); ++i) {
      actions.push_back({rank, i});
      makespan = std::max(makespan, timeline.ranks[rank][i].end);
    }
  }
  const auto event_of = [&](const std::pair<int, int>& action) {
    return timeline.ranks[action.first][action.second];
  };
  std::sort(actions.begin(), actions.end(), [&](const auto& a, const auto& b) {
    return std::pair(event_of(a).end, a) > std::pair(event_of(b).end, b);
  });
  std::vector<double> next_on_rank(schedule.num_ranks(), makespan);
  const int m = schedule.num_microbatches;
  for (const auto& at : actions) {
    const Action& action = schedule.ranks[at.first][at.second];
    const bool forward = action.op == Op::kForward;
    const bool gradient =
        action.op == Op::kBackward || action.op == Op::kBackwardInput;
    double end = next_on_rank[at.first];
    if (forward || gradient) {
      for (const StageGraph::Way& way :
           (forward ? graph->next : graph->previous)[action.stage.value()]) {
        const size_t cell =
            static_cast<size_t>(way.stage) * m + action.microbatch.value();
        end = std::min(
            end, (forward ? latest.forward : latest.backward)[cell] - way.time);
      }
    }
    const double start = end - (event_of(at).end - event_of(at).start);
    next_on_rank[at.first] = start;
    Set(schedule, costs, action, start, &latest);
  }
  return latest;
}

}  // namespace penstock
