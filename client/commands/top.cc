#include <algorithm>
#include <memory>
#include <string>

#include "client/commands/command.h"
#include "client/render/error_text.h"
#include "client/render/job_view.h"
#include "client/render/top_view.h"

namespace penstock {
namespace {

struct TopFlags {
  double interval_seconds = 2;
  int count = 0;
  OutputFormat format = OutputFormat::kText;
};

// A screen of its own, which gives the terminal back as it was.
class FullScreen {
 public:
  FullScreen(std::ostream& out, bool is_terminal)
      : out_(out), is_terminal_(is_terminal) {
    if (is_terminal_) out_ << "\x1b[?1049h\x1b[?25l";
  }
  ~FullScreen() {
    if (is_terminal_) out_ << "\x1b[?25h\x1b[?1049l" << std::flush;
  }
  void Show(const std::string& text) {
    if (is_terminal_) out_ << "\x1b[H\x1b[2J";
    out_ << text << std::flush;
  }

 private:
  std::ostream& out_;
  const bool is_terminal_;
};

struct Cluster {
  ListJobsResponse jobs;
  ListServersResponse servers;
};

absl::StatusOr<Cluster> Ask(CoordinatorClient& coordinator) {
  Cluster cluster;
  auto jobs = coordinator.ListJobs(/*all=*/false);
  if (!jobs.ok()) return jobs.status();
  auto servers = coordinator.ListServers();
  if (!servers.ok()) return servers.status();
  cluster.jobs = *std::move(jobs);
  cluster.servers = *std::move(servers);
  return cluster;
}

nlohmann::ordered_json ToJson(const Cluster& cluster) {
  nlohmann::ordered_json jobs = nlohmann::ordered_json::array();
  for (const JobInfo& job : cluster.jobs.jobs()) {
    jobs.push_back(JobInfoToJson(job));
  }
  nlohmann::ordered_json servers = nlohmann::ordered_json::array();
  for (const ServerInfo& server : cluster.servers.servers()) {
    servers.push_back(ServerToJson(server));
  }
  return {{"jobs", std::move(jobs)}, {"servers", std::move(servers)}};
}

std::string ScreenOf(const CommandContext& context,
                     const CoordinatorClient& coordinator,
                     const Cluster& cluster, OutputFormat format) {
  const Environment& environment = context.environment();
  if (format == OutputFormat::kJson) {
    return absl::StrCat(
        ToJson(cluster).dump(-1, ' ', false,
                             nlohmann::ordered_json::error_handler_t::replace),
        "\n");
  }
  return TopScreen(cluster.jobs, cluster.servers, coordinator.setting().address,
                   environment.clock->Now(), environment.time_zone,
                   environment.columns());
}

ExitCode Top(CommandContext& context, const TopFlags& flags) {
  const Environment& environment = context.environment();
  auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  const bool on_terminal =
      environment.out_is_terminal && flags.format == OutputFormat::kText;
  const int count = flags.count > 0 || on_terminal ? flags.count : 1;
  FullScreen screen(*environment.out, on_terminal);
  for (int shown = 1;; ++shown) {
    const absl::StatusOr<Cluster> cluster = Ask(**coordinator);
    if (context.interrupt().tripped()) return ExitCode::kOk;
    if (cluster.ok()) {
      screen.Show(ScreenOf(context, **coordinator, *cluster, flags.format));
    } else if (on_terminal && shown > 1 &&
               absl::IsUnavailable(cluster.status())) {
      // It may be starting again.
      screen.Show(ErrorText(cluster.status()));
    } else {
      return context.Fail(cluster.status());
    }
    if (shown == count) return ExitCode::kOk;
    context.interrupt().WaitFor(absl::Seconds(flags.interval_seconds));
    if (context.interrupt().tripped()) return ExitCode::kOk;
  }
}

}  // namespace

void AddTop(Command app, CommandContext& context) {
  const auto flags = std::make_shared<TopFlags>();
  const Command command =
      AddCommand(app, context, "top",
                 "Show jobs and stage servers again and again until Ctrl-C",
                 {"penstock top", "penstock top --interval 10",
                  "penstock top --count 1 -o json"},
                 [&context, flags] { return Top(context, *flags); });
  command
      .AddOption("--interval", flags->interval_seconds,
                 "Seconds from one to the next (2)")
      .WithinReal(0.1, 3600)
      .TypeName("SECONDS");
  command
      .AddOption("--count", flags->count,
                 "Stop after so many; 1 where standard output is no terminal")
      .Within(1, 1'000'000'000)
      .TypeName("N");
  AddStreamOutputFlag(command, flags->format);
}

}  // namespace penstock
