#include "schedule/planner/list_schedule.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "schedule/planner/stage_graph.h"
#include "schedule/simulator/memory.h"

namespace penstock {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
// Microbatches in flight are sums of 1/v.
constexpr double kRounding = 1e-9;

// A stage's work so far.
struct StageProgress {
  // Microbatches whose F, B or I, and W have begun.
  int forwards = 0, backwards = 0, weights = 0;
  // Index is the microbatch: when the inputs of its F and of its backward are
  // all there, as far as is known, and how many are not.
  std::vector<double> input_time, gradient_time;
  std::vector<int> inputs_missing, gradients_missing;
};

struct RankProgress {
  double busy_until = 0;
  double in_flight = 0;
  int64_t bytes = 0;
};

struct Choice {
  Op op = Op::kForward;
  int stage = -1;
  int microbatch = -1;
  double priority = kNever;
  double ready = kNever;
  double time = 0;
};

class ListScheduler {
 public:
  ListScheduler(const Schedule& outline, const CostModel& costs,
                const ActionPriorities& priorities,
                const ListScheduleOptions& options, StageGraph graph)
      : costs_(costs),
        priorities_(priorities),
        options_(options),
        graph_(std::move(graph)),
        m_(outline.num_microbatches),
        share_(1 / ChunksPerRank(outline)),
        schedule_(outline),
        stages_(outline.num_stages()),
        ranks_(outline.num_ranks()) {
    schedule_.ranks.assign(outline.num_ranks(), {});
    for (int s = 0; s < outline.num_stages(); ++s) {
      stages_[s].input_time.assign(m_, 0);
      stages_[s].gradient_time.assign(m_, 0);
      stages_[s].inputs_missing.assign(
          m_, static_cast<int>(graph_.previous[s].size()));
      stages_[s].gradients_missing.assign(
          m_, static_cast<int>(graph_.next[s].size()));
    }
    for (int rank = 0; rank < outline.num_ranks(); ++rank) {
      ranks_[rank].bytes = StaticBytes(outline, costs, RankId(rank));
    }
  }

  absl::StatusOr<Schedule> Run() {
    PENSTOCK_RETURN_IF_ERROR(CheckRoom());
    for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
      agenda_.push({0, rank});
    }
    while (!agenda_.empty()) {
      const auto [now, rank] = agenda_.top();
      agenda_.pop();
      if (ranks_[rank].busy_until <= now) Decide(rank, now);
    }
    return std::move(schedule_);
  }

 private:
  // Each rank must hold one microbatch in all of its stages.
  absl::Status CheckRoom() const {
    for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
      const std::vector<int>& stages = graph_.stages_of[rank];
      if (stages.empty() || Fits(rank, stages, 0)) continue;
      return absl::ResourceExhaustedError(
          absl::StrCat("r", rank, " cannot hold one microbatch of its ",
                       stages.size(), " stages under the memory cap"));
    }
    return absl::OkStatus();
  }

  // Whether one more microbatch in each of `stages` from index `first` on fits.
  bool Fits(int rank, const std::vector<int>& stages, size_t first) const {
    double in_flight = ranks_[rank].in_flight;
    int64_t bytes = ranks_[rank].bytes;
    for (size_t i = first; i < stages.size(); ++i) {
      in_flight += share_;
      bytes += costs_.stages[stages[i]].saved_bytes;
    }
    const MemoryCap& cap = options_.cap;
    return (!cap.in_flight || in_flight <= *cap.in_flight + kRounding) &&
           (!cap.bytes || bytes <= *cap.bytes);
  }

  // The rank's next actions, by priority; those that are not ready too, if it
  // is known when they will be.
  void CollectChoices(int rank) {
    choices_.clear();
    const std::vector<int>& stages = graph_.stages_of[rank];
    for (size_t i = 0; i < stages.size(); ++i) {
      const int s = stages[i];
      const StageProgress& stage = stages_[s];
      if (stage.forwards < m_ && stage.inputs_missing[stage.forwards] == 0 &&
          Fits(rank, stages, i)) {
        Add(Op::kForward, s, stage.forwards, priorities_.forward,
            stage.input_time[stage.forwards], graph_.forward[s]);
      }
      if (stage.backwards < stage.forwards &&
          stage.gradients_missing[stage.backwards] == 0) {
        const bool split = options_.split_backward;
        Add(split ? Op::kBackwardInput : Op::kBackward, s, stage.backwards,
            priorities_.backward, stage.gradient_time[stage.backwards],
            split ? graph_.input_gradient[s] : graph_.backward[s]);
      }
      if (options_.split_backward && stage.weights < stage.backwards) {
        Add(Op::kBackwardWeight, s, stage.weights, priorities_.weight, 0,
            graph_.weight_gradient[s]);
      }
    }
    std::sort(choices_.begin(), choices_.end(),
              [](const Choice& a, const Choice& b) {
                return std::tie(a.priority, a.stage, a.op) <
                       std::tie(b.priority, b.stage, b.op);
              });
  }

  void Add(Op op, int stage, int microbatch, const std::vector<double>& by,
           double ready, double time) {
    choices_.push_back(
        {.op = op,
         .stage = stage,
         .microbatch = microbatch,
         .priority = by[static_cast<size_t>(stage) * m_ + microbatch],
         .ready = ready,
         .time = time});
  }

  void Decide(int rank, double now) {
    CollectChoices(rank);
    double soonest_better = kNever;
    for (const Choice& choice : choices_) {
      if (choice.ready > now) {
        soonest_better = std::min(soonest_better, choice.ready);
        continue;
      }
      if (soonest_better - now < options_.patience * choice.time) return;
      Begin(rank, choice, now);
      return;
    }
  }

  void Begin(int rank, const Choice& choice, double now) {
    StageProgress& stage = stages_[choice.stage];
    RankProgress& state = ranks_[rank];
    const StageCost& cost = costs_.stages[choice.stage];
    const double end = now + choice.time;
    switch (choice.op) {
      case Op::kForward:
        ++stage.forwards;
        state.in_flight += share_;
        state.bytes += cost.saved_bytes;
        for (const StageGraph::Way& way : graph_.next[choice.stage]) {
          Arrive(rank, way, end, choice.microbatch, /*backward=*/false);
        }
        break;
      case Op::kBackwardWeight:
        ++stage.weights;
        state.in_flight -= share_;
        state.bytes -= cost.pending_weight_bytes;
        break;
      default:
        ++stage.backwards;
        state.bytes -= cost.saved_bytes;
        if (choice.op == Op::kBackward) {
          state.in_flight -= share_;
        } else {
          state.bytes += cost.pending_weight_bytes;
        }
        for (const StageGraph::Way& way : graph_.previous[choice.stage]) {
          Arrive(rank, way, end, choice.microbatch, /*backward=*/true);
        }
    }
    schedule_.ranks[rank].push_back(
        {.op = choice.op,
         .stage = StageId(choice.stage),
         .microbatch = MicrobatchId(choice.microbatch)});
    state.busy_until = end;
    agenda_.push({end, rank});
  }

  // The tensor leaves at `end`; tells the taker when it will be there.
  void Arrive(int rank, const StageGraph::Way& way, double end, int microbatch,
              bool backward) {
    const int to = graph_.rank[way.stage];
    double arrival = end + way.time;
    if (to != rank) arrival += WaitForLink(rank, to, way.edge, end);
    StageProgress& taker = stages_[way.stage];
    double& time =
        (backward ? taker.gradient_time : taker.input_time)[microbatch];
    time = std::max(time, arrival);
    int& missing =
        (backward ? taker.gradients_missing : taker.inputs_missing)[microbatch];
    if (--missing == 0 && to != rank) agenda_.push({time, to});
  }

  // How long a message waits for those before it.
  double WaitForLink(int from, int to, int edge, double now) {
    const auto given = costs_.links.find({from, to});
    const LinkCost& link =
        given == costs_.links.end() ? costs_.link : given->second;
    if (!link.serialised || link.bandwidth <= 0 ||
        edge >= static_cast<int>(costs_.edge_bytes.size())) {
      return 0;
    }
    double& free = link_free_[{from, to}];
    const double start = std::max(now, free);
    free =
        start + static_cast<double>(costs_.edge_bytes[edge]) / link.bandwidth;
    return start - now;
  }

  const CostModel& costs_;
  const ActionPriorities& priorities_;
  const ListScheduleOptions& options_;
  const StageGraph graph_;
  const int m_;
  const double share_;
  Schedule schedule_;
  std::vector<StageProgress> stages_;
  std::vector<RankProgress> ranks_;
  absl::flat_hash_map<std::pair<int, int>, double> link_free_;
  std::vector<Choice> choices_;
  // When a rank may have something to do.
  std::priority_queue<std::pair<double, int>,
                      std::vector<std::pair<double, int>>, std::greater<>>
      agenda_;
};

}  // namespace

absl::StatusOr<Schedule> ListSchedule(const Schedule& outline,
                                      const CostModel& costs,
                                      const ActionPriorities& priorities,
                                      const ListScheduleOptions& options) {
  PENSTOCK_ASSIGN_OR_RETURN(StageGraph graph, StageGraphOf(outline, costs));
  const size_t cells = static_cast<size_t>(outline.num_stages()) *
                       std::max(0, outline.num_microbatches);
  for (const std::vector<double>* numbers :
       {&priorities.forward, &priorities.backward, &priorities.weight}) {
    if (numbers->size() == cells) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(numbers->size(), " priorities for ", cells, " actions"));
  }
  return ListScheduler(outline, costs, priorities, options, std::move(graph))
      .Run();
}

}  // namespace penstock
