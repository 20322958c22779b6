#include "schedule/simulator/memory.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"

namespace penstock {
namespace {

// What an action changes, and whether when it starts or when it ends.
struct Change {
  bool at_start = false;
  double in_flight = 0;
  int64_t bytes = 0;
};

using Cells = absl::flat_hash_set<std::pair<int, int>>;

// The (stage, microbatch) that the list runs again before their backward.
Cells RecomputedCells(const std::vector<Action>& actions) {
  Cells cells;
  for (const Action& action : actions) {
    if (action.op == Op::kRecompute) {
      cells.insert({action.stage.value(), action.microbatch.value()});
    }
  }
  return cells;
}

Change ChangeOf(const Action& action, const StageCost& cost,
                const Cells& recomputed) {
  const int parts = action.half == Half::kWhole ? 1 : 2;
  const double share = 1.0 / parts;
  switch (action.op) {
    case Op::kForward: {
      Change change{.at_start = true,
                    .in_flight = static_cast<double>(action.num_microbatches)};
      for (int i = 0; i < action.num_microbatches; ++i) {
        const bool again = recomputed.contains(
            {action.stage.value(), action.microbatch.value() + i});
        change.bytes += again ? cost.input_bytes : cost.saved_bytes;
      }
      return change;
    }
    case Op::kRecompute:
      return {.at_start = true, .bytes = cost.saved_bytes - cost.input_bytes};
    case Op::kBackward:
      return {.in_flight = -share, .bytes = -cost.saved_bytes / parts};
    case Op::kBackwardInput:
      return {.bytes = -(cost.saved_bytes - cost.pending_weight_bytes) / parts};
    case Op::kBackwardWeight:
      return {.in_flight = -share, .bytes = -cost.pending_weight_bytes / parts};
    default:
      return {};
  }
}

}  // namespace

std::vector<MemoryPoint> MemoryOverTime(const Schedule& schedule,
                                        const Timeline& timeline, RankId rank,
                                        const CostModel* costs) {
  const std::vector<Action>& actions = schedule.ranks[rank.value()];
  const std::vector<TimelineEvent>& events = timeline.ranks[rank.value()];
  const Cells recomputed =
      costs == nullptr ? Cells() : RecomputedCells(actions);
  const double chunks = ChunksPerRank(schedule);
  const StageCost free;
  std::vector<MemoryPoint> points;
  for (size_t i = 0; i < std::min(actions.size(), events.size()); ++i) {
    if (!IsCompute(actions[i].op) || events[i].start < 0) continue;
    const StageCost& cost =
        costs == nullptr ? free : costs->stages[actions[i].stage.value()];
    const Change change = ChangeOf(actions[i], cost, recomputed);
    if (change.in_flight == 0 && change.bytes == 0) continue;
    points.push_back({change.at_start ? events[i].start : events[i].end,
                      change.in_flight / chunks, change.bytes});
  }
  // Only pairs that overlap are out of order.
  std::stable_sort(points.begin(), points.end(),
                   [](const MemoryPoint& a, const MemoryPoint& b) {
                     return a.time < b.time;
                   });
  for (size_t i = 1; i < points.size(); ++i) {
    points[i].in_flight += points[i - 1].in_flight;
    points[i].bytes += points[i - 1].bytes;
  }
  return points;
}

int64_t StaticBytes(const Schedule& schedule, const CostModel& costs,
                    RankId rank) {
  int64_t bytes = 0;
  for (int stage = 0; stage < schedule.num_stages(); ++stage) {
    const std::vector<RankId>& holders = schedule.placement[stage];
    if (std::find(holders.begin(), holders.end(), rank) == holders.end()) {
      continue;
    }
    const StageCost& cost = costs.stages[stage];
    const int delay = stage < static_cast<int>(schedule.versions.size())
                          ? schedule.versions[stage].delay
                          : 0;
    bytes += cost.static_bytes + delay * cost.version_bytes;
  }
  return bytes;
}

}  // namespace penstock
