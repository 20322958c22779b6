#include "client/command_line.h"

#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace penstock {
namespace {

constexpr int kManyValues = 1'000'000;

// Without its description, which the help would append to the type's name.
CLI::Validator Quiet(CLI::Validator validator) {
  return validator.description("");
}

CLI::App& AddWithExamples(CLI::App& parent, const std::string& name,
                          const std::string& description,
                          const std::vector<std::string>& examples) {
  CLI::App& command = *parent.add_subcommand(name, description);
  // The global flags may stand after the command too.
  command.fallthrough();
  command.footer(
      absl::StrCat("Examples:\n  ", absl::StrJoin(examples, "\n  ")));
  return command;
}

}  // namespace

Flag Flag::TypeName(const std::string& name) const {
  option_->type_name(name);
  return *this;
}

Flag Flag::Required() const {
  option_->required();
  return *this;
}

Flag Flag::Within(int64_t least, int64_t most) const {
  option_->check(Quiet(CLI::Range(least, most)));
  return *this;
}

Flag Flag::WithinReal(double least, double most) const {
  option_->check(Quiet(CLI::Range(least, most)));
  return *this;
}

Flag Flag::AboveZero() const {
  option_->check(Quiet(CLI::PositiveNumber));
  return *this;
}

Flag Flag::AtLeastZero() const {
  option_->check(Quiet(CLI::NonNegativeNumber));
  return *this;
}

Flag Flag::OneOf(const std::vector<std::string>& words) const {
  option_->check(Quiet(CLI::IsMember(words)));
  return *this;
}

Flag Flag::Repeatable() const {
  option_->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  return *this;
}

Flag Flag::CommaSeparated() const {
  option_->delimiter(',')->expected(1, kManyValues)->allow_extra_args(false);
  return *this;
}

Flag Flag::Excludes(Flag other) const {
  option_->excludes(other.option_);
  return *this;
}

Flag Command::AddOption(const std::string& names, std::string& value,
                        const std::string& description) const {
  return Flag(app_->add_option(names, value, description));
}

Flag Command::AddOption(const std::string& names, int& value,
                        const std::string& description) const {
  return Flag(app_->add_option(names, value, description));
}

Flag Command::AddOption(const std::string& names, int64_t& value,
                        const std::string& description) const {
  return Flag(app_->add_option(names, value, description));
}

Flag Command::AddOption(const std::string& names, double& value,
                        const std::string& description) const {
  return Flag(app_->add_option(names, value, description));
}

Flag Command::AddOption(const std::string& names,
                        std::vector<std::string>& values,
                        const std::string& description) const {
  return Flag(app_->add_option(names, values, description));
}

Flag Command::AddOption(const std::string& names, std::vector<int>& values,
                        const std::string& description) const {
  return Flag(app_->add_option(names, values, description));
}

Flag Command::AddOption(const std::string& names,
                        std::function<void(const std::string&)> use,
                        const std::string& description) const {
  return Flag(app_->add_option_function<std::string>(names, std::move(use),
                                                     description));
}

Flag Command::AddSwitch(const std::string& names, bool& value,
                        const std::string& description) const {
  return Flag(app_->add_flag(names, value, description));
}

Command Command::AddCommand(const std::string& name,
                            const std::string& description,
                            const std::vector<std::string>& examples,
                            std::function<void()> run) const {
  CLI::App& command = AddWithExamples(*app_, name, description, examples);
  command.callback(std::move(run));
  return Command(&command);
}

Command Command::AddGroup(const std::string& name,
                          const std::string& description,
                          const std::vector<std::string>& examples) const {
  CLI::App& group = AddWithExamples(*app_, name, description, examples);
  group.require_subcommand(1);
  return Command(&group);
}

std::string Command::Name() const { return app_->get_name(); }

std::string Command::Description() const { return app_->get_description(); }

std::vector<Command> Command::Subcommands() const {
  std::vector<Command> subcommands;
  for (CLI::App* subcommand :
       app_->get_subcommands([](CLI::App*) { return true; })) {
    subcommands.push_back(Command(subcommand));
  }
  return subcommands;
}

std::vector<std::string> Command::FlagNames() const {
  std::vector<std::string> names;
  for (const CLI::Option* option : app_->get_options()) {
    for (const std::string& name : option->get_lnames()) {
      names.push_back(absl::StrCat("--", name));
    }
    for (const std::string& name : option->get_snames()) {
      names.push_back(absl::StrCat("-", name));
    }
  }
  return names;
}

}  // namespace penstock
