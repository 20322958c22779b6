#include "stage_server/engine/list_check.h"

#include <map>
#include <set>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "schedule/ir/text_format.h"
#include "stage_server/engine/edge_direction.h"
#include "stage_server/engine/rank_plan.h"

namespace penstock {
namespace {

// Walks the list once, keeping what lies ready.
class Walk {
 public:
  explicit Walk(const RankPlan& plan) : plan_(plan) {
    for (const RankStage& stage : plan.stages) stages_[stage.id] = &stage;
  }

  absl::Status Take(const Action& action) {
    switch (action.op) {
      case Op::kForward:
        return TakeForward(action);
      case Op::kBackward:
        return TakeBackward(action);
      case Op::kSendForward:
      case Op::kSendBackward:
        return TakeSend(action);
      case Op::kReceiveForward:
      case Op::kReceiveBackward:
        return TakeReceive(action);
      case Op::kAgreeNorm:
        return TakeNorm();
      case Op::kUpdate:
        return TakeUpdate(action);
      default:
        return absl::UnimplementedError("this engine does not run the op");
    }
  }

  absl::Status Finish() const {
    for (const auto& [id, stage] : stages_) {
      if (updated_.count(id) == 0) {
        return Bad(absl::StrCat("stage ", id.value(), " is never updated"));
      }
    }
    if (!ready_.empty()) {
      return Bad(absl::StrCat("something of edge ",
                              std::get<1>(*ready_.begin()).value(),
                              " is left over"));
    }
    if (!agreed_ && plan_.job.optimizer().clip_norm() > 0) {
      return Bad("clip_norm is set, but there is no N");
    }
    return absl::OkStatus();
  }

 private:
  using Place = std::tuple<Direction, EdgeId, MicrobatchId>;

  static absl::Status Bad(const std::string& why) {
    return absl::InvalidArgumentError(why);
  }

  absl::StatusOr<const RankStage*> StageOf(const Action& action) const {
    const auto found = stages_.find(action.stage);
    if (found != stages_.end()) return found->second;
    return Bad(absl::StrCat("the stage is not on rank ", plan_.rank.value()));
  }

  absl::Status Use(Direction direction, EdgeId edge, MicrobatchId microbatch) {
    if (ready_.erase({direction, edge, microbatch}) > 0) {
      return absl::OkStatus();
    }
    return Bad(absl::StrCat(
        direction == Direction::kForward ? "the value" : "the gradient",
        " of edge ", edge.value(), " is not there yet"));
  }

  absl::Status Make(Direction direction, EdgeId edge, MicrobatchId microbatch) {
    if (ready_.insert({direction, edge, microbatch}).second) {
      return absl::OkStatus();
    }
    return Bad(absl::StrCat("edge ", edge.value(), " is still occupied"));
  }

  absl::Status CheckMicrobatch(MicrobatchId microbatch) const {
    if (microbatch.value() >= 0 &&
        microbatch.value() < plan_.schedule.num_microbatches) {
      return absl::OkStatus();
    }
    return Bad(absl::StrCat("the step has ", plan_.schedule.num_microbatches,
                            " microbatches"));
  }

  absl::Status TakeForward(const Action& action) {
    PENSTOCK_ASSIGN_OR_RETURN(const RankStage* const stage, StageOf(action));
    PENSTOCK_RETURN_IF_ERROR(CheckMicrobatch(action.microbatch));
    if (updated_.count(action.stage) > 0) return Bad("it comes after U");
    if (!forward_.insert({action.stage, action.microbatch}).second) {
      return Bad("it is there twice");
    }
    for (const StageEdge& edge : stage->in_edges) {
      PENSTOCK_RETURN_IF_ERROR(
          Use(Direction::kForward, edge.edge, action.microbatch));
    }
    for (const StageEdge& edge : stage->out_edges) {
      PENSTOCK_RETURN_IF_ERROR(
          Make(Direction::kForward, edge.edge, action.microbatch));
    }
    return absl::OkStatus();
  }

  absl::Status TakeBackward(const Action& action) {
    PENSTOCK_ASSIGN_OR_RETURN(const RankStage* const stage, StageOf(action));
    if (forward_.count({action.stage, action.microbatch}) == 0) {
      return Bad("it comes before its F");
    }
    if (!backward_.insert({action.stage, action.microbatch}).second) {
      return Bad("it is there twice");
    }
    ++num_backward_[action.stage];
    for (const StageEdge& edge : stage->out_edges) {
      PENSTOCK_RETURN_IF_ERROR(
          Use(Direction::kBackward, edge.edge, action.microbatch));
    }
    for (const StageEdge& edge : stage->in_edges) {
      PENSTOCK_RETURN_IF_ERROR(
          Make(Direction::kBackward, edge.edge, action.microbatch));
    }
    return absl::OkStatus();
  }

  absl::Status CheckPeer(const Action& action) const {
    const Edge& edge = plan_.schedule.edges[action.edge.value()];
    // Values leave from the edge's first stage, gradients from its second.
    const bool at_first =
        (action.op == Op::kSendForward || action.op == Op::kReceiveBackward);
    const StageId here = at_first ? edge.from : edge.to;
    const StageId there = at_first ? edge.to : edge.from;
    if (action.stage == here && plan_.RankOf(there) == action.peer &&
        action.peer != plan_.rank) {
      return absl::OkStatus();
    }
    return Bad(absl::StrCat(
        "edge ", action.edge.value(), " joins stage ", edge.from.value(),
        " on rank ", plan_.RankOf(edge.from).value(), " to stage ",
        edge.to.value(), " on rank ", plan_.RankOf(edge.to).value()));
  }

  absl::Status TakeSend(const Action& action) {
    PENSTOCK_RETURN_IF_ERROR(StageOf(action).status());
    PENSTOCK_RETURN_IF_ERROR(CheckPeer(action));
    const Edge& edge = plan_.schedule.edges[action.edge.value()];
    if (edge.kind == EdgeKind::kActivation) {
      PENSTOCK_RETURN_IF_ERROR(CheckMicrobatch(action.microbatch));
      return Use(DirectionOf(action.op), action.edge, action.microbatch);
    }
    if (action.op == Op::kSendForward) {
      return updated_.count(action.stage) > 0
                 ? absl::OkStatus()
                 : Bad("the weight is sent before its update");
    }
    return GradientIsWhole(action.stage);
  }

  absl::Status TakeReceive(const Action& action) {
    PENSTOCK_RETURN_IF_ERROR(StageOf(action).status());
    PENSTOCK_RETURN_IF_ERROR(CheckPeer(action));
    const Edge& edge = plan_.schedule.edges[action.edge.value()];
    if (edge.kind == EdgeKind::kActivation) {
      PENSTOCK_RETURN_IF_ERROR(CheckMicrobatch(action.microbatch));
      return Make(DirectionOf(action.op), action.edge, action.microbatch);
    }
    if (action.op == Op::kReceiveForward) {
      return GradientIsWhole(action.stage);
    }
    if (!tied_received_.insert(action.edge).second) {
      return Bad("it is there twice");
    }
    return absl::OkStatus();
  }

  absl::Status GradientIsWhole(StageId stage) const {
    const auto done = num_backward_.find(stage);
    const int num = done == num_backward_.end() ? 0 : done->second;
    if (num == plan_.schedule.num_microbatches) return absl::OkStatus();
    return Bad(absl::StrCat("stage ", stage.value(), " has done ", num, " of ",
                            plan_.schedule.num_microbatches, " backwards"));
  }

  absl::Status TiedGradientsAreThere(StageId owner) const {
    for (const TiedSite& site : plan_.tied_sites) {
      if (site.owner_stage != owner) continue;
      if (site.edge.has_value() ? tied_received_.count(*site.edge) == 0
                                : !GradientIsWhole(site.user_stage).ok()) {
        return Bad(absl::StrCat("the gradient of \"", site.user_parameter,
                                "\" is not there yet"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status TakeNorm() {
    if (agreed_) return Bad("it is there twice");
    if (!updated_.empty()) return Bad("it comes after a U");
    agreed_ = true;
    for (const auto& [id, stage] : stages_) {
      PENSTOCK_RETURN_IF_ERROR(GradientIsWhole(id));
      PENSTOCK_RETURN_IF_ERROR(TiedGradientsAreThere(id));
    }
    return absl::OkStatus();
  }

  absl::Status TakeUpdate(const Action& action) {
    PENSTOCK_RETURN_IF_ERROR(StageOf(action).status());
    PENSTOCK_RETURN_IF_ERROR(GradientIsWhole(action.stage));
    PENSTOCK_RETURN_IF_ERROR(TiedGradientsAreThere(action.stage));
    if (!updated_.insert(action.stage).second) return Bad("it is there twice");
    return absl::OkStatus();
  }

  const RankPlan& plan_;
  std::map<StageId, const RankStage*> stages_;
  // Made or received, and not used yet.
  std::set<Place> ready_;
  std::set<std::pair<StageId, MicrobatchId>> forward_;
  std::set<std::pair<StageId, MicrobatchId>> backward_;
  std::map<StageId, int> num_backward_;
  std::set<EdgeId> tied_received_;
  std::set<StageId> updated_;
  bool agreed_ = false;
};

}  // namespace

absl::Status CheckList(const RankPlan& plan) {
  Walk walk(plan);
  const std::vector<Action>& actions = plan.actions();
  for (size_t i = 0; i < actions.size(); ++i) {
    const absl::Status status = walk.Take(actions[i]);
    if (status.ok()) continue;
    return absl::Status(
        status.code(),
        absl::StrCat("plan: rank ", plan.rank.value(), ", action ", i, " (",
                     ToString(actions[i], plan.schedule.edges),
                     "): ", status.message()));
  }
  const absl::Status status = walk.Finish();
  if (status.ok()) return status;
  return absl::Status(
      status.code(),
      absl::StrCat("plan: rank ", plan.rank.value(), ": ", status.message()));
}

}  // namespace penstock
