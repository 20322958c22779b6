#include <memory>

#include "client/commands/command.h"
#include "client/follow/follow_stream.h"
#include "client/render/job_view.h"

namespace penstock {
namespace {

struct EventsFlags {
  std::string job;
  bool follow = false;
  int64_t after = 0;
  OutputFormat format = OutputFormat::kText;
};

ExitCode Events(CommandContext& context, const EventsFlags& flags) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  WatchEventsRequest request;
  request.set_job(flags.job);
  request.set_follow(flags.follow);
  request.set_after_sequence(flags.after);
  const Environment& environment = context.environment();
  ReconnectPolicy policy;
  if (!flags.follow) policy.grace = absl::Seconds(1);
  const absl::Status status = FollowStream<Event>(
      (*coordinator)->setting(),
      [&](grpc::ClientContext* call) {
        return (*coordinator)->services().jobs->WatchEvents(call, request);
      },
      [&](const Event& event) {
        request.set_after_sequence(event.sequence());
        if (flags.format == OutputFormat::kJson) {
          *environment.out << EventToJson(event).dump() << "\n" << std::flush;
        } else {
          *environment.out << EventLine(event, environment.time_zone) << "\n"
                           << std::flush;
        }
      },
      policy, context.interrupt());
  if (absl::IsCancelled(status)) return ExitCode::kStreamLost;
  return status.ok() ? ExitCode::kOk : context.Fail(status);
}

}  // namespace

void AddEvents(Command app, CommandContext& context) {
  const auto flags = std::make_shared<EventsFlags>();
  Command command =
      AddCommand(app, context, "events",
                 "Show what happened to a job, or to all jobs and servers",
                 {"penstock events", "penstock events gpt-nano -f"},
                 [&context, flags] { return Events(context, *flags); });
  command
      .AddOption("job", flags->job,
                 "Id, a unique prefix of it, or the newest job's name")
      .TypeName("JOB");
  command.AddSwitch("-f,--follow", flags->follow, "Go on with new ones");
  command
      .AddOption("--after", flags->after,
                 "Only events with a larger sequence number")
      .AtLeastZero()
      .TypeName("SEQUENCE");
  AddStreamOutputFlag(command, flags->format);
}

}  // namespace penstock
