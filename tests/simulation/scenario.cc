#include "tests/simulation/scenario.h"

#include <algorithm>
#include <array>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "tests/simulation/dice.h"

namespace penstock::simulation {
namespace {

enum class Target { kNone, kJob, kServer };

struct KindRow {
  ActionKind kind;
  const char* name;
  Target target;
  // Of the seconds that are drawn; 0: the kind has none.
  double most_seconds;
  // How often it is drawn, compared with others.
  int weight;
};

constexpr std::array<KindRow, 22> kKinds = {{
    {ActionKind::kSubmit, "submit", Target::kJob, 0, 0},
    {ActionKind::kCancel, "cancel", Target::kJob, 0, 1},
    {ActionKind::kSuspend, "suspend", Target::kJob, 0, 3},
    {ActionKind::kResume, "resume", Target::kJob, 0, 4},
    {ActionKind::kPin, "pin", Target::kJob, 0, 1},
    {ActionKind::kRemove, "remove", Target::kJob, 0, 1},
    {ActionKind::kKill, "kill", Target::kServer, 12, 8},
    {ActionKind::kTerminate, "terminate", Target::kServer, 6, 4},
    {ActionKind::kFreeze, "freeze", Target::kServer, 15, 4},
    {ActionKind::kBreak, "break", Target::kServer, 0, 5},
    {ActionKind::kPartition, "partition", Target::kServer, 15, 4},
    {ActionKind::kUnplug, "unplug", Target::kServer, 2, 2},
    {ActionKind::kFail, "fail", Target::kServer, 0, 1},
    {ActionKind::kReplay, "replay", Target::kServer, 0, 6},
    {ActionKind::kDamage, "damage", Target::kJob, 0, 2},
    {ActionKind::kSlow, "slow", Target::kNone, 10, 2},
    {ActionKind::kFill, "fill", Target::kNone, 5, 1},
    {ActionKind::kCrash, "crash", Target::kNone, 6, 3},
    {ActionKind::kCrashUnwritten, "crash_unwritten", Target::kNone, 6, 3},
    {ActionKind::kCrashUnspoken, "crash_unspoken", Target::kNone, 6, 3},
    {ActionKind::kStall, "stall", Target::kNone, 12, 2},
    {ActionKind::kClock, "clock", Target::kNone, 3600, 1},
}};

const KindRow* RowOf(ActionKind kind) {
  for (const KindRow& row : kKinds) {
    if (row.kind == kind) return &row;
  }
  return nullptr;
}

// The numbers of a job's line.
struct JobNumber {
  const char* name;
  int SimulatedJob::*field;
};
constexpr std::array<JobNumber, 7> kJobNumbers = {{
    {"stages", &SimulatedJob::stages},
    {"steps", &SimulatedJob::steps},
    {"every", &SimulatedJob::every},
    {"keep", &SimulatedJob::keep},
    {"memory", &SimulatedJob::memory},
    {"min", &SimulatedJob::min},
    {"limit", &SimulatedJob::limit},
}};

absl::Status BadLine(absl::string_view line, absl::string_view wanted) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", line, "\": wanted ", wanted));
}

absl::StatusOr<SimulatedJob> ParseJob(absl::string_view line,
                                      const std::vector<std::string>& words) {
  constexpr char kWanted[] = "job <name> stages=2 steps=8 ...";
  if (words.size() < 2) return BadLine(line, kWanted);
  SimulatedJob job;
  job.name = words[1];
  for (size_t i = 2; i < words.size(); ++i) {
    const std::pair<std::string, std::string> sides =
        absl::StrSplit(words[i], absl::MaxSplits('=', 1));
    const auto row = std::find_if(
        kJobNumbers.begin(), kJobNumbers.end(),
        [&sides](const JobNumber& one) { return one.name == sides.first; });
    if (row == kJobNumbers.end() ||
        !absl::SimpleAtoi(sides.second, &(job.*row->field))) {
      return BadLine(line, kWanted);
    }
  }
  if (job.stages < 1 || job.stages > 4 || job.steps < 1) {
    return BadLine(line, "1 to 4 stages and at least one step");
  }
  if (job.min < 0 || job.min > job.stages || (job.min > 0 && job.limit <= 0)) {
    return BadLine(line, "min of 0 to stages, and a limit with it");
  }
  return job;
}

absl::StatusOr<Action> ParseAction(absl::string_view line,
                                   const std::vector<std::string>& words) {
  constexpr char kWanted[] = "at <seconds> <what> [<of what>] [<seconds>]";
  Action action;
  double at = 0;
  if (words.size() < 3 || !absl::SimpleAtod(words[1], &at) || !(at >= 0)) {
    return BadLine(line, kWanted);
  }
  action.at = absl::Milliseconds(static_cast<int64_t>(at * 1000 + 0.5));
  const auto row = std::find_if(
      kKinds.begin(), kKinds.end(),
      [&words](const KindRow& one) { return words[2] == one.name; });
  if (row == kKinds.end()) {
    std::vector<std::string> names;
    for (const KindRow& one : kKinds) {
      names.push_back(one.name);
    }
    return BadLine(line, absl::StrCat("one of ", absl::StrJoin(names, ", ")));
  }
  action.kind = row->kind;
  size_t next = 3;
  if (row->target != Target::kNone) {
    if (words.size() <= next) return BadLine(line, kWanted);
    action.target = words[next++];
  }
  if (row->most_seconds > 0) {
    if (words.size() <= next ||
        !absl::SimpleAtod(words[next++], &action.seconds)) {
      return BadLine(line, kWanted);
    }
  }
  if (words.size() > next) return BadLine(line, kWanted);
  return action;
}

absl::Status ParseSetting(absl::string_view line,
                          const std::vector<std::string>& words,
                          Scenario& scenario) {
  bool is_good = words.size() == 2;
  if (is_good && words[0] == "seed") {
    is_good = absl::SimpleAtoi(words[1], &scenario.seed);
  } else if (is_good && words[0] == "events") {
    is_good = absl::SimpleAtoi(words[1], &scenario.events);
  } else if (is_good && words[0] == "servers") {
    is_good = absl::SimpleAtoi(words[1], &scenario.servers) &&
              scenario.servers >= 1 && scenario.servers <= 9;
  } else if (is_good && words[0] == "network") {
    scenario.is_lossy = words[1] == "lossy";
    is_good = scenario.is_lossy || words[1] == "streams";
  } else {
    is_good = false;
  }
  if (is_good) return absl::OkStatus();
  return BadLine(line,
                 "seed <n>, events <n>, servers <1 to 9>, network streams, "
                 "network lossy, job ... or at ...");
}

// Targets must be there; then nothing else has to look.
absl::Status CheckTargets(const Scenario& scenario) {
  for (const Action& action : scenario.actions) {
    const KindRow& row = *RowOf(action.kind);
    bool is_known = row.target == Target::kNone;
    if (row.target == Target::kJob) {
      is_known = std::any_of(
          scenario.jobs.begin(), scenario.jobs.end(),
          [&action](const SimulatedJob& j) { return j.name == action.target; });
    } else if (row.target == Target::kServer) {
      for (int i = 1; i <= scenario.servers; ++i) {
        is_known = is_known || action.target == absl::StrCat("s", i);
      }
    }
    if (!is_known) {
      return BadLine(ToText(action), "a job that has a line, or s1, s2, ...");
    }
  }
  return absl::OkStatus();
}

SimulatedJob RandomJob(int number, Dice& dice) {
  SimulatedJob job;
  job.name = absl::StrCat("job", number);
  job.stages = 1 + dice.Below(3);
  job.steps = 6 + 3 * dice.Below(3);
  job.every = std::array{-1, 0, 2, 3}[dice.Below(4)];
  job.keep = 1 + dice.Below(2);
  if (job.every >= 0 && dice.OneIn(2)) job.memory = 1;
  if (job.stages > 1 && dice.OneIn(3)) job.min = 1;
  job.limit = std::array{0, 3, 20, 20}[dice.Below(4)];
  if (job.min > 0) job.limit = std::max(job.limit, 3);
  return job;
}

ActionKind RandomKind(Dice& dice) {
  int sum = 0;
  for (const KindRow& row : kKinds) sum += row.weight;
  int drawn = dice.Below(sum);
  for (const KindRow& row : kKinds) {
    drawn -= row.weight;
    if (drawn < 0) return row.kind;
  }
  return ActionKind::kBreak;
}

Action RandomAction(const Scenario& scenario, absl::Duration until,
                    Dice& dice) {
  Action action;
  do {
    action.kind = RandomKind(dice);
  } while (action.kind == ActionKind::kReplay && !scenario.is_lossy);
  action.at = dice.Between(absl::Milliseconds(500), until);
  const KindRow& row = *RowOf(action.kind);
  if (row.target == Target::kServer) {
    action.target = absl::StrCat("s", 1 + dice.Below(scenario.servers));
  } else if (row.target == Target::kJob) {
    const int job = dice.Below(static_cast<int>(scenario.jobs.size()));
    action.target = scenario.jobs[job].name;
  }
  if (row.most_seconds > 0) {
    const int tenths = static_cast<int>(row.most_seconds * 10);
    action.seconds = (1 + dice.Below(tenths)) / 10.0;
    if (action.kind == ActionKind::kClock && dice.OneIn(2)) {
      action.seconds = -action.seconds;
    }
  }
  return action;
}

}  // namespace

Scenario RandomScenario(uint64_t seed, int events) {
  Dice dice(seed, {NameKey("scenario")});
  Scenario scenario;
  scenario.seed = seed;
  scenario.events = events;
  scenario.servers = 3 + dice.Below(3);
  scenario.is_lossy = dice.OneIn(2);
  // A server says something once a second at least.
  const absl::Duration until =
      absl::Seconds(events) / (2 * scenario.servers + 1);
  const int jobs = 1 + dice.Below(4);
  for (int i = 1; i <= jobs; ++i) {
    scenario.jobs.push_back(RandomJob(i, dice));
    const absl::Duration at = dice.Between(absl::ZeroDuration(), until / 2);
    scenario.actions.push_back(
        {ActionKind::kSubmit, at, scenario.jobs.back().name, 0});
    // A retry, with the same key.
    if (dice.OneIn(4)) {
      scenario.actions.push_back({ActionKind::kSubmit, at + absl::Seconds(1),
                                  scenario.jobs.back().name, 0});
    }
  }
  const int faults = 2 + dice.Below(24);
  for (int i = 0; i < faults; ++i) {
    scenario.actions.push_back(RandomAction(scenario, until, dice));
  }
  std::stable_sort(
      scenario.actions.begin(), scenario.actions.end(),
      [](const Action& a, const Action& b) { return a.at < b.at; });
  return scenario;
}

std::string ToText(const Action& action) {
  const KindRow& row = *RowOf(action.kind);
  std::string text =
      absl::StrFormat("at %.3f %s", absl::ToDoubleSeconds(action.at), row.name);
  if (row.target != Target::kNone) absl::StrAppend(&text, " ", action.target);
  if (row.most_seconds > 0) absl::StrAppend(&text, " ", action.seconds);
  return text;
}

std::string ToText(const Scenario& scenario) {
  std::string text =
      absl::StrCat("seed ", scenario.seed, "\nevents ", scenario.events,
                   "\nservers ", scenario.servers, "\nnetwork ",
                   scenario.is_lossy ? "lossy" : "streams", "\n");
  for (const SimulatedJob& job : scenario.jobs) {
    absl::StrAppend(&text, "job ", job.name);
    for (const JobNumber& number : kJobNumbers) {
      absl::StrAppend(&text, " ", number.name, "=", job.*number.field);
    }
    absl::StrAppend(&text, "\n");
  }
  for (const Action& action : scenario.actions) {
    absl::StrAppend(&text, ToText(action), "\n");
  }
  return text;
}

absl::StatusOr<Scenario> ParseScenario(absl::string_view text) {
  Scenario scenario;
  for (const absl::string_view raw : absl::StrSplit(text, '\n')) {
    const absl::string_view line = absl::StripAsciiWhitespace(raw);
    if (line.empty() || line.front() == '#') continue;
    const std::vector<std::string> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words[0] == "job") {
      PENSTOCK_ASSIGN_OR_RETURN(SimulatedJob job, ParseJob(line, words));
      scenario.jobs.push_back(std::move(job));
    } else if (words[0] == "at") {
      PENSTOCK_ASSIGN_OR_RETURN(Action action, ParseAction(line, words));
      scenario.actions.push_back(std::move(action));
    } else {
      PENSTOCK_RETURN_IF_ERROR(ParseSetting(line, words, scenario));
    }
  }
  PENSTOCK_RETURN_IF_ERROR(CheckTargets(scenario));
  std::stable_sort(
      scenario.actions.begin(), scenario.actions.end(),
      [](const Action& a, const Action& b) { return a.at < b.at; });
  return scenario;
}

}  // namespace penstock::simulation
