#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "client/archive.h"
#include "client/commands/command.h"
#include "client/commands/timeline_step.h"
#include "client/doctor/examination.h"
#include "client/doctor/findings_view.h"
#include "client/follow/follow_stream.h"
#include "client/render/checkpoint_view.h"
#include "client/render/job_view.h"
#include "client/render/timeline_view.h"

namespace penstock {
namespace {

struct DiagnoseFlags {
  std::string job;
  std::string output;
};

// What is put into the archive, and what could not be had.
class Collection {
 public:
  void Add(const std::string& name, const absl::StatusOr<std::string>& content,
           const std::string& about) {
    if (content.ok()) {
      files_.push_back({name, *content});
      absl::StrAppend(&contents_, name, ": ", about, "\n");
    } else {
      absl::StrAppend(&contents_, name,
                      ": not there: ", content.status().message(), "\n");
    }
  }

  // With a page that says what is what.
  std::vector<ArchivedFile> Finish(const std::string& heading) {
    files_.insert(files_.begin(),
                  {"README.txt", absl::StrCat(heading, "\n", contents_)});
    return std::move(files_);
  }

 private:
  std::vector<ArchivedFile> files_;
  std::string contents_;
};

std::string Pretty(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false,
                   nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

// All that a stream has now, one line each.
template <typename Message, typename Open, typename Line>
absl::StatusOr<std::string> Lines(CommandContext& context,
                                  CoordinatorClient& coordinator, Open open,
                                  Line line) {
  std::string text;
  ReconnectPolicy policy;
  policy.grace = absl::Seconds(1);
  PENSTOCK_RETURN_IF_ERROR(FollowStream<Message>(
      coordinator.setting(), open,
      [&](const Message& message) {
        absl::StrAppend(&text, line(message), "\n");
      },
      policy, context.interrupt()));
  return text;
}

absl::StatusOr<std::string> EventsOf(CommandContext& context,
                                     CoordinatorClient& coordinator,
                                     const std::string& job) {
  WatchEventsRequest request;
  request.set_job(job);
  return Lines<Event>(
      context, coordinator,
      [&](grpc::ClientContext* call) {
        return coordinator.services().jobs->WatchEvents(call, request);
      },
      [&](const Event& event) {
        request.set_after_sequence(event.sequence());
        return EventToJson(event).dump();
      });
}

absl::StatusOr<std::string> LogsOf(CommandContext& context,
                                   CoordinatorClient& coordinator,
                                   const std::string& job) {
  StreamLogsRequest request;
  request.set_job(job);
  return Lines<LogLine>(
      context, coordinator,
      [&](grpc::ClientContext* call) {
        return coordinator.services().jobs->StreamLogs(call, request);
      },
      [&](const LogLine& line) {
        request.set_after_sequence(line.sequence());
        return LogLineText(line, absl::UTCTimeZone());
      });
}

absl::StatusOr<std::string> CheckpointsOf(CoordinatorClient& coordinator,
                                          const std::string& job) {
  PENSTOCK_ASSIGN_OR_RETURN(const ListCheckpointsResponse answer,
                            coordinator.ListCheckpoints(job, /*all=*/true));
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const CheckpointInfo& info : answer.checkpoints()) {
    json.push_back(CheckpointToJson(info));
  }
  return Pretty(json);
}

void AddTimelineOf(CoordinatorClient& coordinator, const std::string& job,
                   Collection& collection) {
  const absl::StatusOr<TimelineStep> step =
      FetchTimelineStep(coordinator, job, std::nullopt);
  if (!step.ok()) {
    collection.Add("timeline.json", step.status(), "");
    return;
  }
  collection.Add("timeline.json", Pretty(TimelineToJson(step->job)),
                 "the newest traced step of each rank, beside its prediction");
  collection.Add("timeline.svg", TimelineStepSvg(*step), "the same, drawn");
}

void AddServersOf(CoordinatorClient& coordinator, Collection& collection) {
  ObservedCluster cluster;
  const int64_t before = MonotonicNanos();
  auto answer = coordinator.ListServers();
  if (!answer.ok()) {
    collection.Add("servers.json", answer.status(), "");
    return;
  }
  cluster.round_trip = absl::Nanoseconds(MonotonicNanos() - before);
  nlohmann::ordered_json servers = nlohmann::ordered_json::array();
  for (const ServerInfo& server : answer->servers()) {
    servers.push_back(ServerToJson(server));
  }
  collection.Add("servers.json", Pretty(servers), "all stage servers");
  cluster.servers = *std::move(answer);
  cluster.client_build_version = kBuildVersion;
  const std::vector<Finding> findings = Examine(cluster);
  collection.Add("doctor.txt", FindingsText(findings), "penstock doctor");
}

ExitCode Diagnose(CommandContext& context, const DiagnoseFlags& flags) {
  const auto connected = context.Connect();
  if (!connected.ok()) return context.Fail(connected.status());
  CoordinatorClient& coordinator = **connected;
  const absl::StatusOr<JobInfo> info = coordinator.GetJob(flags.job);
  if (!info.ok()) return context.Fail(info.status());
  const Environment& environment = context.environment();
  const std::string& id = info->id();
  Collection collection;
  collection.Add("job.json", Pretty(JobInfoToJson(*info)),
                 "the job with its plan, as penstock describe -o json");
  collection.Add("job.txt", DescribeJob(*info, absl::UTCTimeZone()),
                 "the same for people");
  collection.Add("events.jsonl", EventsOf(context, coordinator, id),
                 "what happened to the job");
  collection.Add("cluster_events.jsonl", EventsOf(context, coordinator, ""),
                 "what happened to all jobs and servers");
  collection.Add("logs.txt", LogsOf(context, coordinator, id),
                 "what its stage servers said, times in UTC");
  AddTimelineOf(coordinator, id, collection);
  collection.Add("checkpoints.json", CheckpointsOf(coordinator, id),
                 "its checkpoints, those that are gone too");
  AddServersOf(coordinator, collection);
  if (context.interrupt().tripped()) {
    return context.Fail(absl::CancelledError("interrupted; wrote nothing"));
  }
  const absl::Time now = environment.clock->Now();
  const std::string folder = absl::StrCat("penstock-diagnose-", id);
  const std::string path =
      flags.output.empty() ? absl::StrCat(folder, ".tar.gz") : flags.output;
  const absl::Status written = WriteArchive(
      path.front() == '/' ? path
                          : absl::StrCat(environment.working_folder, "/", path),
      folder,
      collection.Finish(absl::StrCat(
          "Job ", id, " (", info->job().name(), ") of the coordinator at ",
          coordinator.setting().address, ",\ncollected ",
          absl::FormatTime(absl::RFC3339_sec, now, absl::UTCTimeZone()),
          " by penstock ", kBuildVersion,
          ".\nIt holds paths and names of jobs and machines; weights, data and "
          "secrets are not in it.\n")),
      now);
  if (absl::IsAlreadyExists(written)) {
    return context.Fail(absl::InvalidArgumentError(absl::StrCat(
        path, " is there already; give another one with -o, or remove it")));
  }
  if (!written.ok()) return context.Fail(written);
  *environment.out << "wrote " << path << "\n" << std::flush;
  return ExitCode::kOk;
}

}  // namespace

void AddDiagnose(Command app, CommandContext& context) {
  const auto flags = std::make_shared<DiagnoseFlags>();
  const Command command = AddCommand(
      app, context, "diagnose",
      "Put all that is known of a job into one archive, for whoever helps",
      {"penstock diagnose gpt-nano",
       "penstock diagnose j-1 -o /tmp/j-1.tar.gz"},
      [&context, flags] { return Diagnose(context, *flags); });
  command
      .AddOption("job", flags->job,
                 "Id, a unique prefix of it, or the newest job's name")
      .Required()
      .TypeName("JOB");
  command
      .AddOption("-o,--output", flags->output,
                 "The archive to write (penstock-diagnose-ID.tar.gz)")
      .TypeName("FILE");
}

}  // namespace penstock
