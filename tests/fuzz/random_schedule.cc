#include "tests/fuzz/random_schedule.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/ids.h"

namespace penstock {
namespace {

constexpr int kMax = std::numeric_limits<int32_t>::max();

// Mostly below `usual`, now and then anything that can be written.
int Number(Draw& draw, int usual) {
  if (!draw.OneIn(30)) return draw.Below(usual);
  constexpr int kOdd[] = {0, 1, 7, 1000, 65536, 1 << 30, kMax - 1, kMax};
  return kOdd[draw.Below(std::size(kOdd))];
}

void SetExtent(Draw& draw, Action* action) {
  const bool halved =
      action->op == Op::kBackward || action->op == Op::kBackwardInput ||
      action->op == Op::kBackwardWeight || action->op == Op::kSendBackward ||
      action->op == Op::kReceiveBackward;
  if (halved && action->microbatch != kWholeStep && draw.OneIn(3)) {
    action->half = draw.OneIn(2) ? Half::kFirst : Half::kSecond;
  }
  if (action->op == Op::kForward && action->microbatch.value() < kMax &&
      draw.OneIn(4)) {
    action->num_microbatches = 2;
  }
  action->overlaps_next = IsCompute(action->op) && draw.OneIn(5);
}

Action RandomAction(Draw& draw, const Schedule& schedule) {
  Action action{.op = static_cast<Op>(1 + draw.Below(12))};
  const bool communication = IsSend(action.op) || IsReceive(action.op);
  if (communication && schedule.edges.empty()) action.op = Op::kForward;
  if (action.op == Op::kAgreeNorm) return action;
  action.stage = StageId(Number(draw, schedule.num_stages() + 1));
  const bool versioned = IsCompute(action.op) || action.op == Op::kUpdate ||
                         action.op == Op::kReduceGradient;
  if (versioned && draw.OneIn(3)) action.version = Number(draw, 3);
  if (action.op == Op::kUpdate || action.op == Op::kReduceGradient) {
    return action;
  }
  action.microbatch =
      MicrobatchId(Number(draw, std::min(schedule.num_microbatches, 100) + 1));
  if (IsSend(action.op) || IsReceive(action.op)) {
    if (draw.OneIn(5)) action.microbatch = kWholeStep;
    action.edge = EdgeId(draw.Below(schedule.edges.size()));
    action.peer = RankId(Number(draw, schedule.num_ranks() + 1));
  }
  SetExtent(draw, &action);
  return action;
}

RankLists RandomLists(Draw& draw, const Schedule& schedule, int ranks) {
  RankLists lists(ranks);
  for (std::vector<Action>& actions : lists) {
    const int count = draw.Below(12);
    for (int i = 0; i < count; ++i) {
      actions.push_back(RandomAction(draw, schedule));
    }
  }
  return lists;
}

std::vector<std::string> Words(absl::string_view text) {
  return absl::StrSplit(text, ' ');
}

// Changes one number of the word, if there is any.
void ChangeNumber(Draw& draw, std::string* word) {
  std::vector<size_t> starts;
  for (size_t i = 0; i < word->size(); ++i) {
    const auto is_digit = [&](size_t at) {
      return absl::ascii_isdigit(static_cast<unsigned char>((*word)[at]));
    };
    if (is_digit(i) && (i == 0 || !is_digit(i - 1))) starts.push_back(i);
  }
  if (starts.empty()) return;
  const size_t start = starts[draw.Below(starts.size())];
  size_t end = start;
  while (end < word->size() &&
         absl::ascii_isdigit(static_cast<unsigned char>((*word)[end]))) {
    ++end;
  }
  const int64_t number =
      draw.OneIn(4) ? int64_t{kMax} + draw.Below(2) : draw.Below(6);
  word->replace(start, end - start, absl::StrCat(number));
}

void MutateWords(Draw& draw, std::vector<std::string>* lines) {
  std::string& line = (*lines)[draw.Below(lines->size())];
  std::vector<std::string> words = Words(line);
  const int at = draw.Below(words.size());
  switch (draw.Below(5)) {
    case 0:
      words.erase(words.begin() + at);
      break;
    case 1:
      words.insert(words.begin() + draw.Below(words.size()), words[at]);
      break;
    case 2:
      std::swap(words[at], words[draw.Below(words.size())]);
      break;
    case 3: {
      const std::vector<std::string> others =
          Words((*lines)[draw.Below(lines->size())]);
      words[at] = others[draw.Below(others.size())];
      break;
    }
    default:
      ChangeNumber(draw, &words[at]);
  }
  line = absl::StrJoin(words, " ");
}

void MutateLines(Draw& draw, std::vector<std::string>* lines) {
  const int at = draw.Below(lines->size());
  switch (draw.Below(3)) {
    case 0:
      if (lines->size() > 1) lines->erase(lines->begin() + at);
      break;
    case 1: {
      std::string copy = (*lines)[at];
      lines->insert(lines->begin() + draw.Below(lines->size()),
                    std::move(copy));
      break;
    }
    default:
      std::swap((*lines)[at], (*lines)[draw.Below(lines->size())]);
  }
}

void MutateBytes(Draw& draw, std::string* text) {
  constexpr char kBytes[] = "0123456789rFBIWRSGUN[]<>#*@+-:&/ \n\t\r.a\xff";
  const int at = draw.Below(text->size());
  const char byte = kBytes[draw.Below(sizeof(kBytes))];
  if (text->empty() || draw.OneIn(3)) {
    text->insert(at, 1, byte);
  } else if (draw.OneIn(2)) {
    text->erase(at, 1 + draw.Below(8));
  } else {
    (*text)[at] = byte;
  }
}

}  // namespace

Schedule RandomSchedule(uint64_t seed) {
  Draw draw(seed);
  constexpr char kLetters[] = "ahw_./:-0Z";
  Schedule schedule{
      .name = absl::StrCat("s", seed),
      .num_microbatches = Number(draw, 6),
      .policy = static_cast<WeightPolicy>(1 + draw.Below(5)),
      .accumulation = static_cast<AccumulationOrder>(1 + draw.Below(3))};
  if (draw.OneIn(2)) schedule.policy = WeightPolicy::kFlush;
  const int stages = draw.Below(5);
  const int ranks = 1 + draw.Below(4);
  for (int stage = 0; stage < stages; ++stage) {
    std::vector<RankId>& holders = schedule.placement.emplace_back();
    const int count = draw.OneIn(3) ? draw.Below(4) : 1;
    for (int i = 0; i < count; ++i) {
      holders.push_back(RankId(Number(draw, ranks)));
    }
    if (!schedule.is_continuous()) continue;
    schedule.versions.push_back(
        {std::max(1, Number(draw, 3)), Number(draw, 3)});
  }
  const int edges = draw.Below(5);
  for (int edge = 0; edge < edges; ++edge) {
    schedule.edges.push_back(
        {draw.OneIn(4) ? EdgeKind::kTiedWeight : EdgeKind::kActivation,
         std::string(1, kLetters[draw.Below(draw.OneIn(2) ? 2 : 10)]),
         StageId(Number(draw, stages + 1)), StageId(Number(draw, stages + 1))});
  }
  schedule.ranks.resize(ranks);  // what peers are drawn from
  schedule.ranks = RandomLists(draw, schedule, ranks);
  if (schedule.is_continuous() && !draw.OneIn(4)) {
    schedule.period = RandomLists(draw, schedule, ranks);
    schedule.epilogue = RandomLists(draw, schedule, ranks);
  }
  return schedule;
}

std::string Mutated(absl::string_view text, uint64_t seed) {
  Draw draw(seed);
  std::string mutant(text);
  const int edits = 1 + draw.Below(3);
  for (int edit = 0; edit < edits; ++edit) {
    const int kind = draw.Below(8);
    if (kind < 2) {
      MutateBytes(draw, &mutant);
      continue;
    }
    if (kind == 2 && draw.OneIn(4)) {
      mutant.resize(draw.Below(mutant.size()));
      continue;
    }
    std::vector<std::string> lines = absl::StrSplit(mutant, '\n');
    if (kind == 3) {
      MutateLines(draw, &lines);
    } else {
      MutateWords(draw, &lines);
    }
    mutant = absl::StrJoin(lines, "\n");
  }
  return mutant;
}

}  // namespace penstock
