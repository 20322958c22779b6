#include <memory>
#include <vector>

#include "client/commands/command.h"
#include "client/render/job_view.h"

namespace penstock {
namespace {

struct ListFlags {
  bool all = false;
  OutputFormat format = OutputFormat::kText;
};

ExitCode List(CommandContext& context, const ListFlags& flags) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  const auto answer = (*coordinator)->ListJobs(flags.all);
  if (!answer.ok()) return context.Fail(answer.status());
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const JobInfo& job : answer->jobs()) json.push_back(JobInfoToJson(job));
  const std::vector<JobInfo> jobs(answer->jobs().begin(), answer->jobs().end());
  context.Print(flags.format, json,
                JobTable(jobs, context.environment().clock->Now(),
                         flags.format == OutputFormat::kWide));
  return ExitCode::kOk;
}

}  // namespace

void AddList(Command app, CommandContext& context) {
  const auto flags = std::make_shared<ListFlags>();
  Command command =
      AddCommand(app, context, "list", "List the jobs",
                 {"penstock list", "penstock list -a -o wide"},
                 [&context, flags] { return List(context, *flags); });
  command.AddSwitch("-a,--all", flags->all, "Jobs that have ended too");
  AddOutputFlag(command, flags->format);
}

}  // namespace penstock
