#include "stage_server/service/options.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/tls/tls_flags.h"
#include "base/version.h"

namespace penstock {
namespace {

constexpr char kFooter[] = R"(
Environment: PENSTOCK_COORDINATOR and PENSTOCK_STATE_DIR stand in for the
options of the same name.

Examples:
  penstock-stage-server --coordinator 127.0.0.1:7070
  penstock-stage-server --coordinator 127.0.0.1:7070 --name b \
      --state-dir /var/lib/penstock/b
  penstock-stage-server --coordinator head:7070 --name gpu-1 \
      --tls-dir /etc/penstock/tls --data-interface eth1

Exit codes: 0 told to stop, 1 refused by the coordinator or failed, 2 usage.)";

void AddOptions(CLI::App& app, ServerOptions& options) {
  app.add_option("--coordinator", options.coordinator,
                 "host:port of the coordinator")
      ->type_name("ADDRESS");
  app.add_option("--name", options.name, "for people (default: the host's)");
  app.add_option("--server-id", options.server_id,
                 "stable over restarts (default: kept in the state folder)")
      ->type_name("ID");
  app.add_option("--state-dir", options.state_dir,
                 "folder that keeps the server's id")
      ->type_name("FOLDER")
      ->capture_default_str();
  app.add_option("--device", options.device, "what it computes on")
      ->capture_default_str();
  app.add_option("--data-interface", options.data_interface,
                 "network interface for tensors between hosts")
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--host-id", options.host_id,
                 "servers with the same one share memory (default: this boot "
                 "and network namespace)")
      ->type_name("ID");
  app.add_option("--memory", options.memory_bytes,
                 "that the device has for a job, such as 8GiB (default: what "
                 "the machine has, which servers on one machine share)")
      ->type_name("BYTES")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false))
      ->check(CLI::PositiveNumber);
  app.add_option("--memory-listen", options.memory_listen,
                 "where other servers put copies of their states and read them "
                 "(default: a free port of the address that it reaches the "
                 "coordinator from)")
      ->type_name("ADDRESS");
  app.add_option("--memory-keep", options.memory_keep_seconds,
                 "that an idle server keeps the states in its memory for")
      ->type_name("SECONDS")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--leave-deadline", options.leave_deadline_seconds,
                 "told to stop (SIGTERM) with a rank, it goes on for so long "
                 "until the coordinator has relieved it; 0: it stops at once")
      ->type_name("SECONDS")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--metrics-listen", options.metrics_listen,
                 "host:port on which Prometheus finds /metrics, over plain "
                 "HTTP (default: none)")
      ->type_name("ADDRESS");
  app.add_flag("--insecure", options.insecure,
               "allow a coordinator that is not on this machine, without TLS; "
               "likewise --memory-listen");
  app.add_option("--exit-with-parent", options.exit_with_parent,
                 "stop when the process that started this one, PID, ends")
      ->type_name("PID")
      ->check(CLI::PositiveNumber);
}

bool IsAddress(const std::string& address, int least_port) {
  const size_t colon = address.rfind(':');
  int port = 0;
  return colon != std::string::npos && colon > 0 &&
         absl::SimpleAtoi(address.substr(colon + 1), &port) &&
         port >= least_port && port <= 65535;
}

// Whether it may talk to other machines.
bool MayLeave(const ServerOptions& options) {
  return options.insecure || options.tls.has_value();
}

absl::Status CheckMemoryListen(const ServerOptions& options) {
  const std::string& address = options.memory_listen;
  if (address.empty()) return absl::OkStatus();
  const std::string host = address.substr(0, address.rfind(':'));
  if (!IsAddress(address, /*least_port=*/0) || host == "0.0.0.0" ||
      host == "[::]") {
    return absl::InvalidArgumentError(absl::StrCat(
        "--memory-listen \"", address,
        "\" is no host:port that other servers can reach, for example "
        "10.0.0.7:7072, or 10.0.0.7:0 for a free port"));
  }
  if (!MayLeave(options) && !IsLoopback(address)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--memory-listen \"", address,
        "\" is not on this machine's loopback, and there is no TLS; give "
        "--tls-dir, or --insecure if the network is trusted"));
  }
  return absl::OkStatus();
}

absl::Status Check(const ServerOptions& options) {
  if (options.coordinator.empty()) {
    return absl::InvalidArgumentError(
        "--coordinator is missing; give its address, for example "
        "--coordinator 127.0.0.1:7070");
  }
  if (!IsAddress(options.coordinator, /*least_port=*/1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--coordinator \"", options.coordinator,
                     "\" is no host:port, for example 127.0.0.1:7070"));
  }
  if (options.insecure && options.tls.has_value()) {
    return absl::InvalidArgumentError(
        "--insecure is for a network without TLS, and certificates are given; "
        "leave one of them out");
  }
  if (!MayLeave(options) && !IsLoopback(options.coordinator)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--coordinator \"", options.coordinator,
        "\" is not on this machine's loopback, and there is no TLS; give "
        "--tls-dir with certificates of `penstock certs`, or --insecure if the "
        "network is trusted"));
  }
  if (options.server_id.empty() && options.state_dir.empty()) {
    return absl::InvalidArgumentError(
        "there is no folder to keep the server's id in; give --state-dir or "
        "--server-id");
  }
  return CheckMemoryListen(options);
}

}  // namespace

absl::StatusOr<std::variant<ServerOptions, PrintAndExit>> ParseOptions(
    const std::vector<std::string>& arguments, const OptionDefaults& defaults) {
  ServerOptions options;
  options.coordinator = defaults.coordinator;
  options.state_dir = defaults.state_dir;
  CLI::App app(
      "Holds one device for a Penstock coordinator: idle until it is assigned "
      "a rank of a job, and again when the job has ended.",
      "penstock-stage-server");
  app.set_version_flag("--version",
                       absl::StrCat("penstock-stage-server ", kBuildVersion));
  app.footer(kFooter);
  AddOptions(app, options);
  TlsSetting tls;
  AddTlsFlags(app, tls);
  // CLI11 takes the arguments from the back.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return PrintAndExit{app.help()};
  } catch (const CLI::CallForVersion& version) {
    return PrintAndExit{absl::StrCat(version.what(), "\n")};
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(error.what(), "; see penstock-stage-server --help"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(options.tls, FindTlsFiles(tls));
  PENSTOCK_RETURN_IF_ERROR(Check(options));
  return options;
}

bool IsLoopback(absl::string_view target) {
  const absl::string_view host = target.substr(0, target.rfind(':'));
  // Digits only: a name may begin with 127. too.
  return host == "localhost" || host == "[::1]" ||
         (absl::StartsWith(host, "127.") &&
          host.find_first_not_of("0123456789.") == absl::string_view::npos);
}

}  // namespace penstock
