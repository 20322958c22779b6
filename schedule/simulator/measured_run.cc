#include "schedule/simulator/measured_run.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "schedule/simulator/steady_period.h"

namespace penstock {
namespace {

constexpr double kSecondsPerNano = 1e-9;

bool IsWork(Op op) { return IsCompute(op) || op == Op::kUpdate; }

// Edge, whether backward, microbatch, half, sending and receiving rank.
using MessageKey = std::tuple<int, bool, int, Half, int, int>;

MessageKey KeyOf(const Action& action, int from, int to) {
  const bool backward =
      action.op == Op::kSendBackward || action.op == Op::kReceiveBackward;
  return {action.edge.value(), backward, action.microbatch.value(),
          action.half,         from,     to};
}

absl::Status CheckTrace(const StepTrace& trace, int rank, int64_t step,
                        int actions) {
  const auto bad = [rank](const auto&... what) {
    return absl::InvalidArgumentError(
        absl::StrCat("trace of rank ", rank, ": ", what...));
  };
  if (trace.step() != step) {
    return bad("is of step ", trace.step(), ", rank 0's of step ", step);
  }
  if (trace.issued_size() != actions || trace.started_size() != actions ||
      trace.ended_size() != actions) {
    return bad("has ", trace.issued_size(), ", ", trace.started_size(), " and ",
               trace.ended_size(), " times for a list of ", actions,
               " actions");
  }
  int64_t before = 0;
  for (int i = 0; i < actions; ++i) {
    if (trace.issued(i) < before || trace.started(i) < trace.issued(i) ||
        trace.ended(i) < trace.started(i)) {
      return bad("the times of action ", i, " are not in order");
    }
    before = trace.ended(i);
  }
  return absl::OkStatus();
}

absl::Status CheckTraces(const Schedule& schedule,
                         const std::vector<StepTrace>& ranks) {
  if (static_cast<int>(ranks.size()) != schedule.num_ranks()) {
    return absl::InvalidArgumentError(
        absl::StrCat(ranks.size(), " traces for a schedule of ",
                     schedule.num_ranks(), " ranks"));
  }
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    PENSTOCK_RETURN_IF_ERROR(
        CheckTrace(ranks[rank], rank, ranks[0].step(),
                   static_cast<int>(schedule.ranks[rank].size())));
  }
  return absl::OkStatus();
}

// On rank 0's clock.
int64_t BeginOf(const StepTrace& trace) {
  return trace.start_nanos() + trace.clock_offset_nanos();
}

void AddEvents(const Schedule& schedule, int rank, const StepTrace& trace,
               int64_t origin, Timeline* timeline) {
  const auto at = [&](int64_t nanos) {
    return static_cast<double>(BeginOf(trace) - origin + nanos) *
           kSecondsPerNano;
  };
  for (int i = 0; i < trace.ended_size(); ++i) {
    TimelineEvent& event = timeline->ranks[rank].emplace_back();
    event.start = at(trace.issued(i));
    event.end = at(trace.ended(i));
    const Op op = schedule.ranks[rank][i].op;
    if (IsWork(op)) {
      event.overhead = at(trace.started(i)) - event.start;
    }
    if (i > 0) {
      event.after_rank = RankId(rank);
      event.after_position = i - 1;
    }
  }
}

void AddTransfers(const Schedule& schedule, const std::vector<StepTrace>& ranks,
                  int64_t origin, Timeline* timeline) {
  std::map<MessageKey, int> sends;
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    for (int i = 0; i < static_cast<int>(schedule.ranks[rank].size()); ++i) {
      const Action& action = schedule.ranks[rank][i];
      if (!IsSend(action.op)) continue;
      sends[KeyOf(action, rank, action.peer.value())] = i;
    }
  }
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    for (int i = 0; i < static_cast<int>(schedule.ranks[rank].size()); ++i) {
      const Action& action = schedule.ranks[rank][i];
      if (!IsReceive(action.op)) continue;
      const auto send = sends.find(KeyOf(action, action.peer.value(), rank));
      if (send == sends.end()) continue;
      const double posted =
          timeline->ranks[action.peer.value()][send->second].end;
      TimelineEvent& event = timeline->ranks[rank][i];
      const double there = static_cast<double>(BeginOf(ranks[rank]) - origin +
                                               ranks[rank].started(i)) *
                           kSecondsPerNano;
      event.inputs_made = posted;
      if (posted > event.start) {
        event.after_rank = action.peer;
        event.after_position = send->second;
      }
      timeline->transfers.push_back(
          {.edge = action.edge,
           .backward = action.op == Op::kReceiveBackward,
           .microbatch = action.microbatch,
           .half = action.half,
           .from = action.peer,
           .from_position = send->second,
           .to = RankId(rank),
           .to_position = i,
           .posted = posted,
           .start = posted,
           .end = std::max(posted, there)});
    }
  }
}

// When the last rank turned to its k-th N; index is k.
std::vector<double> NormArrivals(const Schedule& schedule,
                                 const Timeline& run) {
  std::vector<double> arrivals;
  for (size_t rank = 0; rank < run.ranks.size(); ++rank) {
    size_t count = 0;
    for (size_t i = 0; i < run.ranks[rank].size(); ++i) {
      if (schedule.ranks[rank][i].op != Op::kAgreeNorm) continue;
      if (count == arrivals.size()) arrivals.push_back(0);
      arrivals[count] = std::max(arrivals[count], run.ranks[rank][i].start);
      ++count;
    }
  }
  return arrivals;
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + values.size() / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double WorkOf(const TimelineEvent& event) {
  return event.end - event.start - event.overhead;
}

// Collects what one or several runs measured of a cost model's parts.
class CostSamples {
 public:
  CostSamples(const Schedule& schedule, const std::vector<int64_t>& edge_bytes)
      : schedule_(schedule), edge_bytes_(edge_bytes) {}

  void Add(const Timeline& run) {
    std::map<std::pair<int, int>, double> there;
    for (const Transfer& transfer : run.transfers) {
      const TimelineEvent& receive =
          run.ranks[transfer.to.value()][transfer.to_position];
      // Else it may have been there long before.
      if (receive.start >= transfer.posted) continue;
      there[{transfer.to.value(), transfer.to_position}] = transfer.end;
      const double seconds = transfer.end - transfer.posted;
      links_[{transfer.from.value(), transfer.to.value()}]
            [BytesOf(transfer.edge)]
                .push_back(seconds);
      all_links_.push_back(seconds);
    }
    const std::vector<double> arrivals = NormArrivals(schedule_, run);
    for (size_t rank = 0; rank < run.ranks.size(); ++rank) {
      size_t norms = 0;
      for (size_t i = 0; i < run.ranks[rank].size(); ++i) {
        const Action& action = schedule_.ranks[rank][i];
        const TimelineEvent& event = run.ranks[rank][i];
        if (action.op == Op::kAgreeNorm) {
          norms_.push_back(event.end - arrivals[norms++]);
        } else if (IsReceive(action.op)) {
          const auto waited = there.find({rank, i});
          receives_.push_back(event.end - (waited == there.end()
                                               ? event.start
                                               : waited->second));
        } else if (IsSend(action.op) || action.op == Op::kReduceGradient) {
          sends_.push_back(event.end - event.start);
        } else {
          double work = WorkOf(event) / action.num_microbatches;
          if (action.half != Half::kWhole) work *= 2;
          work_[{action.stage.value(), action.op}].push_back(work);
          overheads_.push_back(event.overhead);
        }
      }
    }
  }

  CostModel Costs() const {
    CostModel costs;
    costs.edge_bytes = edge_bytes_;
    for (int stage = 0; stage < schedule_.num_stages(); ++stage) {
      StageCost& cost = costs.stages.emplace_back();
      cost.forward = TimeOf(stage, Op::kForward);
      cost.input_gradient = TimeOf(stage, Op::kBackwardInput);
      cost.weight_gradient = TimeOf(stage, Op::kBackwardWeight);
      cost.update = TimeOf(stage, Op::kUpdate);
      if (Has(stage, Op::kBackward))
        cost.backward = TimeOf(stage, Op::kBackward);
      if (Has(stage, Op::kRecompute)) {
        cost.recompute = TimeOf(stage, Op::kRecompute);
      }
    }
    costs.link.latency = Median(all_links_);
    for (const auto& [ends, by_bytes] : links_) {
      costs.links[ends] = FitLink(by_bytes);
    }
    costs.agree_norm = std::max(0.0, Median(norms_));
    const double count = static_cast<double>(overheads_.size() + sends_.size() +
                                             receives_.size());
    if (count > 0) {
      costs.action_overhead =
          (Median(overheads_) * static_cast<double>(overheads_.size()) +
           Median(sends_) * static_cast<double>(sends_.size()) +
           Median(receives_) * static_cast<double>(receives_.size())) /
          count;
    }
    return costs;
  }

 private:
  int64_t BytesOf(EdgeId edge) const {
    const auto index = static_cast<size_t>(edge.value());
    return index < edge_bytes_.size() ? edge_bytes_[index] : 0;
  }
  bool Has(int stage, Op op) const { return work_.contains({stage, op}); }
  double TimeOf(int stage, Op op) const {
    const auto found = work_.find({stage, op});
    return found == work_.end() ? 0 : Median(found->second);
  }

  static LinkCost FitLink(
      const std::map<int64_t, std::vector<double>>& by_bytes) {
    const auto& [least, least_times] = *by_bytes.begin();
    const auto& [most, most_times] = *by_bytes.rbegin();
    const double first = Median(least_times);
    const double last = Median(most_times);
    if (least == most || last <= first) return {.latency = first};
    const double bandwidth = static_cast<double>(most - least) / (last - first);
    return {.latency =
                std::max(0.0, first - static_cast<double>(least) / bandwidth),
            .bandwidth = bandwidth};
  }

  const Schedule& schedule_;
  const std::vector<int64_t>& edge_bytes_;
  std::map<std::pair<int, Op>, std::vector<double>> work_;
  // By ends, then by the message's size.
  std::map<std::pair<int, int>, std::map<int64_t, std::vector<double>>> links_;
  std::vector<double> all_links_;
  std::vector<double> norms_;
  std::vector<double> overheads_;
  std::vector<double> sends_;
  std::vector<double> receives_;
};

int64_t BytesOf(DType dtype) {
  switch (dtype) {
    case DTYPE_BFLOAT16:
    case DTYPE_FLOAT16:
      return 2;
    case DTYPE_INT64:
      return 8;
    default:
      return 4;
  }
}

}  // namespace

std::vector<int64_t> EdgeBytes(const Plan& plan) {
  std::vector<int64_t> bytes;
  for (const TensorSpec& tensor : plan.edge_tensors()) {
    bytes.push_back(BytesOf(tensor.dtype()));
    for (const int64_t size : tensor.shape()) bytes.back() *= size;
  }
  return bytes;
}

absl::StatusOr<Timeline> MeasuredTimeline(const Schedule& schedule,
                                          const std::vector<StepTrace>& ranks) {
  PENSTOCK_RETURN_IF_ERROR(CheckTraces(schedule, ranks));
  Timeline timeline;
  timeline.ranks.resize(ranks.size());
  if (ranks.empty()) return timeline;
  int64_t origin = BeginOf(ranks[0]);
  for (const StepTrace& trace : ranks) {
    origin = std::min(origin, BeginOf(trace));
  }
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    AddEvents(schedule, rank, ranks[rank], origin, &timeline);
  }
  AddTransfers(schedule, ranks, origin, &timeline);
  const std::vector<double> arrivals = NormArrivals(schedule, timeline);
  for (size_t rank = 0; rank < timeline.ranks.size(); ++rank) {
    size_t norms = 0;
    for (size_t i = 0; i < timeline.ranks[rank].size(); ++i) {
      if (schedule.ranks[rank][i].op != Op::kAgreeNorm) continue;
      timeline.ranks[rank][i].inputs_made = arrivals[norms++];
    }
  }
  return timeline;
}

double StepSeconds(const std::vector<StepTrace>& ranks) {
  int64_t slowest = 0;
  for (const StepTrace& trace : ranks) {
    if (trace.ended().empty()) continue;
    slowest = std::max(slowest, *trace.ended().rbegin());
  }
  return static_cast<double>(slowest) * kSecondsPerNano;
}

CostModel MeasuredCosts(const Schedule& schedule,
                        const std::vector<Timeline>& runs,
                        std::vector<int64_t> edge_bytes) {
  CostSamples samples(schedule, edge_bytes);
  for (const Timeline& run : runs) samples.Add(run);
  return samples.Costs();
}

absl::StatusOr<WorkFractions> MeasureFractions(
    const Schedule& schedule, const std::vector<StepTrace>& ranks,
    std::vector<int64_t> edge_bytes) {
  const Schedule traced =
      TracedSchedule(schedule, ranks.empty() ? 1 : ranks[0].step());
  PENSTOCK_ASSIGN_OR_RETURN(const Timeline run,
                            MeasuredTimeline(traced, ranks));
  CostModel costs = MeasuredCosts(traced, {run}, std::move(edge_bytes));
  costs.action_overhead = 0;
  double most = 0, sum = 0;
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    std::vector<double>& times = costs.action_times.emplace_back();
    double work = 0;
    for (size_t i = 0; i < run.ranks[rank].size(); ++i) {
      const bool works = IsWork(traced.ranks[rank][i].op);
      times.push_back(works ? WorkOf(run.ranks[rank][i]) : -1);
      if (works) work += times.back();
    }
    most = std::max(most, work);
    sum += work;
  }
  PENSTOCK_ASSIGN_OR_RETURN(const SteadyPeriod ideal,
                            SimulateSteadyPeriod(schedule, costs));
  const double path = ideal.seconds;
  const double step = StepSeconds(ranks);
  WorkFractions fractions;
  fractions.work_seconds = sum;
  if (most > 0 && path > 0 && step > 0) {
    fractions.balance = sum / (most * schedule.num_ranks());
    fractions.schedule = std::min(1.0, most / path);
    fractions.runtime = std::min(1.0, path / step);
  }
  return fractions;
}

}  // namespace penstock
