#include "client/render/completion.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/commands/command.h"

namespace penstock {
namespace {

void Collect(Command command, const std::string& prefix,
             const std::vector<std::string>& global_flags,
             std::vector<CommandNode>& nodes) {
  CommandNode node;
  node.path = absl::StrCat(prefix, command.Name());
  node.flags = command.FlagNames();
  if (!prefix.empty()) {
    node.flags.insert(node.flags.end(), global_flags.begin(),
                      global_flags.end());
  }
  for (const Command& subcommand : command.Subcommands()) {
    node.subcommands.push_back({subcommand.Name(), subcommand.Description()});
  }
  const std::string next = absl::StrCat(node.path, " ");
  nodes.push_back(std::move(node));
  for (const Command& subcommand : command.Subcommands()) {
    Collect(subcommand, next, global_flags, nodes);
  }
}

ExitCode Complete(CommandContext& context, Command root,
                  const std::string& shell) {
  std::vector<CommandNode> nodes;
  Collect(root, "", root.FlagNames(), nodes);
  std::ostream& out = *context.environment().out;
  if (shell == "bash") {
    out << BashCompletion(nodes);
  } else if (shell == "zsh") {
    out << ZshCompletion(nodes);
  } else {
    out << FishCompletion(nodes);
  }
  return ExitCode::kOk;
}

}  // namespace

void AddCompletion(Command app, CommandContext& context) {
  const auto shell = std::make_shared<std::string>();
  Command command = AddCommand(
      app, context, "completion", "Print a shell's completion script",
      {"source <(penstock completion bash)",
       "penstock completion fish | source"},
      [&context, app, shell] { return Complete(context, app, *shell); });
  command.AddOption("shell", *shell, "bash, zsh or fish")
      .Required()
      .OneOf({"bash", "zsh", "fish"})
      .TypeName("SHELL");
}

}  // namespace penstock
