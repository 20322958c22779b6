#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/commands/command.h"
#include "client/commands/schedule_flags.h"
#include "client/render/schedule_view.h"
#include "client/schedules/schedule_source.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/grid.h"
#include "schedule/ir/text_format.h"
#include "schedule/ir/text_places.h"
#include "schedule/ir/unroll.h"
#include "schedule/simulator/chrome_trace.h"
#include "schedule/simulator/run_diff.h"
#include "schedule/simulator/svg.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

// Violations that are shown with their grid, and in how many actions; the
// others are lines. A grid takes a replay of the whole schedule.
constexpr size_t kShownWithGrid = 10;
constexpr size_t kActionsOfGrids = 1'000'000;
// Times of two runs that differ by less count as equal.
constexpr double kSameTime = 1e-9;

struct ShowFlags {
  ScheduleFlags schedule;
  std::string source;
  std::string other;
  std::string colour;
  std::string output;
};

SvgOptions SvgOptionsOf(const ShowFlags& flags, const std::string& time_unit) {
  return {.colour = flags.colour == "microbatch" ? ColourBy::kMicrobatch
                                                 : ColourBy::kOp,
          .time_unit = time_unit};
}

ExitCode List(CommandContext& context, OutputFormat format) {
  context.Print(format, GeneratorsToJson(Generators()),
                GeneratorTable(Generators(), format == OutputFormat::kWide));
  return ExitCode::kOk;
}

// The schedules simulated, for a picture or a comparison.
absl::StatusOr<std::vector<ComparedSchedule>> Simulated(
    CommandContext& context, const ShowFlags& flags,
    const std::vector<std::string>& sources) {
  absl::StatusOr<ComparisonRequest> request =
      RequestOf(flags.schedule, context.environment());
  if (!request.ok()) return request.status();
  request->sources = sources;
  request->record_transfers = flags.output == "trace";
  return Compare(*request);
}

ExitCode ShowRun(CommandContext& context, const ShowFlags& flags) {
  const auto schedules = Simulated(context, flags, {flags.source});
  if (!schedules.ok()) return context.Fail(schedules.status());
  const std::vector<RunView> runs = RunsOf(*schedules);
  *context.environment().out
      << (flags.output == "svg"
              ? TimelineSvg(
                    runs, SvgOptionsOf(
                              flags, flags.schedule.profile.empty() ? "" : "s"))
              : ChromeTrace(runs))
      << std::flush;
  return ExitCode::kOk;
}

// The schedule, not yet written out if it is continuous.
absl::StatusOr<SourcedSchedule> SourceOf(CommandContext& context,
                                         const ShowFlags& flags,
                                         const std::string& source) {
  const absl::StatusOr<ComparisonRequest> request =
      RequestOf(flags.schedule, context.environment());
  if (!request.ok()) return request.status();
  return LoadSchedule(source, request->generator, request->lowering,
                      context.environment().working_folder);
}

ExitCode Show(CommandContext& context, const ShowFlags& flags) {
  const Interrupt::Registration stop = EndOnInterrupt(context.environment());
  if (flags.output == "svg" || flags.output == "trace") {
    return ShowRun(context, flags);
  }
  const absl::StatusOr<SourcedSchedule> sourced =
      SourceOf(context, flags, flags.source);
  if (!sourced.ok()) return context.Fail(sourced.status());
  const Schedule& schedule = sourced->schedule;
  if (flags.output == "json") {
    context.Print(OutputFormat::kJson, ScheduleToJson(schedule), "");
    return ExitCode::kOk;
  }
  const absl::StatusOr<Schedule> run = Unroll(schedule, flags.schedule.periods);
  if (!run.ok()) return context.Fail(run.status());
  *context.environment().out << PrintGrid(*run) << std::flush;
  return ExitCode::kOk;
}

void PrintViolations(CommandContext& context, const SourcedSchedule& sourced,
                     const std::vector<Violation>& violations) {
  std::ostream& out = *context.environment().out;
  const TextPlaces places(sourced.text);
  size_t num_actions = 1;
  for (const std::vector<Action>& actions : sourced.schedule.ranks) {
    num_actions += actions.size();
  }
  const size_t grids =
      std::clamp<size_t>(kActionsOfGrids / num_actions, 1, kShownWithGrid);
  for (size_t i = 0; i < violations.size(); ++i) {
    if (!sourced.text.empty()) out << PlaceOf(violations[i], places) << ": ";
    out << (i < grids ? Describe(sourced.schedule, violations[i])
                      : Summarize(violations[i]))
        << "\n";
  }
  out << sourced.schedule.name << ": unsound, " << violations.size()
      << (violations.size() == 1 ? " violation\n" : " violations\n")
      << std::flush;
}

nlohmann::ordered_json ViolationsToJson(
    const SourcedSchedule& sourced, const std::vector<Violation>& violations) {
  const TextPlaces places(sourced.text);
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Violation& violation : violations) {
    nlohmann::ordered_json json = ViolationToJson(violation);
    if (!sourced.text.empty()) json["place"] = PlaceOf(violation, places);
    list.push_back(std::move(json));
  }
  return list;
}

ExitCode VerifyFile(CommandContext& context, const ShowFlags& flags) {
  const Interrupt::Registration stop = EndOnInterrupt(context.environment());
  const absl::StatusOr<SourcedSchedule> sourced =
      SourceOf(context, flags, flags.source);
  if (!sourced.ok()) return context.Fail(sourced.status());
  const Schedule& schedule = sourced->schedule;
  const bool lowered = IsLowered(schedule);
  const std::vector<Violation> violations =
      Verify(schedule, {.lowered = lowered});
  if (flags.output == "json") {
    context.Print(OutputFormat::kJson,
                  {{"schedule", schedule.name},
                   {"sound", violations.empty()},
                   {"lowered", lowered},
                   {"violations", ViolationsToJson(*sourced, violations)}},
                  "");
  } else if (violations.empty()) {
    *context.environment().out
        << schedule.name << ": sound, " << schedule.num_ranks() << " ranks, "
        << schedule.num_stages() << " stages, " << schedule.num_microbatches
        << (schedule.period.empty() ? " microbatches, "
                                    : " microbatches a period, ")
        << (lowered ? "with communication" : "before communication is added")
        << "\n"
        << std::flush;
  } else {
    PrintViolations(context, *sourced, violations);
  }
  return violations.empty() ? ExitCode::kOk : ExitCode::kUnsound;
}

ExitCode Diff(CommandContext& context, const ShowFlags& flags) {
  const Interrupt::Registration stop = EndOnInterrupt(context.environment());
  const auto schedules = Simulated(context, flags, {flags.source, flags.other});
  if (!schedules.ok()) return context.Fail(schedules.status());
  std::vector<RunView> runs = RunsOf(*schedules);
  MarkDifferences(kSameTime, &runs[0], &runs[1]);
  std::ostream& out = *context.environment().out;
  if (flags.output == "svg") {
    out << TimelineSvg(runs, SvgOptionsOf(flags, ""));
  } else if (flags.output == "trace") {
    out << ChromeTrace(runs);
  } else {
    out << GridDiff(*runs[0].schedule, *runs[1].schedule) << "\n"
        << RunDiff(runs[0], runs[1]);
  }
  out << std::flush;
  return runs[0].schedule->ranks == runs[1].schedule->ranks
             ? ExitCode::kOk
             : ExitCode::kUnsound;
}

ExitCode Export(CommandContext& context, const ShowFlags& flags) {
  const Interrupt::Registration stop = EndOnInterrupt(context.environment());
  const absl::StatusOr<SourcedSchedule> sourced =
      SourceOf(context, flags, flags.source);
  if (!sourced.ok()) return context.Fail(sourced.status());
  const Schedule& schedule = sourced->schedule;
  if (flags.output == "json") {
    context.Print(OutputFormat::kJson, ScheduleToJson(schedule), "");
  } else {
    *context.environment().out << PrintSchedule(schedule) << std::flush;
  }
  return ExitCode::kOk;
}

void AddSource(Command command, std::string& source,
               const std::string& name = "schedule") {
  command
      .AddOption(name, source,
                 "A name from `penstock schedule list`, or the path of a "
                 "schedule file, with a / or a . in it")
      .Required()
      .TypeName("SCHEDULE");
}

void AddColour(Command command, std::string& colour) {
  command
      .AddOption("--colour", colour, "Of the svg: what colours tell apart (op)")
      .OneOf({"op", "microbatch"})
      .TypeName("op|microbatch");
}

void AddScheduleList(Command group, CommandContext& context) {
  const auto format = std::make_shared<OutputFormat>(OutputFormat::kText);
  Command command =
      AddCommand(group, context, "list", "List the schedules that there are",
                 {"penstock schedule list", "penstock schedule list -o wide"},
                 [&context, format] { return List(context, *format); });
  AddOutputFlag(command, *format);
}

void AddScheduleShow(Command group, CommandContext& context) {
  const auto flags = std::make_shared<ShowFlags>();
  Command command = AddCommand(
      group, context, "show", "Draw a schedule",
      {"penstock schedule show chimera --ranks 4 --microbatches 4",
       "penstock schedule show zbv --ranks 8 --microbatches 16 -o svg > "
       "zbv.svg",
       "penstock schedule show pipedream --periods 2",
       "penstock schedule show ./mine.txt -o trace > mine.json"},
      [&context, flags] { return Show(context, *flags); });
  AddSource(command, flags->source);
  AddGeneratorFlags(command, flags->schedule);
  AddRunFlags(command, flags->schedule);
  AddColour(command, flags->colour);
  AddOutputWords(command, flags->output, {"text", "svg", "trace", "json"});
}

void AddScheduleVerify(Command group, CommandContext& context) {
  const auto flags = std::make_shared<ShowFlags>();
  Command command =
      AddCommand(group, context, "verify",
                 "Prove a schedule sound, or show what is wrong with it",
                 {"penstock schedule verify ./mine.txt",
                  "penstock schedule verify ./mine.txt -o json",
                  "penstock schedule verify zbv --ranks 8 --microbatches 16 "
                  "--lowered"},
                 [&context, flags] { return VerifyFile(context, *flags); });
  AddSource(command, flags->source);
  AddGeneratorFlags(command, flags->schedule);
  AddOutputWords(command, flags->output, {"text", "json"});
}

void AddScheduleDiff(Command group, CommandContext& context) {
  const auto flags = std::make_shared<ShowFlags>();
  Command command = AddCommand(
      group, context, "diff", "Lay two schedules side by side",
      {"penstock schedule diff one_f_one_b zb_h1 --ranks 4 --microbatches 8",
       "penstock schedule diff gpipe ./mine.txt -o svg > diff.svg"},
      [&context, flags] { return Diff(context, *flags); });
  AddSource(command, flags->source);
  AddSource(command, flags->other, "other");
  AddGeneratorFlags(command, flags->schedule);
  AddRunFlags(command, flags->schedule);
  AddColour(command, flags->colour);
  AddOutputWords(command, flags->output, {"text", "svg", "trace"});
}

void AddScheduleExport(Command group, CommandContext& context) {
  const auto flags = std::make_shared<ShowFlags>();
  Command command =
      AddCommand(group, context, "export", "Write a schedule as a file",
                 {"penstock schedule export one_f_one_b --ranks 4 > mine.txt",
                  "penstock schedule export zbv --ranks 8 --lowered -o json"},
                 [&context, flags] { return Export(context, *flags); });
  AddSource(command, flags->source);
  AddGeneratorFlags(command, flags->schedule);
  AddOutputWords(command, flags->output, {"text", "json"});
}

}  // namespace

void AddSchedule(Command app, CommandContext& context) {
  Command group = app.AddGroup(
      "schedule", "Pipeline schedules",
      {"penstock schedule list",
       "penstock schedule show chimera --ranks 4 --microbatches 4"});
  AddScheduleList(group, context);
  AddScheduleShow(group, context);
  AddScheduleVerify(group, context);
  AddScheduleDiff(group, context);
  AddScheduleExport(group, context);
}

}  // namespace penstock
