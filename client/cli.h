#ifndef PENSTOCK_CLIENT_CLI_H_
#define PENSTOCK_CLIENT_CLI_H_

#include <string>
#include <vector>

#include "client/environment.h"
#include "client/exit_code.h"

namespace penstock {

// The program: parses `arguments` (without its own name), runs the command and
// returns its exit code. Throws nothing. Wrong arguments give kUsage and, on
// `environment.err`, what was wrong with a suggestion.
ExitCode RunCli(const std::vector<std::string>& arguments,
                const Environment& environment);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_CLI_H_
