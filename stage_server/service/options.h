#ifndef PENSTOCK_STAGE_SERVER_SERVICE_OPTIONS_H_
#define PENSTOCK_STAGE_SERVER_SERVICE_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/tls/tls_files.h"

namespace penstock {

// What `penstock-stage-server` was asked to be.
struct ServerOptions {
  std::string coordinator;
  // Empty: the host's name.
  std::string name;
  // Empty: the one kept in the state folder.
  std::string server_id;
  std::string state_dir;
  std::string device = "cpu";
  std::string data_interface = "lo";
  // Empty: found out.
  std::string host_id;
  // That the device has for a job; 0: what the machine has.
  int64_t memory_bytes = 0;
  // Where other servers reach the states in its memory; empty: on a free port
  // of the address that it reaches the coordinator from.
  std::string memory_listen;
  // That an idle server keeps them for.
  double memory_keep_seconds = 600;
  // That the coordinator is given to relieve a server that is told to end; 0:
  // it ends at once.
  double leave_deadline_seconds = 30;
  // Where Prometheus finds it; empty: nowhere.
  std::string metrics_listen;
  bool insecure = false;
  // Unset: it speaks in the clear.
  std::optional<TlsFiles> tls;
  // Process id; 0: not watched.
  int exit_with_parent = 0;
};

// What stands in for an option that is not given; from the environment.
struct OptionDefaults {
  std::string coordinator;
  std::string state_dir;
};

// The text that --help or --version asked for, to print and exit with 0.
struct PrintAndExit {
  std::string text;
};

// Reads the command line, `arguments` without the program's name.
//   INVALID_ARGUMENT  says which option, what was wanted, and what to do.
absl::StatusOr<std::variant<ServerOptions, PrintAndExit>> ParseOptions(
    const std::vector<std::string>& arguments, const OptionDefaults& defaults);

// Whether host:port can be reached only from this machine.
bool IsLoopback(absl::string_view target);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_SERVICE_OPTIONS_H_
