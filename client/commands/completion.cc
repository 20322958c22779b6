#include "client/render/completion.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/commands/command.h"

namespace penstock {
namespace {

void AddFlags(const CLI::App& app, CommandNode& node) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      node.flags.push_back(absl::StrCat("--", name));
    }
    for (const std::string& name : option->get_snames()) {
      node.flags.push_back(absl::StrCat("-", name));
    }
  }
}

void Collect(const CLI::App& root, const CLI::App& app,
             const std::string& prefix, std::vector<CommandNode>& nodes) {
  CommandNode node;
  node.path = absl::StrCat(prefix, app.get_name());
  AddFlags(app, node);
  if (&app != &root) AddFlags(root, node);
  const auto all = [](const CLI::App*) { return true; };
  for (const CLI::App* subcommand : app.get_subcommands(all)) {
    node.subcommands.push_back(
        {subcommand->get_name(), subcommand->get_description()});
  }
  const std::string next = absl::StrCat(node.path, " ");
  nodes.push_back(std::move(node));
  for (const CLI::App* subcommand : app.get_subcommands(all)) {
    Collect(root, *subcommand, next, nodes);
  }
}

ExitCode Complete(CommandContext& context, const CLI::App& root,
                  const std::string& shell) {
  std::vector<CommandNode> nodes;
  Collect(root, root, "", nodes);
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

void AddCompletion(CLI::App& app, CommandContext& context) {
  const auto shell = std::make_shared<std::string>();
  CLI::App& command = AddCommand(
      app, context, "completion", "Print a shell's completion script",
      {"source <(penstock completion bash)",
       "penstock completion fish | source"},
      [&context, &app, shell] { return Complete(context, app, *shell); });
  command.add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(Quiet(CLI::IsMember({"bash", "zsh", "fish"})))
      ->type_name("SHELL");
}

}  // namespace penstock
