#include <memory>

#include "absl/strings/str_cat.h"
#include "client/commands/command.h"
#include "client/render/job_view.h"

namespace penstock {
namespace {

struct CancelFlags {
  std::string job;
  std::string reason = "asked for by the user";
  OutputFormat format = OutputFormat::kText;
};

ExitCode Cancel(CommandContext& context, const CancelFlags& flags) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  const absl::StatusOr<JobInfo> info =
      (*coordinator)
          ->CancelJob(flags.job, flags.reason, context.environment().new_key());
  if (!info.ok()) return context.Fail(info.status());
  context.Print(flags.format, JobInfoToJson(*info),
                absl::StrCat(info->job().name(), " (", info->id(),
                             "): ", StateName(info->state()), "\n"));
  return ExitCode::kOk;
}

}  // namespace

void AddCancel(Command app, CommandContext& context) {
  const auto flags = std::make_shared<CancelFlags>();
  Command command =
      AddCommand(app, context, "cancel", "End a job",
                 {"penstock cancel gpt-nano",
                  "penstock cancel j-12 --reason 'wrong data'"},
                 [&context, flags] { return Cancel(context, *flags); });
  command
      .AddOption("job", flags->job,
                 "Id, a unique prefix of it, or the newest job's name")
      .Required()
      .TypeName("JOB");
  command.AddOption("--reason", flags->reason, "Kept with the job")
      .TypeName("TEXT");
  AddOutputFlag(command, flags->format);
}

}  // namespace penstock
