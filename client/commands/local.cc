#include "client/commands/command.h"

namespace penstock {

void AddLocal(CLI::App& app, CommandContext& context) {
  CLI::App& local = *app.add_subcommand(
      "local", "A coordinator and stage servers on this machine");
  local.fallthrough();
  local.require_subcommand(1);
  AddLocalRun(local, context);
  AddLocalUp(local, context);
  AddLocalDown(local, context);
}

}  // namespace penstock
