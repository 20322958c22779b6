#include "schedule/simulator/run_diff.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "schedule/ir/grid.h"
#include "schedule/ir/text_format.h"
#include "schedule/simulator/summary.h"

namespace penstock {
namespace {

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

// Positions of the rank's compute actions that ran.
std::vector<int> ComputePositions(const RunView& run, int rank) {
  std::vector<int> positions;
  if (rank >= run.schedule->num_ranks()) return positions;
  const std::vector<TimelineEvent>& events = run.timeline->ranks[rank];
  for (size_t i = 0; i < events.size(); ++i) {
    if (IsCompute(run.schedule->ranks[rank][i].op) && events[i].end >= 0) {
      positions.push_back(static_cast<int>(i));
    }
  }
  return positions;
}

const Action& ActionAt(const RunView& run, int rank, int position) {
  return run.schedule->ranks[rank][position];
}
const TimelineEvent& EventAt(const RunView& run, int rank, int position) {
  return run.timeline->ranks[rank][position];
}

// One rank of two runs, compute action by compute action.
struct RankPair {
  RankPair(const RunView& left, const RunView& right, int rank)
      : left_positions(ComputePositions(left, rank)),
        right_positions(ComputePositions(right, rank)) {
    const size_t both = std::min(left_positions.size(), right_positions.size());
    while (same < both && ActionAt(left, rank, left_positions[same]) ==
                              ActionAt(right, rank, right_positions[same])) {
      ++same;
    }
  }

  bool SameOrder() const {
    return same == left_positions.size() && same == right_positions.size();
  }

  std::vector<int> left_positions, right_positions;
  // How many actions, from the first, are the same.
  size_t same = 0;
};

std::string ActionText(const RunView& run, int rank,
                       const std::vector<int>& positions, size_t index) {
  if (index >= positions.size()) return "nothing";
  return ToString(ActionAt(run, rank, positions[index]));
}

// Of a rank that runs the same order: the action at which the difference
// between the two runs grew most.
std::string Drift(const RunView& left, const RunView& right, int rank,
                  const RankPair& pair) {
  double before = 0, most = 0;
  size_t where = 0;
  for (size_t i = 0; i < pair.same; ++i) {
    const double late = EventAt(right, rank, pair.right_positions[i]).end -
                        EventAt(left, rank, pair.left_positions[i]).end;
    if (std::abs(late - before) > std::abs(most)) {
      most = late - before;
      where = i;
    }
    before = late;
  }
  if (most == 0) return "same order, same times";
  return absl::StrFormat(
      "same order, ends %+.6g, most of it at %s (%+.6g)", before,
      ActionText(left, rank, pair.left_positions, where), most);
}

std::string RankLine(const RunView& left, const RunView& right, int rank) {
  const RankPair pair(left, right, rank);
  if (pair.SameOrder()) return Drift(left, right, rank, pair);
  return absl::StrCat(
      "same for ", pair.same, pair.same == 1 ? " action" : " actions",
      ", then ", ActionText(left, rank, pair.left_positions, pair.same),
      " against ", ActionText(right, rank, pair.right_positions, pair.same));
}

double PeakInFlight(const TimelineSummary& summary) {
  double peak = 0;
  for (const RankSummary& rank : summary.ranks) {
    peak = std::max(peak, rank.peak_in_flight);
  }
  return peak;
}

}  // namespace

std::string GridDiff(const Schedule& left, const Schedule& right) {
  const std::vector<std::string> lines = LinesOf(PrintGrid(left));
  const std::vector<std::string> others = LinesOf(PrintGrid(right));
  size_t width = 0;
  for (const std::string& line : lines) width = std::max(width, line.size());
  std::string out;
  for (size_t i = 0; i < std::max(lines.size(), others.size()); ++i) {
    const std::string line = i < lines.size() ? lines[i] : "";
    const std::string other = i < others.size() ? others[i] : "";
    std::string row = absl::StrCat(line, std::string(width - line.size(), ' '),
                                   line == other ? "     " : "  |  ", other);
    row.erase(row.find_last_not_of(' ') + 1);
    absl::StrAppend(&out, row, "\n");
  }
  return out;
}

void MarkDifferences(double tolerance, RunView* left, RunView* right) {
  for (const auto& [run, other] :
       {std::pair(left, right), std::pair(right, left)}) {
    run->marked.assign(run->schedule->num_ranks(), {});
    for (int rank = 0; rank < run->schedule->num_ranks(); ++rank) {
      const std::vector<int> mine = ComputePositions(*run, rank);
      const std::vector<int> theirs = ComputePositions(*other, rank);
      std::vector<bool>& marked = run->marked[rank];
      marked.assign(run->schedule->ranks[rank].size(), false);
      for (size_t i = 0; i < mine.size(); ++i) {
        marked[mine[i]] =
            i >= theirs.size() ||
            !(ActionAt(*run, rank, mine[i]) ==
              ActionAt(*other, rank, theirs[i])) ||
            std::abs(EventAt(*run, rank, mine[i]).start -
                     EventAt(*other, rank, theirs[i]).start) > tolerance;
      }
    }
  }
}

std::string RunDiff(const RunView& left, const RunView& right) {
  const TimelineSummary a = Summarise(*left.schedule, *left.timeline);
  const TimelineSummary b = Summarise(*right.schedule, *right.timeline);
  const size_t width =
      std::max({left.Title().size(), right.Title().size(), size_t{10}});
  std::string out;
  const auto line = [&](const std::string& what, const std::string& one,
                        const std::string& other) {
    absl::StrAppendFormat(&out, "%-12s  %*s  %*s\n", what, width, one, width,
                          other);
  };
  const auto percent = [](double part) {
    return absl::StrFormat("%.1f %%", 100 * part);
  };
  const auto number = [](double value) {
    return absl::StrFormat("%.6g", value);
  };
  line("", left.Title(), right.Title());
  line("makespan", number(a.makespan), number(b.makespan));
  line("bubble", percent(a.sync_bubble), percent(b.sync_bubble));
  line("span bubble", percent(a.span_bubble), percent(b.span_bubble));
  line("in flight", number(PeakInFlight(a)), number(PeakInFlight(b)));
  const int ranks =
      std::max(left.schedule->num_ranks(), right.schedule->num_ranks());
  for (int rank = 0; rank < ranks; ++rank) {
    absl::StrAppend(&out, "r", rank, ": ", RankLine(left, right, rank), "\n");
  }
  return out;
}

}  // namespace penstock
