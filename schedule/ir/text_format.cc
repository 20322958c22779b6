#include "schedule/ir/text_format.h"

#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "schedule/ir/text_cursor.h"

namespace penstock {
namespace {

constexpr int64_t kMaxInt = std::numeric_limits<int>::max();
constexpr int64_t kMaxVersion = std::numeric_limits<int64_t>::max();
constexpr absl::string_view kMagic = "penstock-schedule";
constexpr absl::string_view kOps = "an op (F B I W R SF RF SB RB G U)";

// Whether `op` happens at the stage that makes (or owns) the edge's tensor.
bool AtMaker(Op op) {
  return op == Op::kSendForward || op == Op::kReceiveBackward;
}

// Finds edges by tensor name and the stage at one end, in constant time.
class EdgeNames {
 public:
  explicit EdgeNames(absl::Span<const Edge> edges) : edges_(edges) {
    for (int i = 0; i < static_cast<int>(edges.size()); ++i) {
      Add(edges[i].tensor, edges[i].from, /*at_maker=*/true, i);
      Add(edges[i].tensor, edges[i].to, /*at_maker=*/false, i);
    }
  }

  absl::Span<const Edge> edges() const { return edges_; }

  // The edges that `tensor` alone can mean at `stage`, where `op` happens: how
  // many, and the first.
  struct Match {
    int count = 0;
    int first = -1;
  };
  Match Find(absl::string_view tensor, StageId stage, Op op) const {
    const auto it = matches_.find(Key(tensor, stage.value(), AtMaker(op)));
    return it == matches_.end() ? Match() : it->second;
  }

 private:
  using Key = std::tuple<absl::string_view, int, bool>;

  void Add(absl::string_view tensor, StageId stage, bool at_maker, int edge) {
    Match& match = matches_[Key(tensor, stage.value(), at_maker)];
    if (match.count++ == 0) match.first = edge;
  }

  absl::Span<const Edge> edges_;
  absl::flat_hash_map<Key, Match> matches_;
};

void AppendAction(const Action& action, const EdgeNames& names,
                  std::string* out) {
  if (action.op == Op::kAgreeNorm) {
    out->append("N");
    return;
  }
  absl::StrAppend(out, action.stage.value(), ToString(action.op));
  if (action.op == Op::kUpdate || action.op == Op::kReduceGradient) return;
  if (action.microbatch == kWholeStep) {
    out->append("*");
  } else {
    absl::StrAppend(out, action.microbatch.value());
  }
  if (IsCompute(action.op)) {
    if (action.version) absl::StrAppend(out, "@", *action.version);
    return;
  }
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
                            cursor.Number("an edge's number", kMaxInt));
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

absl::Status TakeCommunication(TextCursor& cursor, const EdgeNames& names,
                               Action* action) {
  if (cursor.Take("*")) {
    action->microbatch = kWholeStep;
  } else {
    PENSTOCK_ASSIGN_OR_RETURN(const int64_t microbatch,
                              cursor.Number("a microbatch or \"*\"", kMaxInt));
    action->microbatch = MicrobatchId(static_cast<int>(microbatch));
  }
  PENSTOCK_RETURN_IF_ERROR(cursor.Expect("["));
  PENSTOCK_ASSIGN_OR_RETURN(action->edge, TakeEdge(cursor, *action, names));
  PENSTOCK_RETURN_IF_ERROR(cursor.Expect(IsSend(action->op) ? ">r" : "<r"));
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t peer,
                            cursor.Number("the peer's rank", kMaxInt));
  action->peer = RankId(static_cast<int>(peer));
  return cursor.Expect("]");
}

absl::StatusOr<Action> TakeAction(TextCursor& cursor, const EdgeNames& names) {
  if (cursor.Take("N")) return AgreeNorm();
  Action action;
  PENSTOCK_ASSIGN_OR_RETURN(
      const int64_t stage, cursor.Number("an action such as \"2F0\"", kMaxInt));
  action.stage = StageId(static_cast<int>(stage));
  PENSTOCK_ASSIGN_OR_RETURN(action.op, TakeOp(cursor));
  if (action.op == Op::kUpdate || action.op == Op::kReduceGradient) {
    return action;
  }
  if (!IsCompute(action.op)) {
    PENSTOCK_RETURN_IF_ERROR(TakeCommunication(cursor, names, &action));
    return action;
  }
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t microbatch,
                            cursor.Number("a microbatch", kMaxInt));
  action.microbatch = MicrobatchId(static_cast<int>(microbatch));
  if (cursor.Take("@")) {
    PENSTOCK_ASSIGN_OR_RETURN(action.version,
                              cursor.Number("a weight version", kMaxVersion));
  }
  return action;
}

absl::string_view EdgeKindName(EdgeKind kind) {
  return kind == EdgeKind::kTiedWeight ? "tied_weight" : "activation";
}

// Reads a file line by line; each `Take...` handles one kind of line.
class ScheduleReader {
 public:
  explicit ScheduleReader(absl::string_view text) : rest_(text) {}

  absl::StatusOr<Schedule> Read() {
    const absl::Status status = TakeAll();
    if (status.ok()) return std::move(schedule_);
    return absl::Status(status.code(), absl::StrCat("line ", line_number_, ", ",
                                                    status.message()));
  }

 private:
  absl::Status TakeAll() {
    PENSTOCK_RETURN_IF_ERROR(TakeVersion());
    PENSTOCK_RETURN_IF_ERROR(TakeName());
    PENSTOCK_RETURN_IF_ERROR(TakeMicrobatches());
    PENSTOCK_RETURN_IF_ERROR(TakePlacement());
    bool more = NextLine();
    while (more && cursor_.Take("edge")) {
      PENSTOCK_RETURN_IF_ERROR(TakeEdgeLine());
      more = NextLine();
    }
    const EdgeNames names(schedule_.edges);
    while (more) {
      PENSTOCK_RETURN_IF_ERROR(TakeRank(names));
      more = NextLine();
    }
    return absl::OkStatus();
  }

  // Puts the cursor on the next line that is not blank or a comment.
  bool NextLine() {
    while (!rest_.empty()) {
      const size_t end = rest_.find('\n');
      cursor_ = TextCursor(rest_.substr(0, end));
      rest_ = end == absl::string_view::npos ? "" : rest_.substr(end + 1);
      ++line_number_;
      cursor_.TakeBlanks();
      if (!cursor_.AtEnd() && !cursor_.Take("#")) return true;
    }
    ++line_number_;
    cursor_ = TextCursor("");
    return false;
  }

  absl::Status ExpectKey(absl::string_view key) {
    NextLine();
    PENSTOCK_RETURN_IF_ERROR(cursor_.Expect(key));
    return ExpectBlanks();
  }

  absl::Status ExpectBlanks() {
    const size_t before = cursor_.offset();
    cursor_.TakeBlanks();
    if (cursor_.offset() == before && !cursor_.AtEnd()) {
      return cursor_.Unexpected("a blank");
    }
    return absl::OkStatus();
  }

  absl::Status ExpectEnd() {
    cursor_.TakeBlanks();
    if (cursor_.AtEnd()) return absl::OkStatus();
    return cursor_.Unexpected("the end of the line");
  }

  absl::Status TakeVersion() {
    PENSTOCK_RETURN_IF_ERROR(ExpectKey(kMagic));
    const size_t begin = cursor_.offset();
    PENSTOCK_ASSIGN_OR_RETURN(const int64_t version,
                              cursor_.Number("the format's version", kMaxInt));
    if (version != 1) {
      return TextCursor::ErrorAt(
          begin, absl::StrCat("version ", version,
                              " of the format is not known; expected 1"));
    }
    return ExpectEnd();
  }

  absl::Status TakeName() {
    PENSTOCK_RETURN_IF_ERROR(ExpectKey("name"));
    PENSTOCK_ASSIGN_OR_RETURN(const absl::string_view name,
                              cursor_.Name("the schedule's name"));
    schedule_.name = std::string(name);
    return ExpectEnd();
  }

  absl::Status TakeMicrobatches() {
    PENSTOCK_RETURN_IF_ERROR(ExpectKey("microbatches"));
    PENSTOCK_ASSIGN_OR_RETURN(
        const int64_t count,
        cursor_.Number("the number of microbatches", kMaxInt));
    schedule_.num_microbatches = static_cast<int>(count);
    return ExpectEnd();
  }

  absl::Status TakePlacement() {
    PENSTOCK_RETURN_IF_ERROR(ExpectKey("placement"));
    while (!cursor_.AtEnd()) {
      std::vector<RankId>& ranks = schedule_.placement.emplace_back();
      if (!cursor_.Take("-")) {
        do {
          PENSTOCK_RETURN_IF_ERROR(cursor_.Expect("r"));
          PENSTOCK_ASSIGN_OR_RETURN(const int64_t rank,
                                    cursor_.Number("a rank", kMaxInt));
          ranks.push_back(RankId(static_cast<int>(rank)));
        } while (cursor_.Take("+"));
      }
      PENSTOCK_RETURN_IF_ERROR(ExpectBlanks());
    }
    return absl::OkStatus();
  }

  absl::Status TakeEdgeLine() {
    Edge edge;
    PENSTOCK_RETURN_IF_ERROR(ExpectBlanks());
    if (cursor_.Take("tied_weight")) {
      edge.kind = EdgeKind::kTiedWeight;
    } else if (!cursor_.Take("activation")) {
      return cursor_.Unexpected("\"activation\" or \"tied_weight\"");
    }
    PENSTOCK_RETURN_IF_ERROR(ExpectBlanks());
    PENSTOCK_ASSIGN_OR_RETURN(const absl::string_view tensor,
                              cursor_.Name("a tensor's name"));
    edge.tensor = std::string(tensor);
    PENSTOCK_RETURN_IF_ERROR(ExpectBlanks());
    PENSTOCK_ASSIGN_OR_RETURN(const int64_t from,
                              cursor_.Number("a stage", kMaxInt));
    edge.from = StageId(static_cast<int>(from));
    PENSTOCK_RETURN_IF_ERROR(cursor_.Expect(">"));
    PENSTOCK_ASSIGN_OR_RETURN(const int64_t to,
                              cursor_.Number("a stage", kMaxInt));
    edge.to = StageId(static_cast<int>(to));
    schedule_.edges.push_back(std::move(edge));
    return ExpectEnd();
  }

  absl::Status TakeRank(const EdgeNames& names) {
    const std::string label = absl::StrCat("r", schedule_.num_ranks(), ":");
    PENSTOCK_RETURN_IF_ERROR(cursor_.Expect(label));
    std::vector<Action>& actions = schedule_.ranks.emplace_back();
    PENSTOCK_RETURN_IF_ERROR(ExpectBlanks());
    while (!cursor_.AtEnd()) {
      PENSTOCK_ASSIGN_OR_RETURN(const Action action,
                                TakeAction(cursor_, names));
      actions.push_back(action);
      PENSTOCK_RETURN_IF_ERROR(ExpectBlanks());
    }
    return absl::OkStatus();
  }

  absl::string_view rest_;
  int64_t line_number_ = 0;
  TextCursor cursor_{""};
  Schedule schedule_;
};

}  // namespace

absl::string_view ToString(Op op) {
  switch (op) {
    case Op::kForward:
      return "F";
    case Op::kBackward:
      return "B";
    case Op::kBackwardInput:
      return "I";
    case Op::kBackwardWeight:
      return "W";
    case Op::kRecompute:
      return "R";
    case Op::kSendForward:
      return "SF";
    case Op::kReceiveForward:
      return "RF";
    case Op::kSendBackward:
      return "SB";
    case Op::kReceiveBackward:
      return "RB";
    case Op::kReduceGradient:
      return "G";
    case Op::kAgreeNorm:
      return "N";
    case Op::kUpdate:
      return "U";
  }
  return "?";
}

std::string ToString(const Action& action, absl::Span<const Edge> edges) {
  std::string text;
  AppendAction(
      action,
      EdgeNames(IsCompute(action.op) ? absl::Span<const Edge>() : edges),
      &text);
  return text;
}

absl::StatusOr<Action> ParseAction(absl::string_view text,
                                   absl::Span<const Edge> edges) {
  TextCursor cursor(text);
  absl::StatusOr<Action> action = TakeAction(cursor, EdgeNames(edges));
  if (action.ok() && !cursor.AtEnd()) action = cursor.Unexpected("the end");
  if (action.ok()) return action;
  return absl::InvalidArgumentError(
      absl::StrCat("\"", absl::CHexEscape(text.substr(0, 100)),
                   "\" is not an action: ", action.status().message()));
}

std::string PrintSchedule(const Schedule& schedule) {
  std::string text =
      absl::StrCat(kMagic, " 1\nname ", schedule.name, "\nmicrobatches ",
                   schedule.num_microbatches, "\nplacement");
  for (const std::vector<RankId>& ranks : schedule.placement) {
    absl::StrAppend(
        &text, " ",
        ranks.empty()
            ? "-"
            : absl::StrJoin(ranks, "+", [](std::string* out, RankId rank) {
                absl::StrAppend(out, "r", rank.value());
              }));
  }
  text.append("\n");
  for (const Edge& edge : schedule.edges) {
    absl::StrAppend(&text, "edge ", EdgeKindName(edge.kind), " ", edge.tensor,
                    " ", edge.from.value(), ">", edge.to.value(), "\n");
  }
  const EdgeNames names(schedule.edges);
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    absl::StrAppend(&text, "r", rank, ":");
    for (const Action& action : schedule.ranks[rank]) {
      text.append(" ");
      AppendAction(action, names, &text);
    }
    text.append("\n");
  }
  return text;
}

absl::StatusOr<Schedule> ParseSchedule(absl::string_view text) {
  return ScheduleReader(text).Read();
}

}  // namespace penstock
