#include <memory>

#include "client/commands/command.h"
#include "client/render/job_view.h"

namespace penstock {
namespace {

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

}  // namespace

void AddServers(CLI::App& app, CommandContext& context) {
  CLI::App& servers =
      AddGroup(app, "servers", "Stage servers", {"penstock servers list"});
  const auto format = std::make_shared<OutputFormat>(OutputFormat::kText);
  CLI::App& command = AddCommand(
      servers, context, "list", "List the stage servers and what they do",
      {"penstock servers list -o wide"},
      [&context, format] { return ListServers(context, *format); });
  AddOutputFlag(command, *format);
}

}  // namespace penstock
