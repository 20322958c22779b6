#include "schedule/ir/text_format.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "schedule/ir/action_text.h"
#include "schedule/ir/text_cursor.h"

namespace penstock {
namespace {

constexpr absl::string_view kMagic = "penstock-schedule";
// Stages, edges and ranks of a file, so that rubbish stays small once read.
constexpr size_t kMost = 1'000'000;
// A list is made as long as its line says once this much of it has been read.
constexpr size_t kLongList = 1000;

struct PolicyName {
  WeightPolicy policy;
  absl::string_view name;
};
constexpr PolicyName kPolicies[] = {
    {WeightPolicy::kFlush, "flush"},
    {WeightPolicy::kStash, "stash"},
    {WeightPolicy::kVertical, "vertical"},
    {WeightPolicy::kDoubleBuffer, "double_buffer"},
    {WeightPolicy::kGrouped, "grouped"},
};

struct AccumulationName {
  AccumulationOrder order;
  absl::string_view name;
};
constexpr AccumulationName kAccumulations[] = {
    {AccumulationOrder::kAscending, "ascending"},
    {AccumulationOrder::kDescending, "descending"},
    {AccumulationOrder::kAsListed, "as_listed"},
};

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
    NextLine();
    PENSTOCK_RETURN_IF_ERROR(TakePolicy());
    PENSTOCK_RETURN_IF_ERROR(TakeAccumulation());
    PENSTOCK_RETURN_IF_ERROR(TakePlacement());
    bool more = NextLine();
    if (schedule_.is_continuous()) {
      PENSTOCK_RETURN_IF_ERROR(TakeVersionRules());
      more = NextLine();
    }
    while (more && cursor_.Take("edge")) {
      PENSTOCK_RETURN_IF_ERROR(TakeEdgeLine());
      more = NextLine();
    }
    const EdgeNames names(schedule_.edges);
    if (schedule_.is_continuous()) {
      if (cursor_.Take("prologue")) return TakeSections(names);
      PENSTOCK_RETURN_IF_ERROR(
          TakeRank(" or \"prologue\"", names, &schedule_.ranks));
      more = NextLine();
    }
    for (; more; more = NextLine()) {
      PENSTOCK_RETURN_IF_ERROR(TakeRank("", names, &schedule_.ranks));
    }
    return absl::OkStatus();
  }

  // The lists of a continuous schedule, from the end of the line `prologue`.
  absl::Status TakeSections(const EdgeNames& names) {
    PENSTOCK_RETURN_IF_ERROR(ExpectEnd());
    NextLine();
    PENSTOCK_RETURN_IF_ERROR(TakeRank("", names, &schedule_.ranks));
    for (NextLine(); !cursor_.Take("period"); NextLine()) {
      PENSTOCK_RETURN_IF_ERROR(
          TakeRank(" or \"period\"", names, &schedule_.ranks));
    }
    PENSTOCK_RETURN_IF_ERROR(ExpectEnd());
    for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
      NextLine();
      PENSTOCK_RETURN_IF_ERROR(TakeRank("", names, &schedule_.period));
    }
    NextLine();
    PENSTOCK_RETURN_IF_ERROR(cursor_.Expect("epilogue"));
    PENSTOCK_RETURN_IF_ERROR(ExpectEnd());
    for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
      NextLine();
      PENSTOCK_RETURN_IF_ERROR(TakeRank("", names, &schedule_.epilogue));
    }
    if (!NextLine()) return absl::OkStatus();
    return cursor_.Unexpected("the end of the file");
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
    NextLine();
    PENSTOCK_RETURN_IF_ERROR(ExpectKey(kMagic));
    const size_t begin = cursor_.offset();
    PENSTOCK_ASSIGN_OR_RETURN(
        const int64_t version,
        cursor_.Number("the format's version", kMaxNumber));
    if (version != 1) {
      return TextCursor::ErrorAt(
          begin, absl::StrCat("version ", version,
                              " of the format is not known; expected 1"));
    }
    return ExpectEnd();
  }

  absl::Status TakeName() {
    NextLine();
    PENSTOCK_RETURN_IF_ERROR(ExpectKey("name"));
    PENSTOCK_ASSIGN_OR_RETURN(const absl::string_view name,
                              cursor_.Name("the schedule's name"));
    schedule_.name = std::string(name);
    return ExpectEnd();
  }

  absl::Status TakeMicrobatches() {
    NextLine();
    PENSTOCK_RETURN_IF_ERROR(ExpectKey("microbatches"));
    PENSTOCK_ASSIGN_OR_RETURN(
        const int64_t count,
        cursor_.Number("the number of microbatches", kMaxNumber));
    schedule_.num_microbatches = static_cast<int>(count);
    return ExpectEnd();
  }

  // Takes the line, if it is there, and goes on to the next.
  absl::Status TakePolicy() {
    if (!cursor_.Take("policy")) return absl::OkStatus();
    PENSTOCK_RETURN_IF_ERROR(ExpectBlanks());
    for (const PolicyName& known : kPolicies) {
      if (!cursor_.Take(known.name)) continue;
      schedule_.policy = known.policy;
      PENSTOCK_RETURN_IF_ERROR(ExpectEnd());
      NextLine();
      return absl::OkStatus();
    }
    return cursor_.Unexpected(
        "a policy (flush stash vertical double_buffer grouped)");
  }

  // The same.
  absl::Status TakeAccumulation() {
    if (!cursor_.Take("accumulation")) return absl::OkStatus();
    PENSTOCK_RETURN_IF_ERROR(ExpectBlanks());
    for (const AccumulationName& known : kAccumulations) {
      if (!cursor_.Take(known.name)) continue;
      schedule_.accumulation = known.order;
      PENSTOCK_RETURN_IF_ERROR(ExpectEnd());
      NextLine();
      return absl::OkStatus();
    }
    return cursor_.Unexpected("an order (ascending descending as_listed)");
  }

  absl::Status TakeVersionRules() {
    PENSTOCK_RETURN_IF_ERROR(ExpectKey("versions"));
    for (int stage = 0; stage < schedule_.num_stages(); ++stage) {
      if (cursor_.AtEnd()) {
        return cursor_.Unexpected(
            absl::StrCat("a rule such as \"4/1\" for each of ",
                         schedule_.num_stages(), " stages"));
      }
      const size_t begin = cursor_.offset();
      PENSTOCK_ASSIGN_OR_RETURN(
          const int64_t microbatches,
          cursor_.Number("microbatches per update", kMaxNumber));
      if (microbatches == 0) {
        return TextCursor::ErrorAt(
            begin, "microbatches per update are 0; expected at least 1");
      }
      PENSTOCK_RETURN_IF_ERROR(cursor_.Expect("/"));
      PENSTOCK_ASSIGN_OR_RETURN(
          const int64_t delay,
          cursor_.Number("a delay in updates", kMaxNumber));
      schedule_.versions.push_back(
          {static_cast<int>(microbatches), static_cast<int>(delay)});
      PENSTOCK_RETURN_IF_ERROR(ExpectBlanks());
    }
    return ExpectEnd();
  }

  absl::Status TakePlacement() {
    PENSTOCK_RETURN_IF_ERROR(ExpectKey("placement"));
    while (!cursor_.AtEnd()) {
      PENSTOCK_RETURN_IF_ERROR(ExpectRoom("stages", schedule_.placement));
      std::vector<RankId>& ranks = schedule_.placement.emplace_back();
      if (!cursor_.Take("-")) {
        do {
          PENSTOCK_RETURN_IF_ERROR(cursor_.Expect("r"));
          PENSTOCK_ASSIGN_OR_RETURN(const int64_t rank,
                                    cursor_.Number("a rank", kMaxNumber));
          PENSTOCK_RETURN_IF_ERROR(ExpectRoom("ranks of a stage", ranks));
          ranks.push_back(RankId(static_cast<int>(rank)));
        } while (cursor_.Take("+"));
      }
      PENSTOCK_RETURN_IF_ERROR(ExpectBlanks());
    }
    return absl::OkStatus();
  }

  // Whether another of `what` may be added to `to`.
  template <typename T>
  absl::Status ExpectRoom(absl::string_view what, const std::vector<T>& to) {
    if (to.size() < kMost) return absl::OkStatus();
    return TextCursor::ErrorAt(cursor_.offset(),
                               absl::StrCat("more than ", kMost, " ", what,
                                            "; expected at most ", kMost));
  }

  absl::Status TakeEdgeLine() {
    PENSTOCK_RETURN_IF_ERROR(ExpectRoom("edges", schedule_.edges));
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
                              cursor_.Number("a stage", kMaxNumber));
    edge.from = StageId(static_cast<int>(from));
    PENSTOCK_RETURN_IF_ERROR(cursor_.Expect(">"));
    PENSTOCK_ASSIGN_OR_RETURN(const int64_t to,
                              cursor_.Number("a stage", kMaxNumber));
    edge.to = StageId(static_cast<int>(to));
    schedule_.edges.push_back(std::move(edge));
    return ExpectEnd();
  }

  // Takes the list of the next rank of `lists`; `or_what` may stand there too.
  absl::Status TakeRank(absl::string_view or_what, const EdgeNames& names,
                        RankLists* lists) {
    const std::string label = absl::StrCat("r", lists->size(), ":");
    if (!cursor_.Take(label)) {
      return cursor_.Unexpected(absl::StrCat("\"", label, "\"", or_what));
    }
    PENSTOCK_RETURN_IF_ERROR(ExpectRoom("ranks", *lists));
    std::vector<Action>& actions = lists->emplace_back();
    PENSTOCK_RETURN_IF_ERROR(ExpectBlanks());
    bool joined = false;
    while (!cursor_.AtEnd()) {
      const size_t begin = cursor_.offset();
      PENSTOCK_ASSIGN_OR_RETURN(const Action action,
                                TakeAction(cursor_, names));
      if (joined && !IsCompute(action.op)) {
        return TextCursor::ErrorAt(
            begin, "expected a blank, or F B I W R to end the pair");
      }
      actions.push_back(action);
      if (actions.size() == kLongList) {
        // Doubling would take up to three times the room.
        actions.reserve(kLongList + cursor_.CountWords("&"));
      }
      const size_t end = cursor_.offset();
      cursor_.TakeBlanks();
      joined = cursor_.offset() == end && !cursor_.AtEnd();
      if (joined && !action.overlaps_next) {
        return cursor_.Unexpected("a blank");
      }
    }
    return absl::OkStatus();
  }

  absl::string_view rest_;
  int64_t line_number_ = 0;
  TextCursor cursor_{""};
  Schedule schedule_;
};

// The lines before the lists.
std::string PrintHeader(const Schedule& schedule) {
  std::string text =
      absl::StrCat(kMagic, " 1\nname ", schedule.name, "\nmicrobatches ",
                   schedule.num_microbatches, "\n");
  if (schedule.policy != WeightPolicy::kFlush) {
    absl::StrAppend(&text, "policy ", ToString(schedule.policy), "\n");
  }
  if (schedule.accumulation != AccumulationOrder::kAscending) {
    absl::StrAppend(&text, "accumulation ", ToString(schedule.accumulation),
                    "\n");
  }
  text.append("placement");
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
  if (schedule.is_continuous()) {
    text.append("versions");
    for (const VersionRule& rule : schedule.versions) {
      absl::StrAppend(&text, " ", rule.microbatches_per_update, "/",
                      rule.delay);
    }
    text.append("\n");
  }
  for (const Edge& edge : schedule.edges) {
    absl::StrAppend(&text, "edge ", EdgeKindName(edge.kind), " ", edge.tensor,
                    " ", edge.from.value(), ">", edge.to.value(), "\n");
  }
  return text;
}

void AppendLists(const RankLists& lists, const EdgeNames& names,
                 std::string* out) {
  for (size_t rank = 0; rank < lists.size(); ++rank) {
    absl::StrAppend(out, "r", rank, ":");
    bool pair = false;
    for (const Action& action : lists[rank]) {
      if (!pair || !IsCompute(action.op)) out->append(" ");
      AppendAction(action, names, out);
      pair = action.overlaps_next;
    }
    out->append("\n");
  }
}

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

absl::string_view ToString(WeightPolicy policy) {
  for (const PolicyName& known : kPolicies) {
    if (known.policy == policy) return known.name;
  }
  return "?";
}

absl::string_view ToString(AccumulationOrder order) {
  for (const AccumulationName& known : kAccumulations) {
    if (known.order == order) return known.name;
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
  std::string text = PrintHeader(schedule);
  const EdgeNames names(schedule.edges);
  const bool sections = !schedule.period.empty() || !schedule.epilogue.empty();
  if (sections) text.append("prologue\n");
  AppendLists(schedule.ranks, names, &text);
  if (sections) {
    text.append("period\n");
    AppendLists(schedule.period, names, &text);
    text.append("epilogue\n");
    AppendLists(schedule.epilogue, names, &text);
  }
  return text;
}

absl::StatusOr<Schedule> ParseSchedule(absl::string_view text) {
  return ScheduleReader(text).Read();
}

}  // namespace penstock
