// penstock-store: keeps checkpoints for a coordinator on another machine.

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/file_lock.h"
#include "base/parent_process.h"
#include "base/stop_signals.h"
#include "base/supervisor.h"
#include "base/tls/tls_files.h"
#include "base/tls/tls_flags.h"
#include "base/version.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/store/root_lock.h"
#include "checkpoint/transfer/grpc_log.h"
#include "checkpoint/transfer/key_file.h"
#include "checkpoint/transfer/tls_credentials.h"
#include "checkpoint/transfer/transfer_server.h"
#include "spdlog/sinks/stdout_color_sinks.h"
#include "spdlog/spdlog.h"

namespace penstock {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitUnavailable = 69;

constexpr char kExamples[] = R"(
Examples:
  penstock-store --root /data/checkpoints --key-file store.key
      serves this machine on 127.0.0.1:7071
  penstock-store --root /data/checkpoints --key-file store.key \
      --listen 0.0.0.0:7071 --tls-dir /etc/penstock/tls
      serves other machines
  penstock-store --root /data/checkpoints --key-file store.key \
      --listen 0.0.0.0:7071 --insecure
      serves a trusted network, without TLS

The key file holds a secret of at least 16 characters, which the coordinator has
too: openssl rand -hex 32 > store.key

Exit status: 0 stopped by SIGTERM or SIGINT, 2 wrong usage, 69 the port or the
folder is in use, 1 anything else.)";

struct Flags {
  std::string root;
  std::string key_file;
  std::string listen = "127.0.0.1:7071";
  std::string address_file;
  bool insecure = false;
  TlsSetting tls_setting;
  // Of `tls_setting`; unset: in the clear.
  std::optional<TlsFiles> tls;
  // Not watched when 0.
  int exit_with_parent = 0;
};

void AddFlags(CLI::App& app, Flags& flags) {
  app.set_version_flag("--version",
                       std::string("penstock-store ") + kBuildVersion);
  app.add_option("--root", flags.root,
                 "folder of the checkpoints; made if need be")
      ->type_name("FOLDER")
      ->required();
  app.add_option("--key-file", flags.key_file,
                 "file with the secret that the coordinator has too")
      ->type_name("FILE")
      ->required();
  app.add_option("--listen", flags.listen,
                 "host:port to serve on; port 0 takes a free one "
                 "[127.0.0.1:7071]")
      ->type_name("ADDRESS");
  app.add_option("--address-file", flags.address_file,
                 "write the bound address here once serving; removed at exit")
      ->type_name("FILE");
  app.add_flag("--insecure", flags.insecure,
               "serve on an address that other machines can reach, without "
               "TLS");
  AddTlsFlags(app, flags.tls_setting);
  app.add_option("--exit-with-parent", flags.exit_with_parent,
                 "stop when the process that started this one, PID, ends")
      ->type_name("PID")
      ->check(CLI::PositiveNumber);
  app.footer(kExamples);
}

bool IsLoopback(absl::string_view address) {
  return absl::StartsWith(address, "127.") ||
         absl::StartsWith(address, "localhost:") ||
         absl::StartsWith(address, "[::1]:");
}

absl::Status CheckFlags(Flags& flags) {
  absl::StatusOr<std::optional<TlsFiles>> tls = FindTlsFiles(flags.tls_setting);
  if (!tls.ok()) return tls.status();
  flags.tls = *std::move(tls);
  if (flags.tls.has_value() && flags.insecure) {
    return absl::InvalidArgumentError(
        "--insecure is for a network without TLS, and certificates are given; "
        "leave one of them out");
  }
  if (IsLoopback(flags.listen) || flags.insecure || flags.tls.has_value()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--listen ", flags.listen,
      " can be reached by other machines, and there is no TLS; give --tls-dir ",
      "with certificates of `penstock certs`, or --insecure if everyone there ",
      "may read what passes"));
}

// Null where it speaks in the clear.
absl::StatusOr<std::shared_ptr<const TlsCredentials>> LoadTls(
    const Flags& flags) {
  if (!flags.tls.has_value()) return nullptr;
  TlsCredentials::Options tls;
  tls.files = *flags.tls;
  tls.on_refusal = [](const std::string& line) {
    spdlog::warn("refused: {}", line);
  };
  return TlsCredentials::Load(tls, Role::kStore, SystemClock());
}

// Until a signal. Meanwhile says that it lives as often as the folder answers:
// a store whose disk hangs is not kept alive.
void WaitForSignal(const sigset_t& signals, const std::string& status,
                   const FileSystem& files, const std::string& root,
                   Supervisor& supervisor) {
  constexpr timespec kBeat = {/*tv_sec=*/1, /*tv_nsec=*/0};
  while (sigtimedwait(&signals, nullptr, &kBeat) < 0) {
    const absl::Status found = files.KindOf(root).status();
    supervisor.Turned(found.ok() ? status : std::string(found.message()));
  }
}

// Until a signal.
absl::Status Serve(const Flags& flags, const sigset_t& signals) {
  const absl::StatusOr<std::string> key = ReadTransferKey(flags.key_file);
  if (!key.ok()) return key.status();
  absl::StatusOr<std::shared_ptr<const TlsCredentials>> tls = LoadTls(flags);
  if (!tls.ok()) return tls.status();
  const std::unique_ptr<FileSystem> files = MakePosixFileSystem();
  absl::StatusOr<CheckpointStore> store =
      CheckpointStore::Open(*files, flags.root);
  if (!store.ok()) return store.status();
  const absl::StatusOr<FileLock> lock = LockRoot(flags.root);
  if (!lock.ok()) return lock.status();
  TakeGrpcLog([](const std::string& line) { spdlog::warn("{}", line); },
              [](const std::string& line) { spdlog::debug("gRPC: {}", line); });
  TransferServer::Options options;
  options.address = flags.listen;
  options.key = *key;
  options.owned_store = &*store;
  options.tls = *std::move(tls);
  const absl::StatusOr<std::unique_ptr<TransferServer>> server =
      TransferServer::Start(*files, flags.root, options);
  if (!server.ok()) return server.status();
  if (!flags.address_file.empty()) {
    const absl::Status written =
        WriteFileAtomically(flags.address_file, (*server)->address() + "\n");
    if (!written.ok()) return written;
  }
  spdlog::info("serving {} on {}, build {}", flags.root, (*server)->address(),
               kBuildVersion);
  const std::string status =
      absl::StrCat("serving ", flags.root, " on ", (*server)->address());
  Supervisor supervisor;
  supervisor.Ready(status);
  WaitForSignal(signals, status, *files, flags.root, supervisor);
  supervisor.Stopping("stopping; uploads go on when it serves again");
  (*server)->Stop();
  if (!flags.address_file.empty()) unlink(flags.address_file.c_str());
  spdlog::info("stopped; uploads go on when it serves again");
  return absl::OkStatus();
}

int Fail(const absl::Status& status) {
  std::cerr << "penstock-store: " << status.message() << "\n";
  if (absl::IsInvalidArgument(status)) return kExitUsage;
  return absl::IsUnavailable(status) ? kExitUnavailable : kExitFailed;
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Keeps the checkpoints of a Penstock cluster.",
               "penstock-store");
  AddFlags(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (const absl::Status status = CheckFlags(flags); !status.ok()) {
    return Fail(status);
  }
  spdlog::set_default_logger(spdlog::stderr_color_mt("store"));
  const sigset_t signals = BlockStopSignals();
  if (flags.exit_with_parent != 0) {
    if (const absl::Status status = EndWithParent(flags.exit_with_parent);
        !status.ok()) {
      return Fail(status);
    }
  }
  const absl::Status status = Serve(flags, signals);
  return status.ok() ? 0 : Fail(status);
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) { return penstock::Main(argc, argv); }
