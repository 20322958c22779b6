#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/commands/command.h"
#include "client/follow/follow_stream.h"
#include "client/render/job_view.h"

namespace penstock {
namespace {

struct LogsFlags {
  std::string job;
  bool follow = false;
  int stage = -1;
  OutputFormat format = OutputFormat::kText;
};

// INVALID_ARGUMENT when the job has no such stage: its log would be empty.
absl::Status CheckStage(CoordinatorClient& coordinator,
                        const LogsFlags& flags) {
  PENSTOCK_ASSIGN_OR_RETURN(const JobInfo info, coordinator.GetJob(flags.job));
  const int stages = info.job().partition().stages();
  if (flags.stage < stages) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--stage ", flags.stage, ": job ", info.id(), " has ", stages,
      stages == 1 ? " stage" : " stages", ", counted from 0"));
}

ExitCode Logs(CommandContext& context, const LogsFlags& flags) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  if (flags.stage >= 0) {
    const absl::Status stage = CheckStage(**coordinator, flags);
    if (!stage.ok()) return context.Fail(stage);
  }
  StreamLogsRequest request;
  request.set_job(flags.job);
  request.set_follow(flags.follow);
  if (flags.stage >= 0) request.set_stage(flags.stage);
  const Environment& environment = context.environment();
  ReconnectPolicy policy;
  if (!flags.follow) policy.grace = absl::Seconds(1);
  const absl::Status status = FollowStream<LogLine>(
      (*coordinator)->setting(),
      [&](grpc::ClientContext* call) {
        return (*coordinator)->services().jobs->StreamLogs(call, request);
      },
      [&](const LogLine& line) {
        request.set_after_sequence(line.sequence());
        if (flags.format == OutputFormat::kJson) {
          *environment.out << LogLineToJson(line).dump() << "\n" << std::flush;
        } else {
          *environment.out << LogLineText(line, environment.time_zone) << "\n"
                           << std::flush;
        }
      },
      policy, context.interrupt());
  // Ctrl-C is how one stops following.
  if (absl::IsCancelled(status)) return ExitCode::kStreamLost;
  return status.ok() ? ExitCode::kOk : context.Fail(status);
}

}  // namespace

void AddLogs(Command app, CommandContext& context) {
  const auto flags = std::make_shared<LogsFlags>();
  Command command = AddCommand(
      app, context, "logs", "Show what a job's stage servers say",
      {"penstock logs gpt-nano -f", "penstock logs gpt-nano --stage 1 -o json"},
      [&context, flags] { return Logs(context, *flags); });
  command
      .AddOption("job", flags->job,
                 "Id, a unique prefix of it, or the newest job's name")
      .Required()
      .TypeName("JOB");
  command.AddSwitch("-f,--follow", flags->follow,
                    "Go on until the job has ended");
  command.AddOption("--stage", flags->stage, "Only of this stage, from 0")
      .Within(0, 65535)
      .TypeName("N");
  AddStreamOutputFlag(command, flags->format);
}

}  // namespace penstock
