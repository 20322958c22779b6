#ifndef PENSTOCK_CLIENT_ENVIRONMENT_H_
#define PENSTOCK_CLIENT_ENVIRONMENT_H_

#include <functional>
#include <map>
#include <ostream>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "client/interrupt.h"

namespace penstock {

// What the process was given by the system, so that a command is a function of
// its arguments and this. Pointers are never null and outlive every command.
struct Environment {
  // Results go to `out`; progress may; errors go to `err`.
  std::ostream* out = nullptr;
  std::ostream* err = nullptr;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  // Width of the terminal in characters, as it is now: people resize windows.
  std::function<int()> columns = [] { return 80; };
  // Environment variables that the client reads: PENSTOCK_COORDINATOR,
  // PENSTOCK_TLS_DIR, HOME, XDG_CONFIG_HOME, XDG_STATE_HOME.
  std::map<std::string, std::string> variables;
  // Absolute path of this binary; the other two are looked for near it.
  std::string executable;
  // Absolute.
  std::string working_folder;
  const Clock* clock = nullptr;
  // For times that people read.
  absl::TimeZone time_zone = absl::UTCTimeZone();
  // Tripped once by each SIGINT and SIGTERM.
  Interrupt* interrupt = nullptr;
  // A fresh random key, for calls that may be sent twice.
  std::function<std::string()> new_key;

  // Its value, or "" when it is not set.
  std::string Variable(const std::string& name) const {
    const auto found = variables.find(name);
    return found == variables.end() ? "" : found->second;
  }
};

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_ENVIRONMENT_H_
