#include "schedule/verifier/subject.h"

#include <algorithm>

#include "schedule/ir/text_format.h"

namespace penstock {

Subject::Subject(const Schedule& schedule, std::optional<RankId> only,
                 bool lowered)
    : schedule_(schedule), lowered_(lowered) {
  if (only) {
    if (Exists(*only)) ranks_ = {*only};
    return;
  }
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    ranks_.push_back(RankId(rank));
  }
}

bool Subject::Exists(RankId rank) const {
  return 0 <= rank.value() && rank.value() < schedule_.num_ranks();
}

bool Subject::Exists(StageId stage) const {
  return 0 <= stage.value() && stage.value() < schedule_.num_stages();
}

bool Subject::Holds(RankId rank, StageId stage) const {
  if (!Exists(stage)) return false;
  const std::vector<RankId>& holders = schedule_.placement[stage.value()];
  return std::find(holders.begin(), holders.end(), rank) != holders.end();
}

std::optional<RankId> Subject::OnlyRankOf(StageId stage) const {
  if (!Exists(stage)) return std::nullopt;
  const std::vector<RankId>& holders = schedule_.placement[stage.value()];
  if (holders.size() != 1 || !Exists(holders[0])) return std::nullopt;
  return holders[0];
}

bool Subject::IsSound(const Edge& edge) const {
  return Exists(edge.from) && Exists(edge.to) && edge.from != edge.to;
}

bool Subject::IsPlaced(RankId rank, const Action& action) const {
  if (action.op == Op::kAgreeNorm) return true;
  if (!Holds(rank, action.stage)) return false;
  const int microbatch = action.microbatch.value();
  const bool in_range =
      0 <= microbatch && microbatch < schedule_.num_microbatches;
  if (IsCompute(action.op)) return in_range;
  if (!IsSend(action.op) && !IsReceive(action.op)) return true;
  const int index = action.edge.value();
  if (index < 0 || index >= static_cast<int>(schedule_.edges.size())) {
    return false;
  }
  const Edge& edge = schedule_.edges[index];
  const bool at_maker =
      action.op == Op::kSendForward || action.op == Op::kReceiveBackward;
  const bool whole_step = action.microbatch == kWholeStep;
  return IsSound(edge) && action.stage == (at_maker ? edge.from : edge.to) &&
         Exists(action.peer) && action.peer != rank &&
         Holds(action.peer, at_maker ? edge.to : edge.from) &&
         (edge.kind == EdgeKind::kTiedWeight ? whole_step : in_range);
}

std::optional<Subject::Ends> Subject::CrossingEnds(const Edge& edge) const {
  if (!IsSound(edge)) return std::nullopt;
  const std::optional<RankId> from = OnlyRankOf(edge.from);
  const std::optional<RankId> to = OnlyRankOf(edge.to);
  if (!from || !to || *from == *to) return std::nullopt;
  return Ends{*from, *to};
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

}  // namespace penstock
