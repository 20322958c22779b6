#include "client/render/timeline_view.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/render/fractions_view.h"
#include "client/render/quantity.h"
#include "client/render/table.h"
#include "schedule/ir/text_format.h"
#include "schedule/simulator/summary.h"

namespace penstock {
namespace {

using nlohmann::ordered_json;

constexpr int kColumns = 100;
// In the order in which a tie is settled.
constexpr char kLetters[] = "FBIWRUNG.";

char LetterOf(Op op) {
  switch (op) {
    case Op::kForward:
      return 'F';
    case Op::kBackward:
      return 'B';
    case Op::kBackwardInput:
      return 'I';
    case Op::kBackwardWeight:
      return 'W';
    case Op::kRecompute:
      return 'R';
    case Op::kUpdate:
      return 'U';
    case Op::kAgreeNorm:
      return 'N';
    case Op::kReduceGradient:
      return 'G';
    default:
      return '.';
  }
}

// When an action works; N from when every rank has come.
std::pair<double, double> WorkOf(Op op, const TimelineEvent& event) {
  const double waited = op == Op::kAgreeNorm
                            ? std::max(0.0, event.inputs_made - event.start)
                            : event.overhead;
  return {event.start + waited, event.end};
}

// One rank's line: in each column what takes most of it.
std::string RankLine(const std::vector<Action>& actions,
                     const std::vector<TimelineEvent>& events,
                     double column_seconds) {
  constexpr size_t kKinds = sizeof(kLetters) - 1;
  std::vector<std::array<double, kKinds>> taken(kColumns);
  for (size_t i = 0; i < std::min(actions.size(), events.size()); ++i) {
    const char letter = LetterOf(actions[i].op);
    if (letter == '.' || events[i].start < 0) continue;
    const size_t kind = std::string(kLetters).find(letter);
    const auto [start, end] = WorkOf(actions[i].op, events[i]);
    const int first = static_cast<int>(start / column_seconds);
    const int last = static_cast<int>(end / column_seconds);
    for (int c = std::max(0, first); c <= std::min(kColumns - 1, last); ++c) {
      taken[c][kind] += std::min(end, (c + 1) * column_seconds) -
                        std::max(start, c * column_seconds);
    }
  }
  std::string line;
  for (std::array<double, kKinds>& column : taken) {
    double idle = column_seconds;
    for (const double seconds : column) idle -= seconds;
    column[kKinds - 1] = idle;
    line += kLetters[std::max_element(column.begin(), column.end()) -
                     column.begin()];
  }
  return line;
}

double EndOf(const Timeline& timeline) {
  double end = 0;
  for (const std::vector<TimelineEvent>& events : timeline.ranks) {
    for (const TimelineEvent& event : events) end = std::max(end, event.end);
  }
  return end;
}

std::string Grid(const Schedule& schedule, const Timeline& timeline,
                 double column_seconds) {
  std::string text;
  const size_t width = absl::StrCat(schedule.num_ranks() - 1).size();
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    absl::StrAppendFormat(
        &text, "  r%-*d |%s|\n", width, rank,
        RankLine(schedule.ranks[rank], timeline.ranks[rank], column_seconds));
  }
  return text;
}

// Microbatches in a row that an op of a stage computed with one version.
struct VersionRun {
  Action first;
  MicrobatchId last;
};

bool Continues(const VersionRun& run, const Action& action) {
  return run.first.stage == action.stage && run.first.op == action.op &&
         run.first.version == action.version &&
         action.microbatch.value() == run.last.value() + 1;
}

// "0F8..11@1 0B5..7@0 0B8@1": which weights the rank's actions read; "" where
// there is one version only.
std::string VersionsRead(const std::vector<Action>& actions) {
  std::vector<VersionRun> runs;
  for (const Action& action : actions) {
    if (!action.version.has_value() || !IsCompute(action.op)) continue;
    const auto run = std::find_if(
        runs.begin(), runs.end(),
        [&](const VersionRun& known) { return Continues(known, action); });
    if (run == runs.end()) {
      runs.push_back({action, action.microbatch});
    } else {
      run->last = action.microbatch;
    }
  }
  return absl::StrJoin(runs, " ", [](std::string* out, const VersionRun& run) {
    absl::StrAppend(out, run.first.stage.value(), ToString(run.first.op),
                    run.first.microbatch.value());
    if (run.last != run.first.microbatch) {
      absl::StrAppend(out, "..", run.last.value());
    }
    absl::StrAppend(out, "@", *run.first.version);
  });
}

// A line a rank.
std::string VersionLines(const Schedule& schedule) {
  std::string text;
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    const std::string read = VersionsRead(schedule.ranks[rank]);
    if (!read.empty()) absl::StrAppend(&text, "  r", rank, "  ", read, "\n");
  }
  return text.empty() ? "" : absl::StrCat("weight versions read\n", text, "\n");
}

double Waits(const RankSummary& rank) {
  return rank.idle.warm_up + rank.idle.dependency + rank.idle.imbalance;
}

std::string RankTable(const MeasuredJob& job) {
  const TimelineSummary measured = Summarise(job.schedule, job.measured);
  const TimelineSummary predicted = Summarise(job.schedule, job.predicted);
  std::vector<std::vector<std::string>> rows;
  for (size_t rank = 0; rank < measured.ranks.size(); ++rank) {
    const RankSummary& is = measured.ranks[rank];
    const RankSummary& said = predicted.ranks[rank];
    rows.push_back(
        {absl::StrCat(rank), SecondsText(is.busy), SecondsText(said.busy),
         SecondsText(Waits(is)), SecondsText(Waits(said)),
         SecondsText(is.idle.communication),
         SecondsText(said.idle.communication), SecondsText(is.idle.overhead),
         SecondsText(said.idle.overhead)});
  }
  return RenderTable({"RANK", "BUSY", "predicted", "WAITS", "predicted",
                      "MESSAGES", "predicted", "OVERHEAD", "predicted"},
                     rows);
}

Fractions ToProto(const WorkFractions& work) {
  Fractions fractions;
  fractions.set_balance(work.balance);
  fractions.set_schedule(work.schedule);
  fractions.set_runtime(work.runtime);
  return fractions;
}

std::string ClocksText(const std::vector<double>& errors) {
  const auto most = std::max_element(errors.begin(), errors.end());
  if (most == errors.end() || *most <= 0) return "";
  return absl::StrCat("clocks agree to ", SecondsText(*most), "\n");
}

ordered_json RunToJson(const Schedule& schedule, const Timeline& timeline,
                       double seconds) {
  ordered_json ranks = ordered_json::array();
  const TimelineSummary summary = Summarise(schedule, timeline);
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    ordered_json actions = ordered_json::array();
    for (size_t i = 0; i < timeline.ranks[rank].size(); ++i) {
      const TimelineEvent& event = timeline.ranks[rank][i];
      actions.push_back(
          {{"action", ToString(schedule.ranks[rank][i], schedule.edges)},
           {"start", event.start},
           {"end", event.end}});
    }
    const RankSummary& account = summary.ranks[rank];
    ranks.push_back({{"busy", account.busy},
                     {"waits", Waits(account)},
                     {"messages", account.idle.communication},
                     {"overhead", account.idle.overhead},
                     {"actions", std::move(actions)}});
  }
  return {{"seconds", seconds}, {"ranks", std::move(ranks)}};
}

}  // namespace

std::string TimelineText(const MeasuredJob& job, const std::string& title) {
  const double end =
      std::max({EndOf(job.measured), EndOf(job.predicted), 1e-9});
  const double column_seconds = end / kColumns;
  return absl::StrCat(
      title, ", step ", job.step, ": measured ",
      SecondsText(job.measured_seconds), ", predicted ",
      SecondsText(job.predicted_seconds),
      absl::StrFormat(" (%+.1f %%)",
                      100 * (job.predicted_seconds / job.measured_seconds - 1)),
      " from the costs of step", job.cost_steps.size() == 1 ? " " : "s ",
      absl::StrJoin(job.cost_steps, ", "), "\n\nmeasured\n",
      Grid(job.schedule, job.measured, column_seconds), "predicted\n",
      Grid(job.schedule, job.predicted, column_seconds), "\na column is ",
      SecondsText(column_seconds),
      "; F forward, B backward, I and W its halves, R recompute, U update, N "
      "agreement,\nG reduction, . waiting\n\n",
      VersionLines(job.schedule), RankTable(job), "\n",
      FractionsText(ToProto(job.fractions)), "\n",
      ClocksText(job.clock_errors));
}

ordered_json TimelineToJson(const MeasuredJob& job) {
  return {
      {"step", job.step},
      {"cost_steps", job.cost_steps},
      {"fractions", FractionsToJson(ToProto(job.fractions))},
      {"clock_errors", job.clock_errors},
      {"measured", RunToJson(job.schedule, job.measured, job.measured_seconds)},
      {"predicted",
       RunToJson(job.schedule, job.predicted, job.predicted_seconds)}};
}

}  // namespace penstock
