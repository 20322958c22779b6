#ifndef PENSTOCK_SCHEDULE_SIMULATOR_MAILBOX_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_MAILBOX_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// What the simulator knows of one tensor of one microbatch (or one half of it)
// on its way along one edge. Times are negative until they are known.
struct Message {
  double made = -1;
  double arrival = -1;
  int32_t from_rank = -1;
  int32_t from_position = -1;
  // Index into Timeline::transfers; -1: not recorded.
  int32_t transfer = -1;
  // The rank to wake when `arrival` is known; -1: none.
  int32_t waiter : 31 = -1;
  uint32_t receive_posted : 1 = 0;
};

// What one send puts on its way.
struct Shipment {
  EdgeId edge;
  bool backward = false;
  MicrobatchId microbatch;
  Half half = Half::kWhole;
  RankId to;
  // Tells apart the whole-step messages of one channel; else 0.
  RankId from;
  int occurrence = 0;
};

// The messages of one run of a schedule, and which actions make and take them:
// sends and receives where the lists have them, else the compute actions, along
// the schedule's edges. Memory is a few bytes for each edge and microbatch.
class Mailbox {
 public:
  //   INVALID_ARGUMENT  an action names a stage, edge, rank or microbatch that
  //                     does not exist, or fewer actions than a complete
  //                     schedule with so many microbatches has.
  static absl::StatusOr<Mailbox> Of(const Schedule& schedule);

  // Whether the lists hold sends or receives.
  bool communicates() const { return communicates_; }

  // Calls `visit(Message&)` for all that the action takes.
  template <typename Visit>
  void ForInputs(int rank, const Action& action, Visit visit) {
    if (communicates_) {
      if (IsReceive(action.op)) ForMessages(ShipmentTo(rank, action), visit);
      return;
    }
    const bool forward = action.op == Op::kForward;
    if (!forward && !GivesGradient(action.op)) return;
    for (const int edge : (forward ? in_ : out_)[action.stage.value()]) {
      for (int i = 0; i < action.num_microbatches; ++i) {
        ForMessages({.edge = EdgeId(edge),
                     .backward = !forward,
                     .microbatch = MicrobatchId(action.microbatch.value() + i),
                     .half = action.half},
                    visit);
      }
    }
  }

  // Calls `visit(const Shipment&)` for all that the action, once it has ended,
  // puts on its way; those to `rank` itself need no link. Once per action.
  template <typename Visit>
  void ForOutputs(int rank, const Action& action, Visit visit) {
    if (communicates_) {
      if (IsSend(action.op)) visit(NextShipmentOf(rank, action));
      if (IsReceive(action.op)) Took(rank, action);
      return;
    }
    const bool forward = action.op == Op::kForward;
    if (!forward && !GivesGradient(action.op)) return;
    for (const int edge : (forward ? out_ : in_)[action.stage.value()]) {
      for (int i = 0; i < action.num_microbatches; ++i) {
        const MicrobatchId microbatch(action.microbatch.value() + i);
        const RankId to = TakerOf(edge, !forward, microbatch);
        if (to.value() < 0) continue;
        visit(Shipment{.edge = EdgeId(edge),
                       .backward = !forward,
                       .microbatch = microbatch,
                       .half = action.half,
                       .to = to});
      }
    }
  }

  // Calls `visit(Message&)` for the one or two halves of the shipment.
  template <typename Visit>
  void ForMessages(const Shipment& shipment, Visit visit) {
    if (shipment.microbatch == kWholeStep) {
      visit(WholeStep(shipment));
      return;
    }
    Message* first = &messages_[IndexOf(shipment)];
    if (halves_ == 1 || shipment.half != Half::kSecond) visit(first[0]);
    if (halves_ == 2 && shipment.half != Half::kFirst) visit(first[1]);
  }

  // The shipment that a receive of `rank` takes next.
  Shipment ShipmentTo(int rank, const Action& receive) const;

 private:
  // Edge, whether backward, sending and receiving rank.
  using ChannelKey = std::tuple<int, bool, int, int>;
  struct WholeStepChannel {
    std::deque<Message> messages;
    int sent = 0;
    int received = 0;
  };

  static bool GivesGradient(Op op) {
    return op == Op::kBackward || op == Op::kBackwardInput;
  }
  static ChannelKey KeyOf(const Shipment& shipment) {
    return {shipment.edge.value(), shipment.backward, shipment.from.value(),
            shipment.to.value()};
  }

  size_t IndexOf(const Shipment& shipment) const {
    const size_t channel = 2 * static_cast<size_t>(shipment.edge.value()) +
                           (shipment.backward ? 1 : 0);
    return (channel * num_microbatches_ + shipment.microbatch.value()) *
           halves_;
  }

  // The rank that runs the other end of the edge for the microbatch; -1: none.
  RankId TakerOf(int edge, bool backward, MicrobatchId microbatch) const {
    const int stage = backward ? from_[edge] : to_[edge];
    if (only_rank_[stage] >= 0) return RankId(only_rank_[stage]);
    return RankId(owners_[stage * num_microbatches_ + microbatch.value()]);
  }

  Shipment NextShipmentOf(int rank, const Action& send);
  void Took(int rank, const Action& receive);
  Message& WholeStep(const Shipment& shipment);
  void FindOwners(const Schedule& schedule);

  bool communicates_ = false;
  size_t num_microbatches_ = 0;
  size_t halves_ = 1;
  // Index is the edge: its stages; -1 for one that is no activation.
  std::vector<int> from_, to_;
  // Index is the stage: the activation edges into and out of it.
  std::vector<std::vector<int>> in_, out_;
  // Index is the stage: its rank, if it is on one only; else -1, and `owners_`
  // (by stage and microbatch) has the rank with the F.
  std::vector<int> only_rank_;
  std::vector<int32_t> owners_;
  std::vector<Message> messages_;
  absl::flat_hash_map<ChannelKey, WholeStepChannel> whole_steps_;
};

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_MAILBOX_H_
