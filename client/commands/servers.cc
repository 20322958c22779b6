#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/commands/command.h"
#include "client/render/job_view.h"

namespace penstock {
namespace {

// Between two looks at servers that are being drained.
constexpr absl::Duration kLookAgain = absl::Milliseconds(200);

struct DutyFlags {
  std::vector<std::string> servers;
  std::string reason = "asked for by an operator";
  double deadline_seconds = 0;
  bool wait = false;
  OutputFormat format = OutputFormat::kText;
};

// One call about one server.
using DutyCall = std::function<absl::StatusOr<ServerInfo>(
    CoordinatorClient& coordinator, const std::string& server,
    const std::string& idempotency_key)>;

ExitCode ListServers(CommandContext& context, OutputFormat format) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  const auto answer = (*coordinator)->ListServers();
  if (!answer.ok()) return context.Fail(answer.status());
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const ServerInfo& server : answer->servers()) {
    json.push_back(ServerToJson(server));
  }
  context.Print(
      format, json,
      ServerTable({answer->servers().begin(), answer->servers().end()},
                  context.environment().clock->Now(),
                  format == OutputFormat::kWide));
  return ExitCode::kOk;
}

// Until none of `servers` is DRAINING any more; has them as they are then.
absl::Status WaitUntilDrained(CommandContext& context,
                              CoordinatorClient& coordinator,
                              std::vector<ServerInfo>& servers) {
  const auto is_draining = [](const ServerInfo& server) {
    return server.duty() == SERVER_DUTY_DRAINING;
  };
  while (std::any_of(servers.begin(), servers.end(), is_draining)) {
    if (context.interrupt().WaitFor(kLookAgain)) {
      return absl::CancelledError(
          "interrupted; the servers go on being drained");
    }
    const auto answer = coordinator.ListServers();
    if (!answer.ok()) return answer.status();
    for (ServerInfo& server : servers) {
      for (const ServerInfo& now : answer->servers()) {
        if (now.id() == server.id()) server = now;
      }
    }
  }
  for (const ServerInfo& server : servers) {
    if (server.duty() == SERVER_DUTY_CORDONED) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        server.name(), " (", server.id(),
        ") was uncordoned meanwhile, and may have a rank; drain it again"));
  }
  return absl::OkStatus();
}

// The same of each server, in the order given; stops at the first refusal.
ExitCode SetDuties(CommandContext& context, const DutyFlags& flags,
                   const DutyCall& call) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  std::vector<ServerInfo> servers;
  for (const std::string& name : flags.servers) {
    absl::StatusOr<ServerInfo> server =
        call(**coordinator, name, context.environment().new_key());
    if (!server.ok()) return context.Fail(server.status());
    servers.push_back(*std::move(server));
  }
  if (flags.wait) {
    const absl::Status status =
        WaitUntilDrained(context, **coordinator, servers);
    if (!status.ok()) return context.Fail(status);
  }
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  std::string text;
  for (const ServerInfo& server : servers) {
    json.push_back(ServerToJson(server));
    absl::StrAppend(&text, server.name(), " (", server.id(),
                    "): ", StateText(server), "\n");
  }
  context.Print(flags.format, json, text);
  return ExitCode::kOk;
}

void AddNames(Command command, DutyFlags& flags) {
  command
      .AddOption("server", flags.servers,
                 "Names, ids, or unique prefixes of ids")
      .Required()
      .TypeName("SERVER...");
  AddOutputFlag(command, flags.format);
}

void AddReason(Command command, DutyFlags& flags) {
  command.AddOption("--reason", flags.reason, "Kept with the server")
      .TypeName("TEXT");
}

void AddCordon(Command servers, CommandContext& context) {
  const auto flags = std::make_shared<DutyFlags>();
  Command command = AddCommand(
      servers, context, "cordon",
      "Let servers take no ranks any more; those that they have stay",
      {"penstock servers cordon node-3 --reason 'new disks'"},
      [&context, flags] {
        return SetDuties(
            context, *flags,
            [flags](CoordinatorClient& coordinator, const std::string& server,
                    const std::string& key) {
              return coordinator.CordonServer(server, flags->reason, key);
            });
      });
  AddNames(command, *flags);
  AddReason(command, *flags);
}

void AddUncordon(Command servers, CommandContext& context) {
  const auto flags = std::make_shared<DutyFlags>();
  Command command = AddCommand(
      servers, context, "uncordon", "Let servers take ranks again",
      {"penstock servers uncordon node-3"}, [&context, flags] {
        return SetDuties(context, *flags,
                         [](CoordinatorClient& coordinator,
                            const std::string& server, const std::string& key) {
                           return coordinator.UncordonServer(server, key);
                         });
      });
  AddNames(command, *flags);
}

void AddDrain(Command servers, CommandContext& context) {
  const auto flags = std::make_shared<DutyFlags>();
  Command command = AddCommand(
      servers, context, "drain",
      "Cordon servers, and have the jobs on them keep a checkpoint and go on "
      "elsewhere",
      {"penstock servers drain node-3 --wait",
       "penstock servers drain node-3 node-4 --deadline 60"},
      [&context, flags] {
        return SetDuties(
            context, *flags,
            [flags](CoordinatorClient& coordinator, const std::string& server,
                    const std::string& key) {
              return coordinator.DrainServer(server, flags->reason,
                                             flags->deadline_seconds, key);
            });
      });
  AddNames(command, *flags);
  AddReason(command, *flags);
  command
      .AddOption("--deadline", flags->deadline_seconds,
                 "End a job there that has not left after so many seconds; it "
                 "goes on from what it has kept (0: wait for it)")
      .WithinReal(0.0, 1e9)
      .TypeName("SECONDS");
  command.AddSwitch("--wait", flags->wait,
                    "Until no job has a rank on them any more. Ctrl-C stops "
                    "waiting, not draining");
}

}  // namespace

void AddServers(Command app, CommandContext& context) {
  Command servers =
      app.AddGroup("servers", "Stage servers",
                   {"penstock servers list", "penstock servers drain node-3"});
  const auto format = std::make_shared<OutputFormat>(OutputFormat::kText);
  Command command = AddCommand(
      servers, context, "list", "List the stage servers and what they do",
      {"penstock servers list -o wide"},
      [&context, format] { return ListServers(context, *format); });
  AddOutputFlag(command, *format);
  AddCordon(servers, context);
  AddDrain(servers, context);
  AddUncordon(servers, context);
}

}  // namespace penstock
