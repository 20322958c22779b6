#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/commands/command.h"
#include "client/commands/run_record.h"
#include "client/follow/job_follower.h"
#include "client/render/job_view.h"

namespace penstock {
namespace {

struct SubmitFlags {
  JobFlags job;
  int stages = 0;
  std::string resume;
  std::string from;
  bool follow = false;
  bool dry_run = false;
  std::string run_dir;
  double grace_seconds = 60;
  OutputFormat format = OutputFormat::kText;
};

bool IsLoopback(const std::string& address) {
  return absl::StartsWith(address, "127.") ||
         absl::StartsWith(address, "localhost:") ||
         absl::StartsWith(address, "[::1]:");
}

ExitCode DryRun(CommandContext& context, CoordinatorClient& coordinator,
                const Job& job, OutputFormat format) {
  const absl::StatusOr<ValidateJobResponse> answer =
      coordinator.ValidateJob(job);
  if (absl::IsResourceExhausted(answer.status())) {
    return context.Fail(absl::ResourceExhaustedError(absl::StrCat(
        "the plan is too large to be shown: ", answer.status().message(),
        "; look at it with fewer schedule.microbatches")));
  }
  if (!answer.ok()) return context.Fail(answer.status());
  const nlohmann::ordered_json json = {
      {"plan", PlanToJson(answer->plan())},
      {"grid", answer->grid()},
      {"would_wait_for", answer->would_wait_for()}};
  const std::string waits =
      answer->would_wait_for().empty()
          ? "could start now\n"
          : absl::StrCat("would wait: ", answer->would_wait_for(), "\n");
  context.Print(format, json,
                absl::StrCat(DescribePlan(answer->plan()), "\n", answer->grid(),
                             "\n", waits));
  return ExitCode::kOk;
}

ExitCode Follow(CommandContext& context, CoordinatorClient& coordinator,
                const JobInfo& info, const SubmitFlags& flags) {
  const std::unique_ptr<ProgressView> view =
      context.MakeProgressView(flags.format);
  const FollowedJob followed =
      FollowJob(coordinator, info, *view, absl::Seconds(flags.grace_seconds),
                context.interrupt());
  if (!flags.run_dir.empty()) {
    const absl::Status status = WriteRunRecord(flags.run_dir, followed);
    if (!status.ok()) context.Fail(status);
  }
  if (followed.status.ok()) {
    PrintSummary(context, flags.format, followed, flags.run_dir);
  }
  return FollowedExitCode(context, followed);
}

// The job with what --resume and --from say instead of its file.
absl::StatusOr<Job> JobOf(const SubmitFlags& flags,
                          const Environment& environment) {
  PENSTOCK_ASSIGN_OR_RETURN(Job job,
                            LoadJob(flags.job, flags.stages, environment));
  if (!flags.resume.empty()) job.mutable_start()->set_resume(flags.resume);
  if (!flags.from.empty()) job.mutable_start()->set_from(flags.from);
  return job;
}

ExitCode Submit(CommandContext& context, const SubmitFlags& flags) {
  const absl::StatusOr<Job> job = JobOf(flags, context.environment());
  if (!job.ok()) return context.Fail(job.status());
  // A submission waits for a coordinator that restarts.
  const auto coordinator = context.Connect(
      context.interrupt(), absl::Seconds(context.timeout_seconds));
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  // Elsewhere the path means another machine's file.
  if (IsLoopback((*coordinator)->setting().address)) {
    const absl::Status tokens = CheckTokens(*job);
    if (!tokens.ok()) return context.Fail(tokens);
  }
  if (flags.dry_run) {
    return DryRun(context, **coordinator, *job, flags.format);
  }
  const absl::StatusOr<JobInfo> info =
      (*coordinator)->SubmitJob(*job, context.environment().new_key());
  if (!info.ok()) return context.Fail(info.status());
  const std::string line =
      absl::StrCat("submitted ", info->job().name(), " as ", info->id(), ": ",
                   StateName(info->state()), info->reason().empty() ? "" : ", ",
                   info->reason(), "\n");
  if (!flags.follow) {
    context.Print(flags.format, JobInfoToJson(*info), line);
    return ExitCode::kOk;
  }
  if (flags.format == OutputFormat::kText) {
    *context.environment().out << line << std::flush;
  }
  return Follow(context, **coordinator, *info, flags);
}

}  // namespace

void AddSubmit(Command app, CommandContext& context) {
  const auto flags = std::make_shared<SubmitFlags>();
  Command command = AddCommand(
      app, context, "submit", "Send a job to the coordinator",
      {"penstock submit job.yaml --follow",
       "penstock submit job.yaml --set steps=500 --set optimizer.kind=sgd",
       "penstock submit job.yaml --resume=auto --stages 4",
       "penstock submit job.yaml --dry-run -o yaml"},
      [&context, flags] { return Submit(context, *flags); });
  AddJobFlags(command, flags->job);
  command.AddOption("--stages", flags->stages, "Stages to cut the model into")
      .Within(1, 65535)
      .TypeName("N");
  command.AddSwitch("-f,--follow", flags->follow,
                    "Show progress until the job has ended; exit with its "
                    "outcome. Ctrl-C stops watching, not the job");
  const Flag resume =
      command
          .AddOption("--resume", flags->resume,
                     "Go on from the newest checkpoint of a job of the same "
                     "name: never, auto (if there is one) or require")
          .OneOf({"never", "auto", "require"})
          .TypeName("HOW");
  command
      .AddOption("--from", flags->from,
                 "Begin a new training with the weights of a checkpoint: "
                 "<job>@<step>, or <job> for its newest")
      .TypeName("CHECKPOINT")
      .Excludes(resume);
  command.AddSwitch("--dry-run", flags->dry_run,
                    "Show the plan and why it would wait; start nothing");
  command
      .AddOption("--run-dir", flags->run_dir,
                 "With --follow: write loss.svg and job.json here")
      .TypeName("FOLDER");
  command
      .AddOption("--grace", flags->grace_seconds,
                 "Seconds that a lost coordinator is waited for (60)")
      .WithinReal(0.0, 1e6)
      .TypeName("SECONDS");
  AddOutputFlag(command, flags->format);
}

}  // namespace penstock
