#ifndef PENSTOCK_CLIENT_SETTINGS_H_
#define PENSTOCK_CLIENT_SETTINGS_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/environment.h"

namespace penstock {

// Where commands find the coordinator when nobody says.
inline constexpr char kDefaultCoordinator[] = "127.0.0.1:7070";

struct CoordinatorSetting {
  std::string address;  // host:port
  // Where it comes from, for messages: "--coordinator",
  // "PENSTOCK_COORDINATOR", the configuration file's path, "the default".
  std::string origin;
};

// `flag` when it is not empty, else the environment variable
// PENSTOCK_COORDINATOR, else `coordinator` of
// $XDG_CONFIG_HOME/penstock/config.yaml (~/.config without it), else the
// default. INVALID_ARGUMENT for something that is no host:port, or a
// configuration file that cannot be read as one.
absl::StatusOr<CoordinatorSetting> FindCoordinator(
    const std::string& flag, const Environment& environment);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_SETTINGS_H_
