#ifndef PENSTOCK_CLIENT_SETTINGS_H_
#define PENSTOCK_CLIENT_SETTINGS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/tls/tls_files.h"
#include "checkpoint/transfer/tls_credentials.h"
#include "client/environment.h"

namespace penstock {

// Where commands find the coordinator when nobody says.
inline constexpr char kDefaultCoordinator[] = "127.0.0.1:7070";

struct CoordinatorSetting {
  std::string address;  // host:port
  // Where it comes from, for messages: "--coordinator",
  // "PENSTOCK_COORDINATOR", the configuration file's path, "the default".
  std::string origin;
  // What commands show it, and whom they believe; null: in the clear.
  std::shared_ptr<const TlsCredentials> tls;
};

// As the global flags say it; empty is not given.
struct CoordinatorFlags {
  std::string address;
  TlsSetting tls;
  // No TLS, whatever else says so.
  bool insecure = false;
};

// The address is the flag's when it is not empty, else the environment variable
// PENSTOCK_COORDINATOR, else `coordinator` of
// $XDG_CONFIG_HOME/penstock/config.yaml (~/.config without it), else the
// default. The folder of the certificates is, likewise, the flag's, that of
// PENSTOCK_TLS_DIR or of `tls_dir` in the file; without one there is no TLS.
//   INVALID_ARGUMENT  something that is no host:port, a configuration file that
//                     cannot be read as one, --insecure with certificates.
// Else as TlsCredentials::Load of a person's certificate.
absl::StatusOr<CoordinatorSetting> FindCoordinator(
    const CoordinatorFlags& flags, const Environment& environment);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_SETTINGS_H_
