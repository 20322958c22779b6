#ifndef PENSTOCK_CLIENT_COMMAND_LINE_H_
#define PENSTOCK_CLIENT_COMMAND_LINE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace penstock {

// CLI11, which parses the command line, behind the few words that commands
// need: its header alone takes longer to compile than a command. These are
// handles, cheap to copy; what they name lives as long as the program's
// CLI::App. Not thread-safe; wrong names or two flags of one name throw CLI11's
// errors, which RunCli reports as a bug.

// A flag or a positional argument of a command.
class Flag {
 public:
  explicit Flag(CLI::Option* option) : option_(option) {}

  // Shown in the help for its value.
  Flag TypeName(const std::string& name) const;
  Flag Required() const;
  // Bounds are included.
  Flag Within(int64_t least, int64_t most) const;
  Flag WithinReal(double least, double most) const;
  Flag AboveZero() const;
  Flag AtLeastZero() const;
  Flag OneOf(const std::vector<std::string>& words) const;
  // May be given several times, each time with one value.
  Flag Repeatable() const;
  // Given once, with values that commas part.
  Flag CommaSeparated() const;
  Flag Excludes(Flag other) const;

 private:
  CLI::Option* option_;
};

// A command, or the program itself, which is the outermost one.
class Command {
 public:
  explicit Command(CLI::App* app) : app_(app) {}

  // `names` as CLI11 has them: "-o,--output", or a word for a positional
  // argument. `value` is written while the command line is parsed and must
  // outlive that; what it holds before is the default.
  Flag AddOption(const std::string& names, std::string& value,
                 const std::string& description) const;
  Flag AddOption(const std::string& names, int& value,
                 const std::string& description) const;
  Flag AddOption(const std::string& names, int64_t& value,
                 const std::string& description) const;
  Flag AddOption(const std::string& names, double& value,
                 const std::string& description) const;
  Flag AddOption(const std::string& names, std::vector<std::string>& values,
                 const std::string& description) const;
  Flag AddOption(const std::string& names, std::vector<int>& values,
                 const std::string& description) const;
  // `use` is called with the value.
  Flag AddOption(const std::string& names,
                 std::function<void(const std::string&)> use,
                 const std::string& description) const;
  // True when it is given.
  Flag AddSwitch(const std::string& names, bool& value,
                 const std::string& description) const;

  // A command below this one, with examples below its help. `run` is called
  // when it was chosen, while the command line is parsed.
  Command AddCommand(const std::string& name, const std::string& description,
                     const std::vector<std::string>& examples,
                     std::function<void()> run) const;
  // A command that only holds others, one of which must be chosen.
  Command AddGroup(const std::string& name, const std::string& description,
                   const std::vector<std::string>& examples) const;

  std::string Name() const;
  std::string Description() const;
  // In the order in which they were added.
  std::vector<Command> Subcommands() const;
  // Of this command alone, with their dashes: long ones, then short ones, of
  // each flag.
  std::vector<std::string> FlagNames() const;

 private:
  CLI::App* app_;
};

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_COMMAND_LINE_H_
