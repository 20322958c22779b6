#include "schedule/simulator/lower_bound.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "schedule/simulator/action_time.h"

namespace penstock {
namespace {

struct Hop {
  int stage;
  double time;
};

// The stages in an order in which every edge leads on, and the hops between
// them.
struct Graph {
  std::vector<int> order;
  // Index is the stage.
  std::vector<std::vector<Hop>> next, previous;
};

double LinkTime(const CostModel& costs, int from, int to, size_t edge) {
  const auto given = costs.links.find({from, to});
  const LinkCost& link =
      given == costs.links.end() ? costs.link : given->second;
  const double bytes =
      edge < costs.edge_bytes.size() ? costs.edge_bytes[edge] : 0;
  return link.latency + (link.bandwidth > 0 ? bytes / link.bandwidth : 0);
}

// The quickest way along the edge from any holder to any, in either direction.
double HopTime(const Schedule& schedule, const CostModel& costs, size_t edge) {
  double least = std::numeric_limits<double>::infinity();
  for (const RankId from :
       schedule.placement[schedule.edges[edge].from.value()]) {
    for (const RankId to :
         schedule.placement[schedule.edges[edge].to.value()]) {
      if (from == to) return 0;
      least = std::min({least, LinkTime(costs, from.value(), to.value(), edge),
                        LinkTime(costs, to.value(), from.value(), edge)});
    }
  }
  return least == std::numeric_limits<double>::infinity() ? 0 : least;
}

Graph GraphOf(const Schedule& schedule, const CostModel& costs) {
  const int n = schedule.num_stages();
  Graph graph{.next = std::vector<std::vector<Hop>>(n),
              .previous = std::vector<std::vector<Hop>>(n)};
  std::vector<int> unmet(n, 0);
  for (size_t i = 0; i < schedule.edges.size(); ++i) {
    const Edge& edge = schedule.edges[i];
    if (edge.kind != EdgeKind::kActivation) continue;
    const double time = HopTime(schedule, costs, i);
    graph.next[edge.from.value()].push_back({edge.to.value(), time});
    graph.previous[edge.to.value()].push_back({edge.from.value(), time});
    ++unmet[edge.to.value()];
  }
  for (int stage = 0; stage < n; ++stage) {
    if (unmet[stage] == 0) graph.order.push_back(stage);
  }
  for (size_t i = 0; i < graph.order.size(); ++i) {
    for (const Hop& hop : graph.next[graph.order[i]]) {
      if (--unmet[hop.stage] == 0) graph.order.push_back(hop.stage);
    }
  }
  return graph;
}

// What one microbatch needs, by stage.
struct Ways {
  // Before the stage's F can begin, and after its gradient is made.
  std::vector<double> to, from;
  // Forward through all stages and back, W included.
  double longest = 0;
};

class WayFinder {
 public:
  WayFinder(const Schedule& schedule, const CostModel& costs)
      : costs_(costs),
        graph_(GraphOf(schedule, costs)),
        slowdown_(SlowdownByStage(schedule, costs)),
        has_split_(schedule.num_stages()) {
    for (const std::vector<Action>& actions : schedule.ranks) {
      for (const Action& action : actions) {
        if (action.op == Op::kBackwardInput) {
          has_split_[action.stage.value()] = true;
        }
      }
    }
  }

  Ways Find() const {
    const size_t n = has_split_.size();
    Ways ways{.to = std::vector<double>(n), .from = std::vector<double>(n)};
    for (const int stage : graph_.order) {
      for (const Hop& hop : graph_.previous[stage]) {
        ways.to[stage] = std::max(
            ways.to[stage], ways.to[hop.stage] + Forward(hop.stage) + hop.time);
      }
      for (const Hop& hop : graph_.previous[stage]) {
        ways.from[stage] =
            std::max(ways.from[stage],
                     hop.time + Gradient(hop.stage) + ways.from[hop.stage]);
      }
    }
    std::vector<double> back(n);  // when the stage's backward can begin
    for (auto stage = graph_.order.rbegin(); stage != graph_.order.rend();
         ++stage) {
      back[*stage] = ways.to[*stage] + Forward(*stage);
      for (const Hop& hop : graph_.next[*stage]) {
        back[*stage] = std::max(
            back[*stage], back[hop.stage] + Gradient(hop.stage) + hop.time);
      }
      ways.longest = std::max(ways.longest, back[*stage] + Gradient(*stage));
    }
    return ways;
  }

 private:
  static std::vector<double> SlowdownByStage(const Schedule& schedule,
                                             const CostModel& costs) {
    std::vector<double> slowdown;
    for (const std::vector<RankId>& holders : schedule.placement) {
      double least = std::numeric_limits<double>::infinity();
      for (const RankId rank : holders) {
        least = std::min(
            least, rank.value() < static_cast<int>(costs.rank_slowdown.size())
                       ? costs.rank_slowdown[rank.value()]
                       : 1.0);
      }
      slowdown.push_back(holders.empty() ? 0 : least);
    }
    return slowdown;
  }

  // Of one microbatch at least, however it is spanned; the host's overhead may
  // pass while the input is on its way.
  double Forward(int stage) const {
    return costs_.stages[stage].forward * slowdown_[stage];
  }
  double Gradient(int stage) const {
    const StageCost& cost = costs_.stages[stage];
    const double whole = has_split_[stage] ? std::min(cost.input_gradient,
                                                      costs_.BackwardOf(stage))
                                           : costs_.BackwardOf(stage);
    return whole * slowdown_[stage];
  }

  const CostModel& costs_;
  const Graph graph_;
  const std::vector<double> slowdown_;
  std::vector<bool> has_split_;
};

bool HasHalves(const Schedule& schedule) {
  for (const std::vector<Action>& actions : schedule.ranks) {
    for (const Action& action : actions) {
      if (action.half != Half::kWhole) return true;
    }
  }
  return false;
}

}  // namespace

double CriticalPathBound(const Schedule& schedule, const CostModel& costs) {
  // A half's gradient may go back while the other half is still to come, and
  // overridden times belong to no stage: then only the work counts.
  const bool only_work = HasHalves(schedule) || !costs.action_times.empty();
  Ways ways;
  if (!only_work) ways = WayFinder(schedule, costs).Find();
  double bound = 0;
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    const std::vector<Action>& actions = schedule.ranks[rank];
    double work = 0, head = -1, tail = -1;
    for (int i = 0; i < static_cast<int>(actions.size()); ++i) {
      work += ActionTime(schedule, costs, rank, i) + costs.action_overhead;
      if (actions[i].overlaps_next) work -= PairGain(schedule, costs, rank, i);
      if (only_work || !IsCompute(actions[i].op)) continue;
      const int stage = actions[i].stage.value();
      if (actions[i].op == Op::kForward) {
        head = head < 0 ? ways.to[stage] : std::min(head, ways.to[stage]);
      }
      const double after =
          actions[i].op == Op::kBackward ? ways.from[stage] : 0;
      if (actions[i].op != Op::kForward && actions[i].op != Op::kRecompute) {
        tail = tail < 0 ? after : std::min(tail, after);
      }
    }
    // What follows the last backward is not known to overlap nothing of the
    // way back, so updates count as work and the way back only without them.
    const bool updates = !actions.empty() && !IsCompute(actions.back().op);
    bound = std::max(bound, std::max(head, 0.0) + work +
                                (updates ? 0 : std::max(tail, 0.0)));
    if (!actions.empty()) bound = std::max(bound, ways.longest);
  }
  return bound;
}

}  // namespace penstock
