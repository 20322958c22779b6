#ifndef PENSTOCK_CLIENT_RENDER_COMPLETION_H_
#define PENSTOCK_CLIENT_RENDER_COMPLETION_H_

#include <string>
#include <vector>

namespace penstock {

// A command as a shell completes it.
struct CommandNode {
  // The words from the program's name on: "penstock local run".
  std::string path;
  // Of each subcommand: its last word and what it does.
  struct Subcommand {
    std::string name;
    std::string description;
  };
  std::vector<Subcommand> subcommands;
  // "--follow", "-f", global ones included.
  std::vector<std::string> flags;
};

// Scripts that complete subcommands and flags, and file names elsewhere.
// Pure. `commands` is every command of the program, itself first.
std::string BashCompletion(const std::vector<CommandNode>& commands);
std::string ZshCompletion(const std::vector<CommandNode>& commands);
std::string FishCompletion(const std::vector<CommandNode>& commands);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_RENDER_COMPLETION_H_
