#include "schedule/verifier/subject.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

size_t CountActions(const Schedule& schedule) {
  size_t count = 0;
  for (const std::vector<Action>& actions : schedule.ranks) {
    count += actions.size();
  }
  return count;
}

// Whether the fields that say how much of a microbatch it is fit its op.
bool HasFittingExtent(const Action& action) {
  const bool span = action.num_microbatches == 1 ||
                    (action.op == Op::kForward && action.num_microbatches == 2);
  const bool half = action.half == Half::kWhole || IsBackward(action.op) ||
                    action.op == Op::kSendBackward ||
                    action.op == Op::kReceiveBackward;
  return span && half && (!action.overlaps_next || IsCompute(action.op));
}

}  // namespace

Subject::Subject(const Schedule& schedule, std::optional<RankId> only,
                 bool lowered)
    : schedule_(schedule),
      lowered_(lowered),
      num_actions_(CountActions(schedule)),
      only_rank_(schedule.num_stages()),
      holders_(schedule.placement),
      takes_(schedule.num_stages()),
      makes_(schedule.num_stages()),
      cells_(schedule.num_stages(), schedule.num_microbatches, num_actions_) {
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    if (!only || RankId(rank) == *only) ranks_.push_back(RankId(rank));
  }
  for (int stage = 0; stage < schedule.num_stages(); ++stage) {
    const std::vector<RankId>& holders = schedule.placement[stage];
    if (holders.size() == 1 && Exists(holders[0])) {
      only_rank_[stage] = holders[0];
    }
    std::sort(holders_[stage].begin(), holders_[stage].end());
  }
  FindEdges();
  for (const RankId rank : ranks_) FindForwards(rank);
  for (const RankId rank : ranks_) FindOthers(rank);
}

void Subject::FindEdges() {
  for (size_t i = 0; i < schedule_.edges.size(); ++i) {
    const Edge& edge = schedule_.edges[i];
    if (edge.kind != EdgeKind::kActivation || !IsSound(edge)) continue;
    const EdgeId id(static_cast<int>(i));
    makes_[edge.from.value()].push_back({id, edge.to});
    takes_[edge.to.value()].push_back({id, edge.from});
  }
}

void Subject::FindForwards(RankId rank) {
  const std::vector<Action>& list = actions(rank);
  for (size_t i = 0; i < list.size(); ++i) {
    const Action& action = list[i];
    if (action.op != Op::kForward || !IsPlaced(rank, action)) continue;
    for (int k = 0; k < action.num_microbatches; ++k) {
      Cell& cell =
          cells_.At(action.stage.value(), action.microbatch.value() + k);
      if (cell.forward >= 0) continue;
      cell.forward = static_cast<int>(i);
      cell.holder = rank;
    }
  }
}

void Subject::FindOthers(RankId rank) {
  const std::vector<Action>& list = actions(rank);
  for (size_t i = 0; i < list.size(); ++i) {
    const Action& action = list[i];
    if (!IsCompute(action.op) || action.op == Op::kForward ||
        !IsOwn(rank, action)) {
      continue;
    }
    const int position = static_cast<int>(i);
    Cell& cell = cells_.At(action.stage.value(), action.microbatch.value());
    if (action.op == Op::kRecompute) {
      if (cell.recompute < 0) cell.recompute = position;
      continue;
    }
    const HalfRange halves(action.half);
    for (int h = halves.first; h < halves.end; ++h) {
      int& backward = cell.backward[h];
      int& weight = cell.weight[h];
      if (GivesGradient(action.op) && backward < 0) backward = position;
      if (GivesWeightGradient(action.op) && weight < 0) weight = position;
    }
  }
}

bool Subject::ListIsThere(RankId rank) const {
  return std::binary_search(ranks_.begin(), ranks_.end(), rank);
}

bool Subject::AllListsThere() const {
  return static_cast<int>(ranks_.size()) == schedule_.num_ranks();
}

bool Subject::Exists(RankId rank) const {
  return 0 <= rank.value() && rank.value() < schedule_.num_ranks();
}

bool Subject::Exists(StageId stage) const {
  return 0 <= stage.value() && stage.value() < schedule_.num_stages();
}

bool Subject::Holds(RankId rank, StageId stage) const {
  if (!Exists(stage)) return false;
  const std::vector<RankId>& holders = holders_[stage.value()];
  return std::binary_search(holders.begin(), holders.end(), rank);
}

bool Subject::IsShared(StageId stage) const {
  return schedule_.placement[stage.value()].size() > 1;
}

bool Subject::IsSound(const Edge& edge) const {
  return Exists(edge.from) && Exists(edge.to) && edge.from != edge.to;
}

bool Subject::IsPlaced(RankId rank, const Action& action) const {
  if (!HasFittingExtent(action)) return false;
  if (action.op == Op::kAgreeNorm) return true;
  if (!Holds(rank, action.stage)) return false;
  const int microbatch = action.microbatch.value();
  const int beyond = schedule_.num_microbatches - action.num_microbatches;
  const bool in_range = 0 <= microbatch && microbatch <= beyond;
  if (IsCompute(action.op)) return in_range;
  if (!IsSend(action.op) && !IsReceive(action.op)) return true;
  return WhyCommunicationIsMisplaced(rank, action).empty();
}

bool Subject::IsOwn(RankId rank, const Action& action) const {
  if (!IsPlaced(rank, action)) return false;
  if (!IsCompute(action.op)) return true;
  const RankId holder = HolderOf(action.stage, action.microbatch.value());
  return holder.value() < 0 || holder == rank;
}

std::string Subject::WhyMisplaced(RankId rank, const Action& action) const {
  if (!HasFittingExtent(action)) {
    return "only F carries several microbatches (two), only B, I, W, SB and RB "
           "are of a half, and only F, B, I, W and R overlap what follows";
  }
  if (action.op == Op::kAgreeNorm) return "";
  if (!Exists(action.stage)) {
    return absl::StrCat("there is no stage ", action.stage.value(), " of ",
                        schedule_.num_stages());
  }
  if (!Holds(rank, action.stage)) {
    return absl::StrCat("stage ", action.stage.value(), " is not on r",
                        rank.value());
  }
  if (IsCompute(action.op)) {
    if (IsPlaced(rank, action)) return "";
    return absl::StrCat("there is no microbatch ",
                        action.microbatch.value() + action.num_microbatches - 1,
                        " of ", schedule_.num_microbatches);
  }
  if (!IsSend(action.op) && !IsReceive(action.op)) return "";
  return WhyCommunicationIsMisplaced(rank, action);
}

std::string Subject::WhyCommunicationIsMisplaced(RankId rank,
                                                 const Action& action) const {
  const int index = action.edge.value();
  if (index < 0 || index >= static_cast<int>(schedule_.edges.size())) {
    return absl::StrCat("there is no edge ", index, " of ",
                        schedule_.edges.size());
  }
  const Edge& edge = schedule_.edges[index];
  if (!IsSound(edge)) return absl::StrCat("its edge ", index, " is unsound");
  const bool at_maker =
      action.op == Op::kSendForward || action.op == Op::kReceiveBackward;
  const StageId here = at_maker ? edge.from : edge.to;
  const StageId there = at_maker ? edge.to : edge.from;
  if (action.stage != here) {
    return absl::StrCat("this end of ", edge.tensor, " is stage ",
                        here.value());
  }
  if (!Exists(action.peer) || action.peer == rank ||
      !Holds(action.peer, there)) {
    return absl::StrCat("its peer has to be another rank that holds stage ",
                        there.value(), ", got r", action.peer.value());
  }
  const int microbatch = action.microbatch.value();
  if (edge.kind == EdgeKind::kTiedWeight) {
    return action.microbatch == kWholeStep && action.half == Half::kWhole
               ? ""
               : "a tied weight goes once a step; want * for the microbatch";
  }
  if (microbatch < 0 || microbatch >= schedule_.num_microbatches) {
    return absl::StrCat("want a microbatch from 0 to ",
                        schedule_.num_microbatches - 1);
  }
  for (const auto& [stage, wanted] :
       {std::pair(here, rank), std::pair(there, action.peer)}) {
    const RankId holder = HolderOf(stage, microbatch);
    if (holder.value() < 0 || holder == wanted) continue;
    return absl::StrCat("microbatch ", microbatch, " of stage ", stage.value(),
                        " is run on r", holder.value(), ", not on r",
                        wanted.value());
  }
  return "";
}

std::string Subject::TextOf(const Action& action) const {
  return ToString(action, schedule_.edges);
}

bool IsBackward(Op op) {
  return GivesGradient(op) || op == Op::kBackwardWeight;
}

bool GivesGradient(Op op) {
  return op == Op::kBackward || op == Op::kBackwardInput;
}

bool GivesWeightGradient(Op op) {
  return op == Op::kBackward || op == Op::kBackwardWeight;
}

}  // namespace penstock
