#include "schedule/planner/stage_graph.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

double WayTime(const CostModel& costs, int from, int to, size_t edge) {
  if (from == to) return 0;
  const auto given = costs.links.find({from, to});
  const LinkCost& link =
      given == costs.links.end() ? costs.link : given->second;
  const double bytes = edge < costs.edge_bytes.size()
                           ? static_cast<double>(costs.edge_bytes[edge])
                           : 0;
  return link.latency + (link.bandwidth > 0 ? bytes / link.bandwidth : 0);
}

absl::Status PlaceStages(const Schedule& schedule, const CostModel& costs,
                         StageGraph* graph) {
  for (int s = 0; s < schedule.num_stages(); ++s) {
    const std::vector<RankId>& holders = schedule.placement[s];
    if (holders.size() != 1 || holders[0].value() < 0 ||
        holders[0].value() >= schedule.num_ranks()) {
      return absl::InvalidArgumentError(
          absl::StrCat("stage ", s, " of ", schedule.name, " is on ",
                       holders.size(), " ranks; list scheduling takes one"));
    }
    const int rank = holders[0].value();
    const double slowdown = rank < static_cast<int>(costs.rank_slowdown.size())
                                ? costs.rank_slowdown[rank]
                                : 1;
    const StageCost& cost = costs.stages[s];
    const auto time = [&](double work) {
      return work * slowdown + costs.action_overhead;
    };
    graph->rank.push_back(rank);
    graph->forward.push_back(time(cost.forward));
    graph->backward.push_back(time(costs.BackwardOf(s)));
    graph->input_gradient.push_back(time(cost.input_gradient));
    graph->weight_gradient.push_back(time(cost.weight_gradient));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<StageGraph> StageGraphOf(const Schedule& schedule,
                                        const CostModel& costs) {
  const int n = schedule.num_stages();
  if (static_cast<int>(costs.stages.size()) != n) {
    return absl::InvalidArgumentError(
        absl::StrCat("cost model of ", costs.stages.size(), " stages for ", n));
  }
  StageGraph graph;
  PENSTOCK_RETURN_IF_ERROR(PlaceStages(schedule, costs, &graph));
  graph.next.resize(n);
  graph.previous.resize(n);
  std::vector<int> unmet(n, 0);
  for (size_t i = 0; i < schedule.edges.size(); ++i) {
    const Edge& edge = schedule.edges[i];
    if (edge.kind != EdgeKind::kActivation) continue;
    const int from = edge.from.value(), to = edge.to.value();
    if (from < 0 || from >= n || to < 0 || to >= n) {
      return absl::InvalidArgumentError(absl::StrCat(
          "edge ", i, " leads from stage ", from, " to ", to, ", of ", n));
    }
    const int index = static_cast<int>(i);
    graph.next[from].push_back(
        {to, index, WayTime(costs, graph.rank[from], graph.rank[to], i)});
    graph.previous[to].push_back(
        {from, index, WayTime(costs, graph.rank[to], graph.rank[from], i)});
    ++unmet[to];
  }
  for (int s = 0; s < n; ++s) {
    if (unmet[s] == 0) graph.order.push_back(s);
  }
  for (size_t i = 0; i < graph.order.size(); ++i) {
    for (const StageGraph::Way& way : graph.next[graph.order[i]]) {
      if (--unmet[way.stage] == 0) graph.order.push_back(way.stage);
    }
  }
  if (static_cast<int>(graph.order.size()) != n) {
    return absl::InvalidArgumentError(
        absl::StrCat("the edges of ", schedule.name, " lead in a circle"));
  }
  graph.stages_of.resize(schedule.num_ranks());
  for (const int s : graph.order) graph.stages_of[graph.rank[s]].push_back(s);
  return graph;
}

}  // namespace penstock
