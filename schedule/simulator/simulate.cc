#include "schedule/simulator/simulate.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <queue>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "schedule/ir/text_format.h"
#include "schedule/simulator/action_time.h"
#include "schedule/simulator/check_costs.h"
#include "schedule/simulator/mailbox.h"
#include "schedule/simulator/reductions.h"

namespace penstock {
namespace {

struct RankState {
  int head = 0;
  // Receives before this position have been posted.
  int posted_until = 0;
  // When the rank turns to the action at its head.
  double clock = 0;
  // Whether the action at the head has begun; its event says when it ends.
  bool running = false;
  // Between the two of a pair that overlaps: when the second may have begun,
  // which is before `clock`.
  std::optional<double> pair_begin;
  int norms = 0;
  bool at_barrier = false;
};

struct Barrier {
  int arrived = 0;
  double time = 0;
  RankId last;
  int last_position = -1;
};

struct Link {
  LinkCost cost;
  double free = 0;
};

// What the last input of an action to arrive was.
struct Inputs {
  bool known = true;
  double arrival = -1;
  double made = -1;
  RankId from;
  int from_position = -1;
};

class Simulator {
 public:
  Simulator(const Schedule& schedule, const CostModel& costs,
            const SimulateOptions& options, Mailbox mailbox)
      : schedule_(schedule),
        costs_(costs),
        options_(options),
        mailbox_(std::move(mailbox)),
        ranks_(schedule.num_ranks()),
        reductions_(schedule) {
    gated_ = mailbox_.communicates() && costs.link.eager_bytes.has_value();
    for (const auto& [ends, link] : costs.links) {
      gated_ |= mailbox_.communicates() && link.eager_bytes.has_value();
    }
    timeline_.ranks.resize(schedule.num_ranks());
    for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
      timeline_.ranks[rank].resize(schedule.ranks[rank].size());
    }
  }

  absl::StatusOr<Timeline> Run() {
    for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
      agenda_.push({0, rank});
    }
    while (!agenda_.empty()) {
      const auto [now, rank] = agenda_.top();
      agenda_.pop();
      Resume(rank, now);
    }
    for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
      if (ranks_[rank].head < Size(rank)) return Stuck(rank);
    }
    return std::move(timeline_);
  }

 private:
  int Size(int rank) const {
    return static_cast<int>(schedule_.ranks[rank].size());
  }
  const Action& HeadOf(int rank) const {
    return schedule_.ranks[rank][ranks_[rank].head];
  }

  absl::Status Stuck(int rank) const {
    const RankState& state = ranks_[rank];
    return absl::FailedPreconditionError(
        absl::StrCat("schedule ", schedule_.name, " does not run to its end: r",
                     rank, " waits for ever at action ", state.head, ", ",
                     ToString(HeadOf(rank), schedule_.edges),
                     "; verify the schedule to see why"));
  }

  // Lets the rank do what it can do by `now`.
  void Resume(int rank, double now) {
    RankState& state = ranks_[rank];
    if (state.running) Finish(rank);
    while (state.head < Size(rank)) {
      if (gated_) PostReceives(rank, now);
      if (!Begin(rank)) return;
      state.running = true;
      const double end = timeline_.ranks[rank][state.head].end;
      if (end > now && !agenda_.empty() && agenda_.top().first <= end) {
        agenda_.push({end, rank});
        return;
      }
      now = std::max(now, end);
      Finish(rank);
    }
  }

  // Sets when the rank's next action starts and ends; false, and the rank is
  // woken when it may be known, if it waits for something not yet made.
  bool Begin(int rank) {
    RankState& state = ranks_[rank];
    const Action& action = HeadOf(rank);
    TimelineEvent& event = timeline_.ranks[rank][state.head];
    event.overhead = costs_.action_overhead;
    Inputs inputs;
    CollectInputs(rank, action, &inputs);
    if (!inputs.known) return false;
    if (action.op == Op::kAgreeNorm) return BeginNorm(rank, inputs, &event);
    const double ready = state.clock + event.overhead;
    const bool waited = inputs.arrival > ready;
    if (waited) {
      event.inputs_made = inputs.made;
      event.after_rank = inputs.from;
      event.after_position = inputs.from_position;
    } else if (state.head > 0) {
      event.after_rank = RankId(rank);
      event.after_position = state.head - 1;
    }
    if (IsReceive(action.op)) {
      event.start = state.clock;
      event.end = std::max(ready, inputs.arrival);
      if (state.pair_begin) {
        state.pair_begin = std::max(*state.pair_begin, inputs.arrival);
      }
      return true;
    }
    const double begin = state.pair_begin && IsCompute(action.op)
                             ? *state.pair_begin
                             : state.clock;
    event.start = std::max(begin, inputs.arrival - event.overhead);
    event.end = std::max(state.clock,
                         event.start + event.overhead +
                             ActionTime(schedule_, costs_, rank, state.head));
    if (IsCompute(action.op)) state.pair_begin.reset();
    if (action.overlaps_next) {
      const double gain = PairGain(schedule_, costs_, rank, state.head);
      if (gain > 0) state.pair_begin = event.end - gain;
    }
    return true;
  }

  // N: the rank has come when what it waits for itself is there.
  bool BeginNorm(int rank, const Inputs& inputs, TimelineEvent* event) {
    RankState& state = ranks_[rank];
    if (static_cast<int>(norms_.size()) <= state.norms) norms_.emplace_back();
    Barrier& barrier = norms_[state.norms];
    if (!state.at_barrier) {
      state.at_barrier = true;
      const double arrival =
          std::max(state.clock + event->overhead, inputs.arrival);
      if (arrival >= barrier.time) {
        barrier = {.arrived = barrier.arrived,
                   .time = arrival,
                   .last = RankId(rank),
                   .last_position = state.head};
      }
      if (++barrier.arrived == schedule_.num_ranks()) {
        for (int other = 0; other < schedule_.num_ranks(); ++other) {
          if (other != rank) agenda_.push({state.clock, other});
        }
      }
    }
    if (barrier.arrived < schedule_.num_ranks()) return false;
    event->start = state.clock;
    event->end = barrier.time + costs_.agree_norm;
    event->inputs_made = barrier.time;
    if (barrier.last_position > 0) {
      event->after_rank = barrier.last;
      event->after_position = barrier.last_position - 1;
    }
    return true;
  }

  // The last of the messages that the action takes, and of the reductions that
  // it waits for, to be there.
  void CollectInputs(int rank, const Action& action, Inputs* inputs) {
    mailbox_.ForInputs(rank, action, [&](Message& message) {
      if (!inputs->known) return;
      if (message.arrival < 0) {
        message.waiter = rank;
        inputs->known = false;
        return;
      }
      if (message.transfer >= 0) {
        timeline_.transfers[message.transfer].to_position = ranks_[rank].head;
      }
      if (message.arrival > inputs->arrival) {
        inputs->arrival = message.arrival;
        inputs->made = message.made;
        inputs->from = RankId(message.from_rank);
        inputs->from_position = message.from_position;
      }
    });
    reductions_.ForWaits(rank, action, [&](Reduction& reduction) {
      if (!inputs->known) return;
      if (reduction.end_time < 0) {
        reduction.waiters.push_back(rank);
        inputs->known = false;
      } else if (reduction.end_time > inputs->arrival) {
        inputs->arrival = reduction.end_time;
        inputs->made = reduction.start_time;
        inputs->from = reduction.last;
        inputs->from_position = reduction.last_position;
      }
    });
  }

  // Ends the action at the rank's head.
  void Finish(int rank) {
    RankState& state = ranks_[rank];
    const Action& action = HeadOf(rank);
    const double end = timeline_.ranks[rank][state.head].end;
    state.running = false;
    state.clock = std::max(state.clock, end);
    if (action.op == Op::kAgreeNorm) {
      ++state.norms;
      state.at_barrier = false;
    } else if (action.op == Op::kReduceGradient) {
      const double time = costs_.stages[action.stage.value()].reduce;
      for (const int waiter :
           reductions_.Start(rank, state.head, action, end, time)) {
        agenda_.push({end, waiter});
      }
    } else {
      mailbox_.ForOutputs(rank, action, [&](const Shipment& shipment) {
        Send(rank, end, shipment);
      });
    }
    ++state.head;
  }

  void Send(int rank, double now, const Shipment& shipment) {
    int transfer = -1;
    if (options_.record_transfers && shipment.to.value() != rank) {
      transfer = static_cast<int>(timeline_.transfers.size());
      timeline_.transfers.push_back({.edge = shipment.edge,
                                     .backward = shipment.backward,
                                     .microbatch = shipment.microbatch,
                                     .half = shipment.half,
                                     .from = RankId(rank),
                                     .from_position = ranks_[rank].head,
                                     .to = shipment.to,
                                     .posted = now});
    }
    bool receive_posted = true;
    mailbox_.ForMessages(shipment, [&](Message& message) {
      message.made = now;
      message.from_rank = rank;
      message.from_position = ranks_[rank].head;
      message.transfer = transfer;
      receive_posted &= message.receive_posted;
    });
    if (shipment.to.value() == rank) {
      Deliver(shipment, now, now);
    } else if (receive_posted || !gated_ || IsEager(rank, shipment)) {
      StartTransfer(rank, now, shipment);
    }
  }

  int64_t BytesOf(const Shipment& shipment) const {
    const size_t edge = shipment.edge.value();
    if (edge >= costs_.edge_bytes.size()) return 0;
    return costs_.edge_bytes[edge] / (shipment.half == Half::kWhole ? 1 : 2);
  }

  bool IsEager(int from, const Shipment& shipment) {
    const LinkCost& cost = LinkBetween(from, shipment.to.value()).cost;
    return !cost.eager_bytes || BytesOf(shipment) <= *cost.eager_bytes;
  }

  Link& LinkBetween(int from, int to) {
    const auto [entry, added] = links_.try_emplace({from, to});
    if (added) {
      const auto given = costs_.links.find({from, to});
      entry->second.cost =
          given == costs_.links.end() ? costs_.link : given->second;
    }
    return entry->second;
  }

  void StartTransfer(int from, double now, const Shipment& shipment) {
    Link& link = LinkBetween(from, shipment.to.value());
    const double occupied =
        link.cost.bandwidth > 0 ? BytesOf(shipment) / link.cost.bandwidth : 0;
    double start = now;
    if (link.cost.serialised) {
      start = std::max(now, link.free);
      link.free = start + occupied;
    }
    Deliver(shipment, start, start + occupied + link.cost.latency);
  }

  // The message is on its way and arrives at `arrival`, which may be later.
  void Deliver(const Shipment& shipment, double start, double arrival) {
    mailbox_.ForMessages(shipment, [&](Message& message) {
      message.arrival = arrival;
      if (message.transfer >= 0) {
        timeline_.transfers[message.transfer].start = start;
        timeline_.transfers[message.transfer].end = arrival;
      }
      if (message.waiter >= 0) {
        agenda_.push({start, static_cast<int>(message.waiter)});
        message.waiter = -1;
      }
    });
  }

  // Posts the receives that the rank's place in its list allows.
  void PostReceives(int rank, double now) {
    RankState& state = ranks_[rank];
    const int64_t until =
        std::min<int64_t>(Size(rank), static_cast<int64_t>(state.head) +
                                          options_.receive_lookahead + 1);
    for (; state.posted_until < until; ++state.posted_until) {
      const Action& action = schedule_.ranks[rank][state.posted_until];
      if (!IsReceive(action.op)) continue;
      int from = -1;
      mailbox_.ForInputs(rank, action, [&](Message& message) {
        message.receive_posted = true;
        if (message.made >= 0 && message.arrival < 0) from = message.from_rank;
      });
      if (from >= 0) {
        StartTransfer(from, now, mailbox_.ShipmentTo(rank, action));
      }
    }
  }

  const Schedule& schedule_;
  const CostModel& costs_;
  const SimulateOptions& options_;
  Mailbox mailbox_;
  // Whether some messages wait for their receives.
  bool gated_ = false;
  std::vector<RankState> ranks_;
  std::vector<Barrier> norms_;
  Reductions reductions_;
  absl::flat_hash_map<std::pair<int, int>, Link> links_;
  // When which rank can go on; equal times in the order of the ranks.
  std::priority_queue<std::pair<double, int>,
                      std::vector<std::pair<double, int>>, std::greater<>>
      agenda_;
  Timeline timeline_;
};

}  // namespace

absl::StatusOr<Timeline> Simulate(const Schedule& schedule,
                                  const CostModel& costs,
                                  const SimulateOptions& options) {
  PENSTOCK_RETURN_IF_ERROR(CheckCosts(schedule, costs));
  PENSTOCK_ASSIGN_OR_RETURN(Mailbox mailbox, Mailbox::Of(schedule));
  return Simulator(schedule, costs, options, std::move(mailbox)).Run();
}

}  // namespace penstock
