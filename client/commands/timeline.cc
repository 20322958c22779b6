#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/commands/command.h"
#include "client/commands/schedule_flags.h"
#include "client/commands/timeline_step.h"
#include "client/render/timeline_view.h"
#include "client/schedules/costs.h"
#include "schedule/simulator/chrome_trace.h"
#include "schedule/simulator/svg.h"

namespace penstock {
namespace {

struct TimelineFlags {
  std::string job;
  int64_t step = 0;
  std::string output;
};

std::vector<RunView> RunsOf(const MeasuredJob& job, const std::string& title) {
  return {{.title = absl::StrCat(title, ", step ", job.step, ", measured"),
           .schedule = &job.schedule,
           .timeline = &job.measured},
          {.title = "predicted",
           .schedule = &job.schedule,
           .timeline = &job.predicted}};
}

ExitCode ShowTimeline(CommandContext& context, const TimelineFlags& flags) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  const absl::StatusOr<TimelineStep> shown = FetchTimelineStep(
      **coordinator, flags.job,
      flags.step > 0 ? std::optional(flags.step) : std::nullopt);
  if (!shown.ok()) return context.Fail(shown.status());
  std::ostream& out = *context.environment().out;
  const std::string& title = shown->plan.job().name();
  if (flags.output == "json") {
    context.Print(OutputFormat::kJson, TimelineToJson(shown->job), "");
  } else if (flags.output == "svg") {
    out << TimelineStepSvg(*shown);
  } else if (flags.output == "trace") {
    out << ChromeTrace(RunsOf(shown->job, title));
  } else if (flags.output == "profile") {
    out << ProfileToJson(ProfileOf(shown->job, shown->plan));
  } else {
    out << TimelineText(shown->job, title);
  }
  out << std::flush;
  return ExitCode::kOk;
}

}  // namespace

absl::StatusOr<TimelineStep> FetchTimelineStep(CoordinatorClient& coordinator,
                                               const std::string& job,
                                               std::optional<int64_t> step) {
  PENSTOCK_ASSIGN_OR_RETURN(GetTimelineResponse shown,
                            coordinator.GetTimeline(job, step));
  std::vector<GetTimelineResponse> steps;
  if (!step.has_value()) {
    // The first step also fills caches and allocators.
    const int count = shown.steps_size();
    for (int i = std::max(1, count - kCostSteps); i + 1 < count; ++i) {
      PENSTOCK_ASSIGN_OR_RETURN(steps.emplace_back(),
                                coordinator.GetTimeline(job, shown.steps(i)));
    }
  }
  steps.push_back(shown);
  TimelineStep fetched;
  PENSTOCK_ASSIGN_OR_RETURN(fetched.job, MeasureJob(shown, steps));
  fetched.plan = std::move(*shown.mutable_plan());
  return fetched;
}

std::string TimelineStepSvg(const TimelineStep& step) {
  return TimelineSvg(RunsOf(step.job, step.plan.job().name()),
                     {.time_unit = "s"});
}

void AddTimeline(Command app, CommandContext& context) {
  const auto flags = std::make_shared<TimelineFlags>();
  Command command = AddCommand(
      app, context, "timeline",
      "Show when the actions of a step ran, beside what the simulator predicts",
      {"penstock timeline gpt-nano",
       "penstock timeline gpt-nano --step 16 -o svg > step16.svg",
       "penstock timeline gpt-nano -o trace > step.json   (for Perfetto)",
       "penstock timeline gpt-nano -o profile > measured.json",
       "penstock simulate -s one_f_one_b,zb_h1 -p 2 --lowered --profile "
       "measured.json"},
      [&context, flags] { return ShowTimeline(context, *flags); });
  command
      .AddOption("job", flags->job,
                 "Id, a unique prefix of it, or the newest job's name")
      .Required()
      .TypeName("JOB");
  command
      .AddOption("--step", flags->step,
                 "A traced step, whose own costs the prediction then has; "
                 "the newest by default, with those of the last 8")
      .Within(1, int64_t{1} << 62)
      .TypeName("N");
  AddOutputWords(command, flags->output,
                 {"text", "svg", "trace", "json", "profile"});
}

}  // namespace penstock
