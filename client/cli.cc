#include "client/cli.h"

#include <algorithm>
#include <exception>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/suggest.h"
#include "base/tls/tls_flags.h"
#include "base/version.h"
#include "client/commands/command.h"

namespace penstock {
namespace {

void AddGlobalFlags(CLI::App& app, CommandContext& context) {
  const Command program(&app);
  program
      .AddOption("--coordinator", context.coordinator.address,
                 "Where the coordinator is; else PENSTOCK_COORDINATOR, else "
                 "`coordinator:` of ~/.config/penstock/config.yaml, else "
                 "127.0.0.1:7070")
      .TypeName("HOST:PORT");
  AddTlsFlags(app, context.coordinator.tls);
  program.AddSwitch(
      "--insecure", context.coordinator.insecure,
      "Speak without TLS, even if PENSTOCK_TLS_DIR or `tls_dir:` of "
      "config.yaml names certificates");
  program
      .AddOption("--timeout", context.timeout_seconds,
                 "Seconds that one call may take (10)")
      .WithinReal(0.001, 1e6)
      .TypeName("SECONDS");
}

// Below the program's own help.
std::string ExamplesAndExitCodes() {
  std::string text =
      "Examples:\n"
      "  penstock local run job.yaml --stages 2\n"
      "  penstock submit job.yaml --follow\n"
      "  penstock COMMAND --help\n\n"
      "Exit codes:";
  for (const ExitCodeMeaning& code : ExitCodes()) {
    absl::StrAppendFormat(&text, "\n  %2d  %s", static_cast<int>(code.code),
                          code.meaning);
  }
  return text;
}

void AddCommands(Command app, CommandContext& context) {
  AddSubmit(app, context);
  AddList(app, context);
  AddStatus(app, context);
  AddDescribe(app, context);
  AddLogs(app, context);
  AddEvents(app, context);
  AddCancel(app, context);
  AddSuspend(app, context);
  AddResume(app, context);
  AddCkpt(app, context);
  AddServers(app, context);
  AddCerts(app, context);
  AddSchedule(app, context);
  AddSimulate(app, context);
  AddTimeline(app, context);
  AddTop(app, context);
  AddDoctor(app, context);
  AddDiagnose(app, context);
  AddData(app, context);
  AddLocal(app, context);
  AddCompletion(app, context);
  AddVersion(app, context);
}

// The deepest command that was recognised.
const CLI::App& Deepest(const CLI::App& app) {
  const CLI::App* deepest = &app;
  while (!deepest->get_subcommands().empty()) {
    deepest = deepest->get_subcommands().front();
  }
  return *deepest;
}

std::string PathOf(const CLI::App& app) {
  const CLI::App* parent = app.get_parent();
  return parent == nullptr ? app.get_name()
                           : absl::StrCat(PathOf(*parent), " ", app.get_name());
}

std::vector<std::string> FlagNames(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* app = &command; app != nullptr;
       app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        names.push_back(absl::StrCat("--", name));
      }
    }
  }
  return names;
}

std::vector<std::string> SubcommandNames(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* subcommand :
       command.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(subcommand->get_name());
  }
  return names;
}

// What is wrong with the arguments, in one line.
std::string Explain(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = Deepest(app);
  const std::vector<std::string> extras = app.remaining(/*recurse=*/true);
  const std::vector<std::string> subcommands = SubcommandNames(command);
  if (extras.empty()) {
    if (!subcommands.empty()) {
      return absl::StrCat(PathOf(command), " wants a command: ",
                          absl::StrCat(CLI::detail::join(subcommands, ", ")));
    }
    return error.what();
  }
  // A flag's name may come with its value.
  const std::string word = extras.front().substr(0, extras.front().find('='));
  if (absl::StartsWith(word, "-")) {
    return absl::StrCat(PathOf(command), " has no flag ", word,
                        DidYouMean(word, FlagNames(command)));
  }
  if (!subcommands.empty()) {
    const std::string suggestion = DidYouMean(word, subcommands);
    return absl::StrCat(
        "unknown command \"", word, "\"", suggestion,
        suggestion.empty()
            ? absl::StrCat("; there are ", CLI::detail::join(subcommands, ", "))
            : "");
  }
  return absl::StrCat(PathOf(command), " takes no further argument, got \"",
                      word, "\"");
}

// True when the command line is fine; `code` is set otherwise.
bool Parse(CLI::App& app, const std::vector<std::string>& arguments,
           const Environment& environment, ExitCode& code) {
  // CLI11 takes them in reverse.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(std::move(reversed));
    return true;
  } catch (const CLI::CallForHelp&) {
    // The root's help is the chosen command's, with its whole name.
    *environment.out << app.help() << std::flush;
    code = ExitCode::kOk;
  } catch (const CLI::CallForVersion& version) {
    *environment.out << version.what() << "\n" << std::flush;
    code = ExitCode::kOk;
  } catch (const CLI::ParseError& error) {
    *environment.err << "penstock: error: " << Explain(app, error)
                     << "\npenstock: see `" << PathOf(Deepest(app))
                     << " --help`\n"
                     << std::flush;
    code = ExitCode::kUsage;
  }
  return false;
}

}  // namespace

ExitCode RunCli(const std::vector<std::string>& arguments,
                const Environment& environment) {
  try {
    CommandContext context(environment);
    CLI::App app("Trains networks in a pipeline over several machines",
                 "penstock");
    app.require_subcommand(1);
    app.get_formatter()->column_width(34);
    app.footer(ExamplesAndExitCodes());
    app.set_version_flag("--version", absl::StrCat("penstock ", kBuildVersion),
                         "Show this build's version");
    AddGlobalFlags(app, context);
    AddCommands(Command(&app), context);
    ExitCode code = ExitCode::kOk;
    if (!Parse(app, arguments, environment, code)) return code;
    return context.run();
  } catch (const std::exception& error) {
    *environment.err << "penstock: error: " << error.what()
                     << "\npenstock: this is a bug\n";
    return ExitCode::kFailed;
  }
}

}  // namespace penstock
