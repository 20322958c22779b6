#include <memory>

#include "client/commands/command.h"
#include "client/render/job_view.h"

namespace penstock {
namespace {

struct DescribeFlags {
  std::string job;
  OutputFormat format = OutputFormat::kText;
};

ExitCode Describe(CommandContext& context, const DescribeFlags& flags) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  const absl::StatusOr<JobInfo> info = (*coordinator)->GetJob(flags.job);
  if (!info.ok()) return context.Fail(info.status());
  context.Print(flags.format, JobInfoToJson(*info),
                DescribeJob(*info, context.environment().time_zone));
  return ExitCode::kOk;
}

}  // namespace

void AddDescribe(Command app, CommandContext& context) {
  const auto flags = std::make_shared<DescribeFlags>();
  Command command = AddCommand(
      app, context, "describe", "Show everything about one job",
      {"penstock describe gpt-nano", "penstock describe gpt-nano -o yaml"},
      [&context, flags] { return Describe(context, *flags); });
  command
      .AddOption("job", flags->job,
                 "Id, a unique prefix of it, or the newest job's name")
      .Required()
      .TypeName("JOB");
  AddOutputFlag(command, flags->format);
}

}  // namespace penstock
