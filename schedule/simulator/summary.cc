#include "schedule/simulator/summary.h"

#include <algorithm>

#include "schedule/simulator/memory.h"

namespace penstock {
namespace {

bool IsWork(Op op) { return IsCompute(op) || op == Op::kUpdate; }

double Clamp(double value, double low, double high) {
  return std::max(low, std::min(value, high));
}

// Goes through one rank's events in order.
class RankAccount {
 public:
  RankAccount(const std::vector<Action>& actions,
              const std::vector<TimelineEvent>& events)
      : actions_(actions),
        events_(events),
        size_(std::min(actions.size(), events.size())) {
    for (size_t i = 0; i < size_; ++i) {
      if (!IsCompute(actions[i].op) || events[i].start < 0) continue;
      if (first_compute_ == size_t(-1)) first_compute_ = i;
      last_compute_ = i;
    }
  }

  // `begin` and `end` are of the whole run.
  RankSummary Take(double begin, double end) {
    covered_ = begin;
    for (size_t i = 0; i < size_; ++i) {
      if (events_[i].start < 0) continue;
      AddEvent(i);
    }
    summary_.idle.warm_up += std::max(0.0, end - covered_);
    return summary_;
  }

 private:
  void AddEvent(size_t position) {
    const TimelineEvent& event = events_[position];
    const Op op = actions_[position].op;
    AddWait(position, covered_, event.start);
    covered_ = std::max(covered_, event.start);
    const double worked = Clamp(event.start + event.overhead, covered_,
                                std::max(covered_, event.end));
    summary_.idle.overhead += worked - covered_;
    covered_ = worked;
    const double rest = std::max(0.0, event.end - covered_);
    if (IsWork(op)) {
      summary_.busy += rest;
    } else if (IsSend(op)) {
      summary_.idle.communication += rest;
    } else {
      AddWait(position, covered_, event.end);
    }
    covered_ += rest;
    if (position == first_compute_) {
      summary_.first_start = event.start;
      busy_before_ = summary_.busy - rest;
    }
    if (position == last_compute_) {
      summary_.last_end = event.end;
      summary_.span_idle = std::max(0.0, event.end - summary_.first_start -
                                             (summary_.busy - busy_before_));
    }
  }

  // The time from `from` to `to`, in which the action waited.
  void AddWait(size_t position, double from, double to) {
    if (to <= from) return;
    const double made = events_[position].inputs_made;
    const double split = made < 0 ? to : Clamp(made, from, to);
    const bool outside = first_compute_ == size_t(-1) ||
                         position <= first_compute_ || position > last_compute_;
    (outside ? summary_.idle.warm_up : summary_.idle.dependency) +=
        split - from;
    summary_.idle.communication += to - split;
  }

  const std::vector<Action>& actions_;
  const std::vector<TimelineEvent>& events_;
  const size_t size_;
  size_t first_compute_ = -1;
  size_t last_compute_ = -1;
  // Until when the rank's time is accounted for.
  double covered_ = 0;
  double busy_before_ = 0;
  RankSummary summary_;
};

void AttributeImbalance(std::vector<RankSummary>* ranks) {
  double most = 0;
  for (const RankSummary& rank : *ranks) most = std::max(most, rank.busy);
  for (RankSummary& rank : *ranks) {
    double surplus = most - rank.busy;
    for (double* part : {&rank.idle.dependency, &rank.idle.warm_up}) {
      const double moved = std::min(surplus, *part);
      *part -= moved;
      rank.idle.imbalance += moved;
      surplus -= moved;
    }
  }
}

}  // namespace

TimelineSummary Summarise(const Schedule& schedule, const Timeline& timeline) {
  TimelineSummary summary;
  double begin = -1, end = 0;
  for (const std::vector<TimelineEvent>& events : timeline.ranks) {
    for (const TimelineEvent& event : events) {
      if (event.start < 0) continue;
      begin = begin < 0 ? event.start : std::min(begin, event.start);
      end = std::max(end, event.end);
    }
  }
  begin = std::max(begin, 0.0);
  summary.makespan = end - begin;
  double busy = 0, span = 0, span_idle = 0;
  for (int rank = 0; rank < schedule.num_ranks() &&
                     rank < static_cast<int>(timeline.ranks.size());
       ++rank) {
    summary.ranks.push_back(
        RankAccount(schedule.ranks[rank], timeline.ranks[rank])
            .Take(begin, end));
    RankSummary& account = summary.ranks.back();
    for (const MemoryPoint& point :
         MemoryOverTime(schedule, timeline, RankId(rank), nullptr)) {
      account.peak_in_flight =
          std::max(account.peak_in_flight, point.in_flight);
    }
    busy += account.busy;
    span += account.last_end - account.first_start;
    span_idle += account.span_idle;
  }
  AttributeImbalance(&summary.ranks);
  const double total = summary.makespan * summary.ranks.size();
  if (total > 0) summary.sync_bubble = std::max(0.0, 1 - busy / total);
  if (span > 0) summary.span_bubble = span_idle / span;
  return summary;
}

}  // namespace penstock
