#include "schedule/ir/action_text.h"

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

constexpr absl::string_view kOps = "an op (F B I W R SF RF SB RB G U)";

// Whether `op` happens at the stage that makes (or owns) the edge's tensor.
bool AtMaker(Op op) {
  return op == Op::kSendForward || op == Op::kReceiveBackward;
}

// Whether the op may be done for half a microbatch.
bool MayBeHalf(Op op) {
  switch (op) {
    case Op::kBackward:
    case Op::kBackwardInput:
    case Op::kBackwardWeight:
    case Op::kSendBackward:
    case Op::kReceiveBackward:
      return true;
    default:
      return false;
  }
}

void AppendMicrobatches(const Action& action, std::string* out) {
  if (action.microbatch == kWholeStep) {
    out->append("*");
  } else {
    absl::StrAppend(out, action.microbatch.value());
  }
  if (action.num_microbatches != 1) {
    absl::StrAppend(
        out, "+",
        int64_t{action.microbatch.value()} + action.num_microbatches - 1);
  }
  if (action.half == Half::kFirst) out->append(".0");
  if (action.half == Half::kSecond) out->append(".1");
}

// "[h3>r1]"
void AppendChannel(const Action& action, const EdgeNames& names,
                   std::string* out) {
  const int edge = action.edge.value();
  const bool known = 0 <= edge && edge < static_cast<int>(names.edges().size());
  out->append("[");
  bool number = true;
  if (known) {
    const std::string& tensor = names.edges()[edge].tensor;
    out->append(tensor);
    const EdgeNames::Match match = names.Find(tensor, action.stage, action.op);
    number = match.count != 1 || match.first != edge;
  }
  if (number) absl::StrAppend(out, "#", edge);
  absl::StrAppend(out, IsSend(action.op) ? ">" : "<", "r", action.peer.value(),
                  "]");
}

// Takes the letters of an op that stands after a stage.
absl::StatusOr<Op> TakeOp(TextCursor& cursor) {
  // Two letters first: "RF" is not R with something after it.
  for (const Op op : {Op::kSendForward, Op::kReceiveForward, Op::kSendBackward,
                      Op::kReceiveBackward, Op::kForward, Op::kBackward,
                      Op::kBackwardInput, Op::kBackwardWeight, Op::kRecompute,
                      Op::kReduceGradient, Op::kUpdate}) {
    if (cursor.Take(ToString(op))) return op;
  }
  return cursor.Unexpected(kOps);
}

// Takes "h3" or "h3#4": the edge that a communication of `action` names.
absl::StatusOr<EdgeId> TakeEdge(TextCursor& cursor, const Action& action,
                                const EdgeNames& names) {
  const size_t begin = cursor.offset();
  PENSTOCK_ASSIGN_OR_RETURN(const absl::string_view tensor,
                            cursor.Name("a tensor's name"));
  const EdgeNames::Match match = names.Find(tensor, action.stage, action.op);
  if (!cursor.Take("#")) {
    if (match.count == 1) return EdgeId(match.first);
    const std::string where = absl::StrCat(
        match.count == 0 ? "no edge" : "more than one edge", " carries \"",
        tensor, "\" ", AtMaker(action.op) ? "from" : "to", " stage ",
        action.stage.value());
    return TextCursor::ErrorAt(
        begin,
        match.count == 0
            ? absl::StrCat(where, "; name a tensor of the edge lines")
            : absl::StrCat(where, "; write the edge's number too, ",
                           "for example \"", tensor, "#", match.first, "\""));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t edge,
                            cursor.Number("an edge's number", kMaxNumber));
  if (edge >= static_cast<int64_t>(names.edges().size()) ||
      names.edges()[edge].tensor != tensor) {
    return TextCursor::ErrorAt(
        begin, absl::StrCat("edge ", edge, " carries no \"", tensor, "\""));
  }
  if (match.count == 1 && match.first == edge) {
    return TextCursor::ErrorAt(
        begin, absl::StrCat("\"", tensor, "\" is enough to name edge ", edge,
                            "; leave out the number"));
  }
  return EdgeId(static_cast<int>(edge));
}

// Takes "3", "3+4", "3.0" or "*", as the op allows.
absl::Status TakeMicrobatches(TextCursor& cursor, Action* action) {
  const bool compute = IsCompute(action->op);
  if (!compute && cursor.Take("*")) {
    action->microbatch = kWholeStep;
    return absl::OkStatus();
  }
  PENSTOCK_ASSIGN_OR_RETURN(
      const int64_t microbatch,
      cursor.Number(compute ? "a microbatch" : "a microbatch or \"*\"",
                    kMaxNumber));
  action->microbatch = MicrobatchId(static_cast<int>(microbatch));
  if (action->op == Op::kForward && cursor.Take("+")) {
    const size_t begin = cursor.offset();
    PENSTOCK_ASSIGN_OR_RETURN(
        const int64_t second,
        cursor.Number("the microbatch after it", kMaxNumber));
    if (second != microbatch + 1) {
      return TextCursor::ErrorAt(
          begin,
          absl::StrCat("expected ", microbatch + 1, ", the microbatch after ",
                       microbatch, ", got ", second));
    }
    action->num_microbatches = 2;
  }
  if (MayBeHalf(action->op) && cursor.Take(".")) {
    if (cursor.Take("0")) {
      action->half = Half::kFirst;
    } else if (cursor.Take("1")) {
      action->half = Half::kSecond;
    } else {
      return cursor.Unexpected("a half (0 or 1)");
    }
  }
  return absl::OkStatus();
}

// Takes "[h3>r1]".
absl::Status TakeChannel(TextCursor& cursor, const EdgeNames& names,
                         Action* action) {
  PENSTOCK_RETURN_IF_ERROR(cursor.Expect("["));
  PENSTOCK_ASSIGN_OR_RETURN(action->edge, TakeEdge(cursor, *action, names));
  PENSTOCK_RETURN_IF_ERROR(cursor.Expect(IsSend(action->op) ? ">r" : "<r"));
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t peer,
                            cursor.Number("the peer's rank", kMaxNumber));
  action->peer = RankId(static_cast<int>(peer));
  return cursor.Expect("]");
}

}  // namespace

EdgeNames::EdgeNames(absl::Span<const Edge> edges) : edges_(edges) {
  for (int i = 0; i < static_cast<int>(edges.size()); ++i) {
    Add(edges[i].tensor, edges[i].from, /*at_maker=*/true, i);
    Add(edges[i].tensor, edges[i].to, /*at_maker=*/false, i);
  }
}

void EdgeNames::Add(absl::string_view tensor, StageId stage, bool at_maker,
                    int edge) {
  Match& match = matches_[Key(tensor, stage.value(), at_maker)];
  if (match.count++ == 0) match.first = edge;
}

EdgeNames::Match EdgeNames::Find(absl::string_view tensor, StageId stage,
                                 Op op) const {
  const auto it = matches_.find(Key(tensor, stage.value(), AtMaker(op)));
  return it == matches_.end() ? Match() : it->second;
}

void AppendAction(const Action& action, const EdgeNames& names,
                  std::string* out) {
  if (action.op == Op::kAgreeNorm) {
    out->append("N");
    return;
  }
  absl::StrAppend(out, action.stage.value(), ToString(action.op));
  const bool of_stage =
      action.op == Op::kUpdate || action.op == Op::kReduceGradient;
  if (!of_stage) AppendMicrobatches(action, out);
  if (action.version) absl::StrAppend(out, "@", *action.version);
  if (!of_stage && !IsCompute(action.op)) {
    AppendChannel(action, names, out);
    return;
  }
  if (action.overlaps_next) out->append("&");
}

absl::StatusOr<Action> TakeAction(TextCursor& cursor, const EdgeNames& names) {
  if (cursor.Take("N")) return AgreeNorm();
  Action action;
  PENSTOCK_ASSIGN_OR_RETURN(
      const int64_t stage,
      cursor.Number("an action such as \"2F0\"", kMaxNumber));
  action.stage = StageId(static_cast<int>(stage));
  PENSTOCK_ASSIGN_OR_RETURN(action.op, TakeOp(cursor));
  const bool of_stage =
      action.op == Op::kUpdate || action.op == Op::kReduceGradient;
  if (!of_stage) PENSTOCK_RETURN_IF_ERROR(TakeMicrobatches(cursor, &action));
  const bool communication = !of_stage && !IsCompute(action.op);
  if ((!communication || action.microbatch == kWholeStep) && cursor.Take("@")) {
    PENSTOCK_ASSIGN_OR_RETURN(action.version,
                              cursor.Number("a weight version", kMaxNumber));
  }
  if (communication) {
    PENSTOCK_RETURN_IF_ERROR(TakeChannel(cursor, names, &action));
    return action;
  }
  if (IsCompute(action.op)) action.overlaps_next = cursor.Take("&");
  return action;
}

}  // namespace penstock
