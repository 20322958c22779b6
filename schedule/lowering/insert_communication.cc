#include "schedule/lowering/insert_communication.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/ids.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

// One end of an edge that leads to another rank.
struct EdgeEnd {
  EdgeId edge;
  StageId stage;  // at this end
  RankId peer;    // the rank at the other end
};

// What a stage exchanges with other ranks, by edge index.
struct StageEnds {
  std::vector<EdgeEnd> makes, takes;  // activations
  std::vector<EdgeEnd> owns, uses;    // tied weights
};

absl::Status CheckStage(const Schedule& schedule, int edge, StageId stage) {
  if (stage.value() < 0 || stage.value() >= schedule.num_stages()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "edge ", edge, " (", schedule.edges[edge].tensor, ") names stage ",
        stage.value(), " of ", schedule.num_stages()));
  }
  const std::vector<RankId>& ranks = schedule.placement[stage.value()];
  if (ranks.size() != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "stage ", stage.value(), " is on ", ranks.size(),
        " ranks; communication is inserted for stages on one rank"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StageEnds>> EndsByStage(const Schedule& schedule) {
  std::vector<StageEnds> ends(schedule.num_stages());
  for (int i = 0; i < static_cast<int>(schedule.edges.size()); ++i) {
    const Edge& edge = schedule.edges[i];
    PENSTOCK_RETURN_IF_ERROR(CheckStage(schedule, i, edge.from));
    PENSTOCK_RETURN_IF_ERROR(CheckStage(schedule, i, edge.to));
    if (edge.from == edge.to) {
      return absl::InvalidArgumentError(
          absl::StrCat("edge ", i, " (", edge.tensor, ") leads from stage ",
                       edge.from.value(), " to itself"));
    }
    const RankId from = schedule.placement[edge.from.value()][0];
    const RankId to = schedule.placement[edge.to.value()][0];
    if (from == to) continue;
    StageEnds& maker = ends[edge.from.value()];
    StageEnds& taker = ends[edge.to.value()];
    const bool tied = edge.kind == EdgeKind::kTiedWeight;
    (tied ? maker.owns : maker.makes).push_back({EdgeId(i), edge.from, to});
    (tied ? taker.uses : taker.takes).push_back({EdgeId(i), edge.to, from});
  }
  return ends;
}

bool IsBackward(Op op) {
  return op == Op::kBackward || op == Op::kBackwardInput ||
         op == Op::kBackwardWeight;
}

// Rewrites one rank's list.
class RankLowering {
 public:
  RankLowering(const std::vector<StageEnds>& ends,
               const std::vector<Action>& actions)
      : ends_(ends), actions_(actions) {
    out_.reserve(3 * actions.size());
  }

  std::vector<Action> Run() {
    FindStages();
    const bool updates =
        std::any_of(actions_.begin(), actions_.end(),
                    [](const Action& a) { return a.op == Op::kUpdate; });
    bool gradients_received = false;
    for (int i = 0; i < static_cast<int>(actions_.size()); ++i) {
      if (actions_[i].op == Op::kAgreeNorm && !gradients_received) {
        AppendTied(Op::kReceiveBackward, &StageEnds::owns);
        gradients_received = true;
      }
      AppendWithNeighbours(i);
    }
    if (!gradients_received) AppendTied(Op::kReceiveBackward, &StageEnds::owns);
    if (updates) {
      AppendTied(Op::kSendForward, &StageEnds::owns);
      AppendTied(Op::kReceiveForward, &StageEnds::uses);
    }
    return std::move(out_);
  }

 private:
  // The rank's stages, ascending, each with the place of its last backward.
  void FindStages() {
    for (int i = 0; i < static_cast<int>(actions_.size()); ++i) {
      if (!IsBackward(actions_[i].op)) continue;
      const auto known = std::find_if(
          last_backward_.begin(), last_backward_.end(),
          [&](const auto& entry) { return entry.first == actions_[i].stage; });
      if (known == last_backward_.end()) {
        last_backward_.push_back({actions_[i].stage, i});
      } else {
        known->second = i;
      }
    }
    std::sort(last_backward_.begin(), last_backward_.end());
  }

  void Append(Op op, MicrobatchId microbatch,
              const std::vector<EdgeEnd>& edge_ends) {
    for (const EdgeEnd& end : edge_ends) {
      out_.push_back(
          Communicate(op, end.stage, microbatch, end.edge, end.peer));
    }
  }

  // The whole step's communication of all the rank's stages, by edge index.
  void AppendTied(Op op, std::vector<EdgeEnd> StageEnds::*which) {
    std::vector<EdgeEnd> all;
    for (const auto& [stage, last] : last_backward_) {
      const std::vector<EdgeEnd>& some = ends_[stage.value()].*which;
      all.insert(all.end(), some.begin(), some.end());
    }
    std::sort(all.begin(), all.end(), [](const EdgeEnd& a, const EdgeEnd& b) {
      return a.edge < b.edge;
    });
    Append(op, kWholeStep, all);
  }

  void AppendWithNeighbours(int position) {
    const Action& action = actions_[position];
    if (!IsCompute(action.op)) {
      out_.push_back(action);
      return;
    }
    const StageEnds& ends = ends_[action.stage.value()];
    const bool forward = action.op == Op::kForward;
    const bool gives_gradient =
        action.op == Op::kBackward || action.op == Op::kBackwardInput;
    if (forward) Append(Op::kReceiveForward, action.microbatch, ends.takes);
    if (gives_gradient) {
      Append(Op::kReceiveBackward, action.microbatch, ends.makes);
    }
    out_.push_back(action);
    if (forward) Append(Op::kSendForward, action.microbatch, ends.makes);
    if (gives_gradient) {
      Append(Op::kSendBackward, action.microbatch, ends.takes);
    }
    if (std::find(last_backward_.begin(), last_backward_.end(),
                  std::pair(action.stage, position)) != last_backward_.end()) {
      Append(Op::kSendBackward, kWholeStep, ends.uses);
    }
  }

  const std::vector<StageEnds>& ends_;
  const std::vector<Action>& actions_;
  std::vector<std::pair<StageId, int>> last_backward_;
  std::vector<Action> out_;
};

absl::Status CheckActions(const Schedule& schedule) {
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    for (const Action& action : schedule.ranks[rank]) {
      if (IsSend(action.op) || IsReceive(action.op)) {
        return absl::InvalidArgumentError(
            absl::StrCat("schedule ", schedule.name,
                         " has communication already, on rank ", rank));
      }
      if (IsCompute(action.op) &&
          (action.stage.value() < 0 ||
           action.stage.value() >= schedule.num_stages())) {
        return absl::InvalidArgumentError(
            absl::StrCat("rank ", rank, " runs stage ", action.stage.value(),
                         " of ", schedule.num_stages()));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Schedule> InsertCommunication(Schedule schedule) {
  PENSTOCK_RETURN_IF_ERROR(CheckActions(schedule));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<StageEnds> ends,
                            EndsByStage(schedule));
  for (std::vector<Action>& actions : schedule.ranks) {
    actions = RankLowering(ends, actions).Run();
  }
  return schedule;
}

}  // namespace penstock
