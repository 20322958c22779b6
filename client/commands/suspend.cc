#include <memory>

#include "absl/strings/str_cat.h"
#include "client/commands/command.h"
#include "client/render/job_view.h"

namespace penstock {
namespace {

struct JobFlag {
  std::string job;
  std::string reason = "asked for by the user";
  OutputFormat format = OutputFormat::kText;
};

ExitCode Show(CommandContext& context, const JobFlag& flags,
              const absl::StatusOr<JobInfo>& info) {
  if (!info.ok()) return context.Fail(info.status());
  context.Print(flags.format, JobInfoToJson(*info),
                absl::StrCat(info->job().name(), " (", info->id(),
                             "): ", StateName(info->state()), "\n"));
  return ExitCode::kOk;
}

ExitCode Suspend(CommandContext& context, const JobFlag& flags) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  return Show(context, flags,
              (*coordinator)
                  ->SuspendJob(flags.job, flags.reason,
                               context.environment().new_key()));
}

ExitCode Resume(CommandContext& context, const JobFlag& flags) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  return Show(
      context, flags,
      (*coordinator)->ResumeJob(flags.job, context.environment().new_key()));
}

void AddJob(Command command, JobFlag& flags) {
  command
      .AddOption("job", flags.job,
                 "Id, a unique prefix of it, or the newest job's name")
      .Required()
      .TypeName("JOB");
  AddOutputFlag(command, flags.format);
}

}  // namespace

void AddSuspend(Command app, CommandContext& context) {
  const auto flags = std::make_shared<JobFlag>();
  Command command =
      AddCommand(app, context, "suspend",
                 "Keep a checkpoint of a job and give its stage servers back",
                 {"penstock suspend gpt-nano"},
                 [&context, flags] { return Suspend(context, *flags); });
  AddJob(command, *flags);
  command.AddOption("--reason", flags->reason, "Kept with the job")
      .TypeName("TEXT");
}

void AddResume(Command app, CommandContext& context) {
  const auto flags = std::make_shared<JobFlag>();
  Command command =
      AddCommand(app, context, "resume",
                 "Let a suspended job go on from its newest checkpoint",
                 {"penstock resume gpt-nano"},
                 [&context, flags] { return Resume(context, *flags); });
  AddJob(command, *flags);
}

}  // namespace penstock
