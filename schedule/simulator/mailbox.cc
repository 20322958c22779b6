#include "schedule/simulator/mailbox.h"

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

// 32 bytes each.
constexpr size_t kMaxMessages = size_t{1} << 27;

// What is wrong with an action's numbers; empty: nothing.
std::string FaultOf(const Schedule& schedule, const Action& action) {
  if (action.op == Op::kAgreeNorm) return "";
  const int stage = action.stage.value();
  if (stage < 0 || stage >= schedule.num_stages()) {
    return absl::StrCat("there is no stage ", stage, " of ",
                        schedule.num_stages());
  }
  if (IsSend(action.op) || IsReceive(action.op)) {
    const int edge = action.edge.value();
    const int peer = action.peer.value();
    if (edge < 0 || edge >= static_cast<int>(schedule.edges.size())) {
      return absl::StrCat("there is no edge ", edge, " of ",
                          schedule.edges.size());
    }
    if (peer < 0 || peer >= schedule.num_ranks()) {
      return absl::StrCat("there is no rank ", peer, " of ",
                          schedule.num_ranks());
    }
    if (action.microbatch == kWholeStep) return "";
  } else if (!IsCompute(action.op)) {
    return "";
  }
  if (action.microbatch.value() < 0 || action.num_microbatches < 1) {
    return absl::StrCat("microbatch ", action.microbatch.value(), " x ",
                        action.num_microbatches, ", want 0 or more");
  }
  return "";
}

int64_t EndOf(const Action& action) {
  return static_cast<int64_t>(action.microbatch.value()) +
         action.num_microbatches;
}

// How many microbatches the lists name.
struct Extent {
  int64_t microbatches = 0;
  int64_t forwards = 0;
  bool halves = false;
  bool communicates = false;
};

absl::StatusOr<Extent> ExtentOf(const Schedule& schedule) {
  Extent extent;
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    const std::vector<Action>& actions = schedule.ranks[rank];
    for (int i = 0; i < static_cast<int>(actions.size()); ++i) {
      const Action& action = actions[i];
      if (std::string fault = FaultOf(schedule, action); !fault.empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat("schedule ", schedule.name, ", r", rank, " action ", i,
                         ", ", ToString(action, schedule.edges), ": ", fault));
      }
      const bool moves = IsSend(action.op) || IsReceive(action.op);
      extent.communicates |= moves;
      if (!moves && !IsCompute(action.op)) continue;
      extent.microbatches = std::max(extent.microbatches, EndOf(action));
      extent.halves |= action.half != Half::kWhole;
      if (action.op == Op::kForward) extent.forwards += action.num_microbatches;
    }
  }
  if (extent.microbatches * schedule.num_stages() > extent.forwards) {
    return absl::InvalidArgumentError(absl::StrCat(
        "schedule ", schedule.name, " is not complete: ", schedule.num_stages(),
        " stages x ", extent.microbatches, " microbatches, but ",
        extent.forwards,
        " forwards; verify the schedule to see which are missing"));
  }
  return extent;
}

}  // namespace

absl::StatusOr<Mailbox> Mailbox::Of(const Schedule& schedule) {
  PENSTOCK_ASSIGN_OR_RETURN(const Extent extent, ExtentOf(schedule));
  Mailbox mailbox;
  mailbox.communicates_ = extent.communicates;
  mailbox.num_microbatches_ = extent.microbatches;
  mailbox.halves_ = extent.halves ? 2 : 1;
  const size_t per_edge = 2 * mailbox.num_microbatches_ * mailbox.halves_;
  if (schedule.edges.size() > kMaxMessages / std::max<size_t>(1, per_edge)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "schedule ", schedule.name, ": ", schedule.edges.size(), " edges x ",
        extent.microbatches, " microbatches are more than ", kMaxMessages,
        " messages; simulate fewer microbatches"));
  }
  mailbox.in_.resize(schedule.num_stages());
  mailbox.out_.resize(schedule.num_stages());
  for (int i = 0; i < static_cast<int>(schedule.edges.size()); ++i) {
    const Edge& edge = schedule.edges[i];
    const int from = edge.from.value(), to = edge.to.value();
    if (from < 0 || from >= schedule.num_stages() || to < 0 ||
        to >= schedule.num_stages()) {
      return absl::InvalidArgumentError(
          absl::StrCat("schedule ", schedule.name, ": edge ", i, " (",
                       edge.tensor, ") leads from stage ", from, " to ", to,
                       ", of ", schedule.num_stages()));
    }
    mailbox.from_.push_back(from);
    mailbox.to_.push_back(to);
    if (edge.kind != EdgeKind::kActivation) continue;
    mailbox.out_[from].push_back(i);
    mailbox.in_[to].push_back(i);
  }
  mailbox.messages_.resize(schedule.edges.size() * per_edge);
  if (!mailbox.communicates_) mailbox.FindOwners(schedule);
  return mailbox;
}

void Mailbox::FindOwners(const Schedule& schedule) {
  bool shared = false;
  for (const std::vector<RankId>& holders : schedule.placement) {
    const bool only = holders.size() == 1 && holders[0].value() >= 0 &&
                      holders[0].value() < schedule.num_ranks();
    only_rank_.push_back(only ? holders[0].value() : -1);
    shared |= !only;
  }
  if (!shared) return;
  owners_.assign(num_microbatches_ * schedule.num_stages(), -1);
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    for (const Action& action : schedule.ranks[rank]) {
      if (action.op != Op::kForward) continue;
      for (int i = 0; i < action.num_microbatches; ++i) {
        owners_[action.stage.value() * num_microbatches_ +
                action.microbatch.value() + i] = rank;
      }
    }
  }
}

Shipment Mailbox::ShipmentTo(int rank, const Action& receive) const {
  Shipment shipment{.edge = receive.edge,
                    .backward = receive.op == Op::kReceiveBackward,
                    .microbatch = receive.microbatch,
                    .half = receive.half,
                    .to = RankId(rank),
                    .from = receive.peer};
  if (receive.microbatch == kWholeStep) {
    const auto channel = whole_steps_.find(KeyOf(shipment));
    if (channel != whole_steps_.end()) {
      shipment.occurrence = channel->second.received;
    }
  }
  return shipment;
}

Shipment Mailbox::NextShipmentOf(int rank, const Action& send) {
  Shipment shipment{.edge = send.edge,
                    .backward = send.op == Op::kSendBackward,
                    .microbatch = send.microbatch,
                    .half = send.half,
                    .to = send.peer,
                    .from = RankId(rank)};
  if (send.microbatch == kWholeStep) {
    shipment.occurrence = whole_steps_[KeyOf(shipment)].sent++;
  }
  return shipment;
}

void Mailbox::Took(int rank, const Action& receive) {
  if (receive.microbatch != kWholeStep) return;
  ++whole_steps_[KeyOf(ShipmentTo(rank, receive))].received;
}

Message& Mailbox::WholeStep(const Shipment& shipment) {
  std::deque<Message>& messages = whole_steps_[KeyOf(shipment)].messages;
  while (static_cast<int>(messages.size()) <= shipment.occurrence) {
    messages.emplace_back();
  }
  return messages[shipment.occurrence];
}

}  // namespace penstock
