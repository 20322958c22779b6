#include "schedule/ir/schedule_proto.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/ids.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "schedule/ir/text_cursor.h"

namespace penstock {
namespace {

static_assert(static_cast<int>(Op::kForward) == wire::OP_FORWARD);
static_assert(static_cast<int>(Op::kUpdate) == wire::OP_UPDATE);
static_assert(static_cast<int>(EdgeKind::kActivation) ==
              wire::EDGE_KIND_ACTIVATION);
static_assert(static_cast<int>(EdgeKind::kTiedWeight) ==
              wire::EDGE_KIND_TIED_WEIGHT);

bool IsCommunication(Op op) { return IsSend(op) || IsReceive(op); }

wire::Action ActionToProto(const Action& action) {
  wire::Action proto;
  proto.set_op(static_cast<wire::Op>(action.op));
  if (action.op == Op::kAgreeNorm) return proto;
  proto.set_stage(action.stage.value());
  if (action.version) proto.set_version(*action.version);
  const bool communication = IsCommunication(action.op);
  if ((communication || IsCompute(action.op)) &&
      action.microbatch != kWholeStep) {
    proto.set_microbatch(action.microbatch.value());
  }
  if (communication) {
    proto.set_edge(action.edge.value());
    proto.set_peer(action.peer.value());
  }
  return proto;
}

// `field` must be there or not, as `wanted` says, and not be negative.
absl::Status CheckField(absl::string_view field, bool wanted, bool present,
                        int64_t value) {
  if (wanted && !present) {
    return absl::InvalidArgumentError(absl::StrCat("has no ", field));
  }
  if (!wanted && present) {
    return absl::InvalidArgumentError(
        absl::StrCat("has a ", field, ", which its op does not use"));
  }
  if (value < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, " is ", value, ", want at least 0"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Action> ActionFromProto(const wire::Action& proto,
                                       int num_edges) {
  if (!wire::Op_IsValid(proto.op()) || proto.op() == wire::OP_UNSPECIFIED) {
    return absl::InvalidArgumentError(
        absl::StrCat("op ", static_cast<int>(proto.op()), " is not known"));
  }
  Action action{.op = static_cast<Op>(proto.op())};
  const bool compute = IsCompute(action.op);
  const bool communication = IsCommunication(action.op);
  PENSTOCK_RETURN_IF_ERROR(CheckField("stage", action.op != Op::kAgreeNorm,
                                      proto.has_stage(), proto.stage()));
  PENSTOCK_RETURN_IF_ERROR(CheckField(
      "microbatch", compute || (communication && proto.has_microbatch()),
      proto.has_microbatch(), proto.microbatch()));
  PENSTOCK_RETURN_IF_ERROR(CheckField("version", compute && proto.has_version(),
                                      proto.has_version(), proto.version()));
  PENSTOCK_RETURN_IF_ERROR(
      CheckField("edge", communication, proto.has_edge(), proto.edge()));
  PENSTOCK_RETURN_IF_ERROR(
      CheckField("peer", communication, proto.has_peer(), proto.peer()));
  if (communication && proto.edge() >= num_edges) {
    return absl::InvalidArgumentError(absl::StrCat(
        "edge ", proto.edge(), " of ", num_edges, " does not exist"));
  }
  if (proto.has_stage()) action.stage = StageId(proto.stage());
  if (proto.has_microbatch()) {
    action.microbatch = MicrobatchId(proto.microbatch());
  }
  if (proto.has_version()) action.version = proto.version();
  if (proto.has_edge()) action.edge = EdgeId(proto.edge());
  if (proto.has_peer()) action.peer = RankId(proto.peer());
  return action;
}

absl::StatusOr<std::string> NameFromProto(absl::string_view what,
                                          const std::string& name) {
  if (IsName(name)) return name;
  return absl::InvalidArgumentError(absl::StrCat(
      what, " \"", absl::CHexEscape(name.substr(0, 100)),
      "\" is no name; want 1 to 1000 letters, digits and _ . / : -"));
}

absl::StatusOr<Edge> EdgeFromProto(const wire::Edge& proto) {
  if (!wire::EdgeKind_IsValid(proto.kind()) ||
      proto.kind() == wire::EDGE_KIND_UNSPECIFIED) {
    return absl::InvalidArgumentError(
        absl::StrCat("kind ", static_cast<int>(proto.kind()), " is not known"));
  }
  Edge edge{.kind = static_cast<EdgeKind>(proto.kind()),
            .from = StageId(proto.from_stage()),
            .to = StageId(proto.to_stage())};
  PENSTOCK_ASSIGN_OR_RETURN(edge.tensor,
                            NameFromProto("tensor", proto.tensor()));
  PENSTOCK_RETURN_IF_ERROR(
      CheckField("from_stage", true, true, proto.from_stage()));
  PENSTOCK_RETURN_IF_ERROR(
      CheckField("to_stage", true, true, proto.to_stage()));
  return edge;
}

}  // namespace

wire::Schedule ToProto(const Schedule& schedule) {
  wire::Schedule proto;
  proto.set_name(schedule.name);
  proto.set_num_microbatches(schedule.num_microbatches);
  for (const auto& ranks : schedule.placement) {
    wire::StagePlacement* stage = proto.add_placement();
    for (const RankId rank : ranks) stage->add_ranks(rank.value());
  }
  for (const Edge& edge : schedule.edges) {
    wire::Edge* out = proto.add_edges();
    out->set_kind(static_cast<wire::EdgeKind>(edge.kind));
    out->set_tensor(edge.tensor);
    out->set_from_stage(edge.from.value());
    out->set_to_stage(edge.to.value());
  }
  for (const auto& actions : schedule.ranks) {
    wire::RankActions* rank = proto.add_ranks();
    for (const Action& action : actions) {
      *rank->add_actions() = ActionToProto(action);
    }
  }
  return proto;
}

absl::StatusOr<Schedule> FromProto(const wire::Schedule& proto) {
  Schedule schedule;
  PENSTOCK_ASSIGN_OR_RETURN(schedule.name,
                            NameFromProto("schedule", proto.name()));
  PENSTOCK_RETURN_IF_ERROR(
      CheckField("num_microbatches", true, true, proto.num_microbatches()));
  schedule.num_microbatches = proto.num_microbatches();
  for (const wire::StagePlacement& stage : proto.placement()) {
    std::vector<RankId>& ranks = schedule.placement.emplace_back();
    for (const int32_t rank : stage.ranks()) {
      PENSTOCK_RETURN_IF_ERROR(CheckField("placement", true, true, rank));
      ranks.push_back(RankId(rank));
    }
  }
  for (int i = 0; i < proto.edges_size(); ++i) {
    absl::StatusOr<Edge> edge = EdgeFromProto(proto.edges(i));
    if (!edge.ok()) {
      return WithContext(edge.status(), absl::StrCat("edge ", i));
    }
    schedule.edges.push_back(*std::move(edge));
  }
  for (int rank = 0; rank < proto.ranks_size(); ++rank) {
    std::vector<Action>& actions = schedule.ranks.emplace_back();
    actions.reserve(proto.ranks(rank).actions_size());
    for (const wire::Action& message : proto.ranks(rank).actions()) {
      const absl::StatusOr<Action> action =
          ActionFromProto(message, proto.edges_size());
      if (!action.ok()) {
        return WithContext(
            action.status(),
            absl::StrCat("rank ", rank, ", action ", actions.size()));
      }
      actions.push_back(*action);
    }
  }
  return schedule;
}

}  // namespace penstock
