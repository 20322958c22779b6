#include <map>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/commands/command.h"
#include "client/render/fractions_view.h"
#include "client/render/job_view.h"

namespace penstock {
namespace {

struct StatusFlags {
  std::string job;
  OutputFormat format = OutputFormat::kText;
};

ExitCode JobStatus(CommandContext& context, CoordinatorClient& coordinator,
                   const StatusFlags& flags) {
  const absl::StatusOr<JobInfo> info = coordinator.GetJob(flags.job);
  if (!info.ok()) return context.Fail(info.status());
  std::string text = JobTable({*info}, context.environment().clock->Now(),
                              flags.format == OutputFormat::kWide);
  if (const std::string fractions = FractionsText(info->fractions());
      !fractions.empty()) {
    absl::StrAppend(&text, "\nfractions: ", fractions, "\n");
  }
  context.Print(flags.format, JobInfoToJson(*info), text);
  return ExitCode::kOk;
}

ExitCode ClusterStatus(CommandContext& context, CoordinatorClient& coordinator,
                       const StatusFlags& flags) {
  const auto servers = coordinator.ListServers();
  if (!servers.ok()) return context.Fail(servers.status());
  const auto jobs = coordinator.ListJobs(/*all=*/false);
  if (!jobs.ok()) return context.Fail(jobs.status());
  std::map<std::string, int> counts;
  for (const ServerInfo& server : servers->servers()) {
    ++counts[StateText(server)];
  }
  nlohmann::ordered_json json = {
      {"coordinator", coordinator.setting().address},
      {"build_version", servers->coordinator_build_version()},
      {"term", servers->coordinator_term()},
      {"servers", counts},
      {"jobs", nlohmann::ordered_json::array()}};
  for (const JobInfo& job : jobs->jobs()) {
    json["jobs"].push_back(JobInfoToJson(job));
  }
  std::string text =
      absl::StrCat("coordinator ", coordinator.setting().address, ", version ",
                   servers->coordinator_build_version(), ", term ",
                   servers->coordinator_term(), "\nservers:");
  for (const auto& [state, count] : counts) {
    absl::StrAppend(&text, " ", count, " ", state);
  }
  absl::StrAppend(&text, counts.empty() ? " none\n" : "\n");
  if (jobs->jobs_size() > 0) {
    absl::StrAppend(&text, "\n",
                    JobTable({jobs->jobs().begin(), jobs->jobs().end()},
                             context.environment().clock->Now(),
                             flags.format == OutputFormat::kWide));
  }
  context.Print(flags.format, json, text);
  return ExitCode::kOk;
}

ExitCode Status(CommandContext& context, const StatusFlags& flags) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  return flags.job.empty() ? ClusterStatus(context, **coordinator, flags)
                           : JobStatus(context, **coordinator, flags);
}

}  // namespace

void AddStatus(Command app, CommandContext& context) {
  const auto flags = std::make_shared<StatusFlags>();
  Command command = AddCommand(
      app, context, "status", "Show the coordinator, or one job in a line",
      {"penstock status", "penstock status gpt-nano -o json"},
      [&context, flags] { return Status(context, *flags); });
  command
      .AddOption("job", flags->job,
                 "Id, a unique prefix of it, or the newest job's name")
      .TypeName("JOB");
  AddOutputFlag(command, flags->format);
}

}  // namespace penstock
