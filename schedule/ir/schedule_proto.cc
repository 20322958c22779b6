#include "schedule/ir/schedule_proto.h"

#include <cstdint>
#include <limits>
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
static_assert(static_cast<int>(WeightPolicy::kFlush) ==
              wire::WEIGHT_POLICY_FLUSH);
static_assert(static_cast<int>(WeightPolicy::kGrouped) ==
              wire::WEIGHT_POLICY_GROUPED);
static_assert(static_cast<int>(AccumulationOrder::kAscending) ==
              wire::ACCUMULATION_ORDER_ASCENDING);
static_assert(static_cast<int>(AccumulationOrder::kAsListed) ==
              wire::ACCUMULATION_ORDER_AS_LISTED);

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
  if (action.num_microbatches != 1) {
    proto.set_num_microbatches(action.num_microbatches);
  }
  if (action.half != Half::kWhole) {
    proto.set_half(action.half == Half::kFirst ? 0 : 1);
  }
  if (action.overlaps_next) proto.set_overlaps_next(true);
  return proto;
}

void ListsToProto(
    const RankLists& lists,
    google::protobuf::RepeatedPtrField<wire::RankActions>* proto) {
  for (const std::vector<Action>& actions : lists) {
    wire::RankActions* rank = proto->Add();
    rank->mutable_actions()->Reserve(static_cast<int>(actions.size()));
    for (const Action& action : actions) {
      *rank->add_actions() = ActionToProto(action);
    }
  }
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

// Reads what only some actions of an op have: a span, a half, an overlap.
absl::Status ReadExtent(const wire::Action& proto, Action* action) {
  const Op op = action->op;
  if (proto.has_num_microbatches()) {
    if (op != Op::kForward || proto.num_microbatches() != 2 ||
        proto.microbatch() == std::numeric_limits<int32_t>::max()) {
      return absl::InvalidArgumentError(
          absl::StrCat("num_microbatches is ", proto.num_microbatches(),
                       ", want 2 at an F that carries two, else none"));
    }
    action->num_microbatches = 2;
  }
  if (proto.has_half()) {
    const bool allowed =
        op == Op::kBackward || op == Op::kBackwardInput ||
        op == Op::kBackwardWeight ||
        (proto.has_microbatch() &&
         (op == Op::kSendBackward || op == Op::kReceiveBackward));
    if (!allowed || proto.half() < 0 || proto.half() > 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "half is ", proto.half(),
          ", want 0 or 1 at a B, I, W, SB or RB of a microbatch, else none"));
    }
    action->half = proto.half() == 0 ? Half::kFirst : Half::kSecond;
  }
  if (proto.overlaps_next() && !IsCompute(op)) {
    return absl::InvalidArgumentError(
        "overlaps the next, which only F, B, I, W and R may");
  }
  action->overlaps_next = proto.overlaps_next();
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
  const bool versioned = compute || action.op == Op::kReduceGradient ||
                         action.op == Op::kUpdate ||
                         (communication && !proto.has_microbatch());
  PENSTOCK_RETURN_IF_ERROR(CheckField("version",
                                      versioned && proto.has_version(),
                                      proto.has_version(), proto.version()));
  if (proto.version() > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "version is ", proto.version(), ", want at most 2147483647"));
  }
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
  PENSTOCK_RETURN_IF_ERROR(ReadExtent(proto, &action));
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

// Reads lists; `part` says which in messages.
absl::StatusOr<RankLists> ListsFromProto(
    absl::string_view part,
    const google::protobuf::RepeatedPtrField<wire::RankActions>& proto,
    int num_edges) {
  RankLists lists;
  for (int rank = 0; rank < proto.size(); ++rank) {
    std::vector<Action>& actions = lists.emplace_back();
    actions.reserve(proto[rank].actions_size());
    for (const wire::Action& message : proto[rank].actions()) {
      const absl::StatusOr<Action> action = ActionFromProto(message, num_edges);
      if (!action.ok()) {
        return WithContext(
            action.status(),
            absl::StrCat(part, "rank ", rank, ", action ", actions.size()));
      }
      actions.push_back(*action);
    }
  }
  return lists;
}

// Reads the policy, the order of accumulation and the rules of versions.
absl::Status ReadPolicy(const wire::Schedule& proto, Schedule* schedule) {
  if (!wire::WeightPolicy_IsValid(proto.policy())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "policy ", static_cast<int>(proto.policy()), " is not known"));
  }
  if (!wire::AccumulationOrder_IsValid(proto.accumulation())) {
    return absl::InvalidArgumentError(
        absl::StrCat("accumulation ", static_cast<int>(proto.accumulation()),
                     " is not known"));
  }
  if (proto.policy() != wire::WEIGHT_POLICY_UNSPECIFIED) {
    schedule->policy = static_cast<WeightPolicy>(proto.policy());
  }
  if (proto.accumulation() != wire::ACCUMULATION_ORDER_UNSPECIFIED) {
    schedule->accumulation =
        static_cast<AccumulationOrder>(proto.accumulation());
  }
  const int wanted = schedule->is_continuous() ? proto.placement_size() : 0;
  if (proto.versions_size() != wanted) {
    return absl::InvalidArgumentError(absl::StrCat(
        "has ", proto.versions_size(), " version rules, want ", wanted, " (",
        schedule->is_continuous() ? "one for each stage" : "none for a flush",
        ")"));
  }
  for (const wire::VersionRule& rule : proto.versions()) {
    if (rule.microbatches_per_update() < 1 || rule.delay() < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("version rule ", rule.microbatches_per_update(), "/",
                       rule.delay(), " is out of range, want at least 1/0"));
    }
    schedule->versions.push_back(
        {rule.microbatches_per_update(), rule.delay()});
  }
  return absl::OkStatus();
}

// Reads the lists of all parts.
absl::Status ReadLists(const wire::Schedule& proto, Schedule* schedule) {
  const int wanted =
      schedule->is_continuous() && proto.period_size() + proto.epilogue_size()
          ? proto.ranks_size()
          : 0;
  if (proto.period_size() != wanted || proto.epilogue_size() != wanted) {
    return absl::InvalidArgumentError(absl::StrCat(
        "has ", proto.ranks_size(), " ranks, ", proto.period_size(),
        " in the period and ", proto.epilogue_size(),
        " in the epilogue, want as many or none, and none for a flush"));
  }
  const int edges = proto.edges_size();
  PENSTOCK_ASSIGN_OR_RETURN(
      schedule->ranks,
      ListsFromProto(wanted > 0 ? "prologue, " : "", proto.ranks(), edges));
  PENSTOCK_ASSIGN_OR_RETURN(schedule->period,
                            ListsFromProto("period, ", proto.period(), edges));
  PENSTOCK_ASSIGN_OR_RETURN(
      schedule->epilogue,
      ListsFromProto("epilogue, ", proto.epilogue(), edges));
  return absl::OkStatus();
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
  if (schedule.policy != WeightPolicy::kFlush) {
    proto.set_policy(static_cast<wire::WeightPolicy>(schedule.policy));
  }
  if (schedule.accumulation != AccumulationOrder::kAscending) {
    proto.set_accumulation(
        static_cast<wire::AccumulationOrder>(schedule.accumulation));
  }
  for (const VersionRule& rule : schedule.versions) {
    wire::VersionRule* out = proto.add_versions();
    out->set_microbatches_per_update(rule.microbatches_per_update);
    out->set_delay(rule.delay);
  }
  ListsToProto(schedule.ranks, proto.mutable_ranks());
  ListsToProto(schedule.period, proto.mutable_period());
  ListsToProto(schedule.epilogue, proto.mutable_epilogue());
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
  PENSTOCK_RETURN_IF_ERROR(ReadPolicy(proto, &schedule));
  PENSTOCK_RETURN_IF_ERROR(ReadLists(proto, &schedule));
  return schedule;
}

}  // namespace penstock
