// penstock-coordinator: owns jobs, plans and epochs of one training cluster.

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/metrics_port.h"
#include "base/mutex.h"
#include "base/parent_process.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/stop_signals.h"
#include "base/supervisor.h"
#include "base/tls/tls_files.h"
#include "base/tls/tls_flags.h"
#include "base/version.h"
#include "checkpoint/transfer/key_file.h"
#include "checkpoint/transfer/tls_credentials.h"
#include "coordinator/core/status_line.h"
#include "coordinator/service/hosted_checkpoints.h"
#include "coordinator/service/loop.h"
#include "coordinator/service/metrics_source.h"
#include "coordinator/service/server.h"
#include "coordinator/store/sqlite_store.h"
#include "spdlog/sinks/stdout_color_sinks.h"
#include "spdlog/spdlog.h"

namespace penstock {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
// Somebody else has the port or the store.
constexpr int kExitUnavailable = 69;
constexpr absl::Duration kMetricsPatience = absl::Seconds(5);

constexpr char kExamples[] = R"(
Examples:
  penstock-coordinator
      serves this machine on 127.0.0.1:7070
  penstock-coordinator --listen 0.0.0.0:7070 --tls-dir /etc/penstock/tls
      serves other machines, with certificates of `penstock certs`
  penstock-coordinator --listen 0.0.0.0:7070 --insecure
      serves a trusted network, without TLS
  penstock-coordinator --listen 127.0.0.1:0 --address-file run/address
      takes a free port and says which
  penstock-coordinator --checkpoint-store nas:7071 \
      --checkpoint-store-key store.key
      has checkpoints kept by the penstock-store on nas

Exit status: 0 stopped by SIGTERM or SIGINT, 2 wrong usage, 69 the port, the
store or the folder of checkpoints is in use, or the penstock-store does not
answer, 1 anything else.)";

struct Flags {
  std::string listen = "127.0.0.1:7070";
  std::string store;
  std::string checkpoints;
  std::string transfer_listen;
  bool shared_checkpoints = false;
  std::string checkpoint_store;
  std::string checkpoint_key_file;
  std::string address_file;
  std::string metrics_listen;
  bool insecure = false;
  TlsSetting tls_setting;
  // Of `tls_setting`; unset: in the clear.
  std::optional<TlsFiles> tls;
  // Not watched when 0.
  int exit_with_parent = 0;
  Timing timing;
};

std::string DefaultStore() {
  const char* state = getenv("XDG_STATE_HOME");
  const char* home = getenv("HOME");
  const std::string base =
      state != nullptr && *state != '\0'
          ? state
          : absl::StrCat(home == nullptr ? "" : home, "/.local/state");
  return base + "/penstock/coordinator.db";
}

void AddDuration(CLI::App& app, const std::string& name,
                 absl::Duration& duration, const std::string& doc) {
  app.add_option_function<std::string>(
         name,
         [&duration, name](const std::string& text) {
           if (!absl::ParseDuration(text, &duration) ||
               duration <= absl::ZeroDuration()) {
             throw CLI::ValidationError(
                 name, "\"" + text + "\" is no duration; write 500ms, 3s, 30m");
           }
         },
         doc + " [" + absl::FormatDuration(duration) + "]")
      ->type_name("DURATION");
}

// Of checkpoints that another process keeps. After the flags of those that this
// one keeps.
void AddStoreFlags(CLI::App& app, Flags& flags) {
  CLI::Option* const store =
      app.add_option("--checkpoint-store", flags.checkpoint_store,
                     "host:port of a penstock-store that keeps jobs' "
                     "checkpoints instead, as stage servers dial it")
          ->type_name("ADDRESS")
          ->excludes("--checkpoints")
          ->excludes("--transfer-listen")
          ->excludes("--shared-checkpoints");
  app.add_option("--checkpoint-store-key", flags.checkpoint_key_file,
                 "file with the secret that the penstock-store has too")
      ->type_name("FILE")
      ->needs(store);
}

void AddFlags(CLI::App& app, Flags& flags) {
  app.set_version_flag("--version",
                       std::string("penstock-coordinator ") + kBuildVersion);
  app.add_option("--listen", flags.listen,
                 "host:port to serve on; port 0 takes a free one "
                 "[127.0.0.1:7070]")
      ->type_name("ADDRESS");
  app.add_option("--store", flags.store,
                 "SQLite file that keeps jobs and servers "
                 "[$XDG_STATE_HOME/penstock/coordinator.db]")
      ->type_name("FILE");
  app.add_option("--checkpoints", flags.checkpoints,
                 "folder that keeps jobs' checkpoints [`checkpoints` beside "
                 "--store]")
      ->type_name("FOLDER");
  CLI::Option* const listen =
      app.add_option("--transfer-listen", flags.transfer_listen,
                     "host:port on which stage servers send and fetch "
                     "checkpoints [the host of --listen, a free port]")
          ->type_name("ADDRESS");
  app.add_flag("--shared-checkpoints", flags.shared_checkpoints,
               "stage servers see --checkpoints under the same path and use "
               "it themselves")
      ->excludes(listen);
  AddStoreFlags(app, flags);
  app.add_option("--address-file", flags.address_file,
                 "write the bound address here once serving; removed at exit")
      ->type_name("FILE");
  app.add_option("--metrics-listen", flags.metrics_listen,
                 "host:port on which Prometheus finds /metrics, over plain "
                 "HTTP [none]")
      ->type_name("ADDRESS");
  app.add_flag("--insecure", flags.insecure,
               "serve on an address that other machines can reach, without "
               "TLS");
  AddTlsFlags(app, flags.tls_setting);
  AddDuration(app, "--heartbeat", flags.timing.heartbeat,
              "how often stage servers are to be heard");
  AddDuration(app, "--suspect-after", flags.timing.suspect_after,
              "silence after which a server is SUSPECT");
  AddDuration(app, "--lost-after", flags.timing.lost_after,
              "silence after which a server is LOST and its job fails");
  AddDuration(app, "--grace", flags.timing.grace,
              "how long stage servers go on without a coordinator");
  app.add_option("--exit-with-parent", flags.exit_with_parent,
                 "stop when the process that started this one, PID, ends")
      ->type_name("PID")
      ->check(CLI::PositiveNumber);
  app.footer(kExamples);
}

// Whether other machines may be served.
bool MayBeReached(const Flags& flags) {
  return flags.insecure || flags.tls.has_value();
}

// Where the TransferService listens; empty without one.
absl::StatusOr<std::string> TransferListen(const Flags& flags) {
  if (flags.shared_checkpoints) return "";
  std::string address = flags.transfer_listen;
  if (address.empty()) {
    address =
        absl::StrCat(flags.listen.substr(0, flags.listen.rfind(':')), ":0");
  }
  const absl::StatusOr<HostPort> where = ParseHostPort(address);
  if (!where.ok()) return where.status();
  if (IsLoopback(where->host) || MayBeReached(flags)) return address;
  return absl::InvalidArgumentError(absl::StrCat(
      "--transfer-listen ", address, " can be reached by other machines, and ",
      "there is no TLS; give --tls-dir, or --insecure if everyone there may "
      "have the checkpoints"));
}

// What stage servers dial for it, where it listens on every address.
std::string AdvertisedHost(const std::string& listen) {
  const absl::StatusOr<HostPort> where = ParseHostPort(listen);
  if (!where.ok() || (where->host != "0.0.0.0" && where->host != "::" &&
                      !where->host.empty())) {
    return "";
  }
  char name[HOST_NAME_MAX + 1] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

absl::Status CheckStoreFlags(const Flags& flags) {
  if (flags.checkpoint_store.empty()) return absl::OkStatus();
  PENSTOCK_RETURN_IF_ERROR(ParseHostPort(flags.checkpoint_store).status());
  if (!flags.checkpoint_key_file.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "--checkpoint-store needs --checkpoint-store-key, the file that the "
      "penstock-store was started with as --key-file");
}

absl::Status CheckFlags(Flags& flags) {
  PENSTOCK_ASSIGN_OR_RETURN(flags.tls, FindTlsFiles(flags.tls_setting));
  if (flags.tls.has_value() && flags.insecure) {
    return absl::InvalidArgumentError(
        "--insecure is for a network without TLS, and certificates are given; "
        "leave one of them out");
  }
  const absl::StatusOr<HostPort> where = ParseHostPort(flags.listen);
  if (!where.ok()) return where.status();
  if (!IsLoopback(where->host) && !MayBeReached(flags)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--listen ", flags.listen,
        " can be reached by other machines, and there is no TLS; give "
        "--tls-dir with certificates of `penstock certs`, or --insecure if "
        "everyone there may run jobs"));
  }
  if (const auto transfer = TransferListen(flags); !transfer.ok()) {
    return transfer.status();
  }
  PENSTOCK_RETURN_IF_ERROR(CheckStoreFlags(flags));
  const Timing& timing = flags.timing;
  if (timing.heartbeat < timing.suspect_after &&
      timing.suspect_after < timing.lost_after) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "--heartbeat must be less than --suspect-after, and that less than "
      "--lost-after");
}

// From the system's source of randomness; fit for secrets.
std::string RandomHex(int digits) {
  std::random_device device;
  std::string hex;
  while (static_cast<int>(hex.size()) < digits) {
    absl::StrAppendFormat(&hex, "%08x", device());
  }
  hex.resize(digits);
  return hex;
}

int Fail(const absl::Status& status, int code) {
  std::cerr << "penstock-coordinator: " << status.message() << "\n";
  return code;
}

int ExitCodeOf(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsUnavailable(status)
             ? kExitUnavailable
             : kExitFailed;
}

// Null where it speaks in the clear.
using Tls = std::shared_ptr<const TlsCredentials>;

absl::StatusOr<Tls> LoadTls(const Flags& flags) {
  if (!flags.tls.has_value()) return nullptr;
  TlsCredentials::Options tls;
  tls.files = *flags.tls;
  tls.on_refusal = [](const std::string& line) {
    spdlog::warn("refused: {}", line);
  };
  return TlsCredentials::Load(tls, Role::kCoordinator, SystemClock());
}

absl::StatusOr<std::unique_ptr<CheckpointPort>> OpenCheckpoints(
    const Flags& flags, const Tls& tls, const std::string& store,
    const std::string& cluster_secret) {
  if (!flags.checkpoint_store.empty()) {
    RemoteCheckpointsOptions remote;
    remote.address = flags.checkpoint_store;
    remote.tls = tls;
    PENSTOCK_ASSIGN_OR_RETURN(remote.key,
                              ReadTransferKey(flags.checkpoint_key_file));
    return OpenRemoteCheckpoints(remote);
  }
  HostedCheckpointsOptions options;
  options.tls = tls;
  options.root = flags.checkpoints;
  if (options.root.empty()) {
    options.root = std::filesystem::path(store).parent_path() / "checkpoints";
  }
  // Stage servers that share it may have another working folder.
  options.root = std::filesystem::absolute(options.root);
  PENSTOCK_ASSIGN_OR_RETURN(options.listen, TransferListen(flags));
  // Not the secret itself: a token must not help to guess an epoch's.
  options.key = Sha256HexOf(absl::StrCat(cluster_secret, "/transfer"));
  options.advertised_host = AdvertisedHost(options.listen);
  if (options.listen.empty()) return OpenHostedCheckpoints(options);
  // A transfer that a crash of this process cut goes on if the port stays.
  const std::string port_file = store + ".transfer-port";
  const std::string last = ReadFile(port_file).value_or("");
  if (flags.transfer_listen.empty() && !last.empty()) {
    HostedCheckpointsOptions same = options;
    same.listen =
        absl::StrCat(same.listen.substr(0, same.listen.rfind(':') + 1),
                     absl::StripAsciiWhitespace(last));
    auto port = OpenHostedCheckpoints(same);
    if (port.ok()) return port;
  }
  PENSTOCK_ASSIGN_OR_RETURN(std::unique_ptr<CheckpointPort> port,
                            OpenHostedCheckpoints(options));
  const std::string address = port->settings().address;
  PENSTOCK_RETURN_IF_ERROR(WriteFileAtomically(
      port_file, address.substr(address.rfind(':') + 1) + "\n"));
  return port;
}

// A loop that turns more seldom than it is watched would be killed.
absl::Status CheckWatchdog(const Supervisor& supervisor, const Timing& timing) {
  if (supervisor.watchdog_period() >= 4 * timing.heartbeat) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--heartbeat ", absl::FormatDuration(timing.heartbeat),
      " is too long for the unit's WatchdogSec=, ",
      absl::FormatDuration(supervisor.watchdog_period()),
      ": wanted at most a fourth of it; give a smaller --heartbeat or a longer "
      "WatchdogSec="));
}

// For `systemctl status`.
std::string WhatItDoes(const LoopView& view, const absl::Status& store) {
  if (store.ok()) return StatusLine(view.state);
  return absl::StrCat("nothing can be written: ", store.message());
}

// Null without --metrics-listen.
absl::StatusOr<std::unique_ptr<MetricsPort>> ServeMetrics(const Flags& flags,
                                                          Loop& loop) {
  if (flags.metrics_listen.empty()) return nullptr;
  PENSTOCK_ASSIGN_OR_RETURN(std::unique_ptr<MetricsPort> port,
                            MetricsPort::Start(flags.metrics_listen, [&loop] {
                              return MetricsOf(loop, kMetricsPatience);
                            }));
  spdlog::info("metrics on http://{}/metrics", port->address());
  return port;
}

// Serves until a signal, or until the loop gives up.
absl::Status Serve(const Flags& flags, const sigset_t& signals,
                   Supervisor& supervisor) {
  const std::string path = flags.store.empty() ? DefaultStore() : flags.store;
  PENSTOCK_ASSIGN_OR_RETURN(const Tls tls, LoadTls(flags));
  absl::StatusOr<std::unique_ptr<StateStore>> store = OpenSqliteStore(path);
  if (!store.ok()) return store.status();
  Mutex mutex;
  absl::Status gave_up;
  Loop::Options options;
  options.timing = flags.timing;
  options.build_version = kBuildVersion;
  options.cluster_secret = RandomHex(64);
  options.open_checkpoints = [&flags, &tls, &path](const std::string& secret) {
    return OpenCheckpoints(flags, tls, path, secret);
  };
  options.on_beat = [&supervisor](const LoopView& view,
                                  const absl::Status& store) {
    supervisor.Turned(WhatItDoes(view, store));
  };
  options.on_stop = [&mutex, &gave_up](const absl::Status& why) {
    {
      const MutexLock lock(&mutex);
      gave_up = why;
    }
    kill(getpid(), SIGTERM);
  };
  absl::StatusOr<std::unique_ptr<Loop>> loop =
      Loop::Start(*std::move(store), std::move(options));
  if (!loop.ok()) return loop.status();
  absl::StatusOr<std::unique_ptr<CoordinatorServer>> server =
      CoordinatorServer::Start(
          flags.listen, **loop, [] { return RandomHex(12); }, tls);
  if (!server.ok()) return server.status();
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<MetricsPort> metrics,
                            ServeMetrics(flags, **loop));
  if (!flags.address_file.empty()) {
    const absl::Status written =
        WriteFileAtomically(flags.address_file, (*server)->address() + "\n");
    if (!written.ok()) return written;
  }
  spdlog::info("serving on {}{}, build {}", (*server)->address(),
               tls == nullptr ? "" : " with TLS", kBuildVersion);
  supervisor.Ready(absl::StrCat("serving on ", (*server)->address()));
  int signal = 0;
  sigwait(&signals, &signal);
  supervisor.Stopping("stopping; running jobs go on without it");
  (*server)->Stop(absl::UnavailableError("the coordinator is stopping"));
  if (!flags.address_file.empty()) unlink(flags.address_file.c_str());
  const MutexLock lock(&mutex);
  if (gave_up.ok()) spdlog::info("stopped; running jobs go on without it");
  return gave_up;
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Owns the jobs, plans and stage servers of a Penstock cluster.",
               "penstock-coordinator");
  AddFlags(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (const absl::Status status = CheckFlags(flags); !status.ok()) {
    return Fail(status, kExitUsage);
  }
  Supervisor supervisor;
  if (const absl::Status status = CheckWatchdog(supervisor, flags.timing);
      !status.ok()) {
    return Fail(status, kExitUsage);
  }
  spdlog::set_default_logger(spdlog::stderr_color_mt("coordinator"));
  const sigset_t signals = BlockStopSignals();
  if (flags.exit_with_parent != 0) {
    if (const absl::Status status = EndWithParent(flags.exit_with_parent);
        !status.ok()) {
      return Fail(status, kExitFailed);
    }
  }
  const absl::Status status = Serve(flags, signals, supervisor);
  return status.ok() ? 0 : Fail(status, ExitCodeOf(status));
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) { return penstock::Main(argc, argv); }
