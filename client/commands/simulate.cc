#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/commands/command.h"
#include "client/commands/schedule_flags.h"
#include "client/render/schedule_view.h"
#include "schedule/generators/registry.h"
#include "schedule/simulator/chrome_trace.h"
#include "schedule/simulator/critical_path.h"
#include "schedule/simulator/svg.h"

namespace penstock {
namespace {

constexpr char kAll[] = "all";

struct SimulateFlags {
  ScheduleFlags schedule;
  std::string sources;
  double max_in_flight = 0;
  int64_t max_bytes = 0;
  bool critical_path = false;
  std::string colour;
  std::string output;
};

// "all", or names and files parted by commas.
std::vector<std::string> SourcesOf(const std::string& text) {
  if (text != kAll) return absl::StrSplit(text, ',', absl::SkipWhitespace());
  std::vector<std::string> names;
  for (const GeneratorInfo& generator : Generators()) {
    names.push_back(generator.name);
  }
  return names;
}

void MarkCriticalPaths(std::vector<RunView>& runs) {
  for (RunView& run : runs) {
    run.marked.resize(run.timeline->ranks.size());
    for (const CriticalStep& step : CriticalPath(*run.timeline)) {
      std::vector<bool>& marked = run.marked[step.rank.value()];
      marked.resize(run.timeline->ranks[step.rank.value()].size());
      marked[step.position] = true;
    }
  }
}

void PrintRuns(CommandContext& context, const SimulateFlags& flags,
               const std::vector<ComparedSchedule>& schedules,
               const std::string& time_unit) {
  std::ostream& out = *context.environment().out;
  if (flags.output == "json") {
    context.Print(OutputFormat::kJson,
                  ComparisonToJson(schedules, flags.critical_path), "");
  } else if (flags.output == "csv") {
    out << ComparisonCsv(schedules);
  } else if (flags.output == "svg") {
    std::vector<RunView> runs = RunsOf(schedules);
    if (flags.critical_path) MarkCriticalPaths(runs);
    out << TimelineSvg(
        runs, {.colour = flags.colour == "microbatch" ? ColourBy::kMicrobatch
                                                      : ColourBy::kOp,
               .time_unit = time_unit,
               .mark_meaning = "critical path"});
  } else if (flags.output == "trace") {
    out << ChromeTrace(RunsOf(schedules));
  } else {
    out << ComparisonText(schedules, time_unit);
    if (flags.critical_path) out << CriticalPathText(schedules);
  }
  out << std::flush;
}

ExitCode SimulateSchedules(CommandContext& context,
                           const SimulateFlags& flags) {
  const Interrupt::Registration stop = EndOnInterrupt(context.environment());
  absl::StatusOr<ComparisonRequest> request =
      RequestOf(flags.schedule, context.environment());
  if (!request.ok()) return context.Fail(request.status());
  request->sources = SourcesOf(flags.sources);
  request->keep_failures = flags.sources == kAll;
  request->record_transfers = flags.output == "trace" || flags.output == "svg";
  if (flags.max_in_flight > 0) request->cap.in_flight = flags.max_in_flight;
  if (flags.max_bytes > 0) request->cap.bytes = flags.max_bytes;
  if (request->sources.empty()) {
    return context.Fail(
        absl::InvalidArgumentError("--schedule names no schedule"));
  }
  const absl::StatusOr<std::vector<ComparedSchedule>> schedules =
      Compare(*request);
  if (!schedules.ok()) return context.Fail(schedules.status());
  PrintRuns(context, flags, *schedules, request->costs.time_unit());
  return ExitCode::kOk;
}

}  // namespace

void AddSimulate(Command app, CommandContext& context) {
  const auto flags = std::make_shared<SimulateFlags>();
  Command command = AddCommand(
      app, context, "simulate",
      "Predict how long schedules take and where they idle",
      {"penstock simulate --schedule zb_h1,zbv,one_f_one_b --ranks 8 "
       "--microbatches 32 --hop 0.1",
       "penstock simulate --schedule all --ranks 4 -o csv",
       "penstock simulate --schedule auto --max-in-flight 4 -o json",
       "penstock simulate --schedule ./mine.txt --profile gpt.json -o svg > "
       "mine.svg",
       "penstock simulate --schedule gpipe --hop 0.5 --critical-path",
       "penstock simulate --schedule zbv -o trace > zbv.json   (for Perfetto)"},
      [&context, flags] { return SimulateSchedules(context, *flags); });
  command
      .AddOption("-s,--schedule", flags->sources,
                 "Names of schedules or paths of schedule files, parted by "
                 "commas; `all`; `auto` for the best under a memory cap")
      .Required()
      .TypeName("NAMES");
  AddGeneratorFlags(command, flags->schedule);
  AddRunFlags(command, flags->schedule);
  command
      .AddOption("--max-in-flight", flags->max_in_flight,
                 "Of auto: microbatches in flight on a rank")
      .AboveZero()
      .TypeName("N");
  command
      .AddOption("--max-bytes", flags->max_bytes, "Of auto: memory of a rank")
      .AboveZero()
      .TypeName("BYTES");
  command.AddSwitch("--critical-path", flags->critical_path,
                    "Also what the run's length hangs on: a table, steps in "
                    "the json, marks in the svg");
  command
      .AddOption("--colour", flags->colour,
                 "Of the svg: what colours tell apart (op)")
      .OneOf({"op", "microbatch"})
      .TypeName("op|microbatch");
  AddOutputWords(command, flags->output,
                 {"text", "json", "csv", "svg", "trace"});
}

}  // namespace penstock
