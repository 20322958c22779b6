// penstock-stage-server: holds one device for a coordinator. See --help.

#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/metrics_port.h"
#include "base/parent_process.h"
#include "base/status_macros.h"
#include "base/supervisor.h"
#include "base/version.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/shards/directory_shard_store.h"
#include "checkpoint/transfer/grpc_log.h"
#include "checkpoint/transfer/tls_credentials.h"
#include "checkpoint/transfer/transfer_server.h"
#include "checkpoint/transfer/transfer_shard_store.h"
#include "stage_server/checkpoint/state_memory.h"
#include "stage_server/engine/device.h"
#include "stage_server/engine/engine.h"
#include "stage_server/engine/peak_speed.h"
#include "stage_server/engine/run_identity.h"
#include "stage_server/service/executor.h"
#include "stage_server/service/host_facts.h"
#include "stage_server/service/host_memory.h"
#include "stage_server/service/job_log.h"
#include "stage_server/service/local_host.h"
#include "stage_server/service/options.h"
#include "stage_server/service/server_id.h"
#include "stage_server/service/server_loop.h"
#include "stage_server/service/server_metrics.h"
#include "stage_server/service/session_client.h"
#include "stage_server/service/session_core.h"
#include "stage_server/transport/ucx/host_identity.h"
#include "stage_server/transport/ucx/ucx_transport.h"
#include "stage_server/transport/ucx/ucx_version.h"

namespace penstock {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
// For a coordinator that does not end the session by itself.
constexpr absl::Duration kSessionPatience = absl::Milliseconds(300);

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string DefaultStateDir() {
  if (std::string dir = Environment("PENSTOCK_STATE_DIR"); !dir.empty()) {
    return dir;
  }
  if (std::string dir = Environment("XDG_STATE_HOME"); !dir.empty()) {
    return dir + "/penstock/stage-server";
  }
  const std::string home = Environment("HOME");
  return home.empty() ? "" : home + "/.local/state/penstock/stage-server";
}

uint64_t RandomWord() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

std::string HostName() {
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);
  return name;
}

// The signals that ask a process to stop, blocked in every thread from here on
// so that one thread can wait for them.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// Posts `StopRequested`: on the first SIGTERM, if it allows for it, with the
// time to be relieved of a rank, on the next stop signal without; the one after
// that ends the process. Its thread ends with it.
class SignalWatch {
 public:
  SignalWatch(const sigset_t& signals, const std::string& name,
              const ServerOptions& options, ServerLoop& loop,
              Supervisor& supervisor)
      : signals_(signals), thread_([this, name, &options, &loop, &supervisor] {
          int signal = Wait();
          if (!done_) supervisor.Stopping("told to stop");
          const auto stop = [&](absl::Duration leave_within) {
            loop.Post(StopRequested{
                absl::StrCat("stage server ", name, " was told to stop (",
                             strsignal(signal), ")"),
                leave_within});
          };
          if (signal == SIGTERM && options.leave_deadline_seconds > 0 &&
              !IsOrphan(options)) {
            stop(absl::Seconds(options.leave_deadline_seconds));
            signal = Wait();
          }
          if (done_) return;
          stop(absl::ZeroDuration());
          signal = Wait();
          if (!done_) std::_Exit(128 + signal);
        }) {}
  ~SignalWatch() {
    done_ = true;
    // One for each wait; what is not waited for stays pending and dies with the
    // thread.
    for (const int signal : {SIGHUP, SIGINT, SIGTERM}) {
      pthread_kill(thread_.native_handle(), signal);
    }
    thread_.join();
  }

 private:
  // Whom it was to end with has ended: nobody is left to wait for.
  static bool IsOrphan(const ServerOptions& options) {
    return options.exit_with_parent != 0 &&
           getppid() != options.exit_with_parent;
  }
  int Wait() const {
    int signal = 0;
    sigwait(&signals_, &signal);
    return signal;
  }

  const sigset_t signals_;
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

absl::StatusOr<ServerIdentity> IdentityOf(const ServerOptions& options) {
  ServerIdentity identity;
  identity.server_id = options.server_id;
  if (identity.server_id.empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(
        identity.server_id,
        KeptServerId(options.state_dir,
                     absl::StrFormat("%016x", RandomWord())));
  }
  identity.name = options.name.empty() ? HostName() : options.name;
  do {
    identity.incarnation = RandomWord();
  } while (identity.incarnation == 0);
  identity.build_version = kBuildVersion;
  identity.device = options.device;
  PENSTOCK_ASSIGN_OR_RETURN(identity.host_identity,
                            HostIdentity(options.host_id));
  identity.cores = static_cast<int>(std::thread::hardware_concurrency());
  identity.memory_bytes = options.memory_bytes;
  if (identity.memory_bytes == 0) {
    const absl::StatusOr<std::string> meminfo = ReadFile("/proc/meminfo");
    if (meminfo.ok()) identity.memory_bytes = TotalMemoryBytes(*meminfo);
  }
  identity.host = FactsOfHost(options.state_dir);
  identity.host.set_transport_version(UcxVersion());
  identity.host.set_torch_version(TorchVersion());
  return identity;
}

// From gRPC's threads, some of which outlive the log.
void Warn(const std::string& line) {
  const std::shared_ptr<spdlog::logger> log = spdlog::default_logger();
  if (log != nullptr) log->warn("{}", line);
}

// Null where it speaks in the clear.
using Tls = std::shared_ptr<const TlsCredentials>;

absl::StatusOr<Tls> LoadTls(const ServerOptions& options) {
  if (!options.tls.has_value()) return nullptr;
  TlsCredentials::Options tls;
  tls.files = *options.tls;
  tls.on_refusal = [](const std::string& line) {
    Warn(absl::StrCat("refused: ", line));
  };
  return TlsCredentials::Load(tls, Role::kStageServer, SystemClock());
}

absl::StatusOr<std::unique_ptr<ShardStore>> OpenStore(
    const Tls& tls, const CheckpointStoreAddress& address,
    int64_t coordinator_term) {
  static FileSystem* const files = MakePosixFileSystem().release();
  if (address.address().empty()) {
    return MakeDirectoryShardStore(*files, address.root());
  }
  TransferClientOptions options;
  options.address = address.address();
  options.token = address.token();
  options.coordinator_term = coordinator_term;
  options.tls = tls;
  return MakeTransferShardStore(std::move(options), SystemClock());
}

// Of a rank, in the memory of another stage server. Not as patient as with a
// store: training waits for it.
std::unique_ptr<ShardStore> OpenParts(const Tls& tls,
                                      const std::string& address,
                                      const std::string& token, int rank) {
  constexpr absl::Duration kPatience = absl::Seconds(10);
  TransferClientOptions options;
  options.address = address;
  options.token = token;
  options.rank = rank;
  options.patience = kPatience;
  options.tls = tls;
  return MakeTransferShardStore(std::move(options), SystemClock());
}

// Serves `memory` to other stage servers, and tells it where. Null where there
// is no address for it: then it keeps only its own.
absl::StatusOr<std::unique_ptr<TransferServer>> ServeMemory(
    const ServerOptions& options, const Tls& tls, StateMemory& memory) {
  std::string address = options.memory_listen;
  if (address.empty()) {
    const absl::StatusOr<std::string> host =
        LocalHostTowards(options.coordinator);
    if (!host.ok()) {
      spdlog::warn(
          "other servers will keep no copies here ({}); give --memory-listen",
          std::string(host.status().message()));
      return nullptr;
    }
    address = absl::StrCat(*host, ":0");
  }
  TransferServer::Options server;
  server.address = address;
  server.parts = &memory;
  server.tls = tls;
  PENSTOCK_ASSIGN_OR_RETURN(
      std::unique_ptr<TransferServer> serving,
      TransferServer::Start(memory.files(), StateMemory::root(), server));
  memory.SetAddress(serving->address());
  return serving;
}

ExecutorParts PartsOf(const ServerOptions& options,
                      const ServerIdentity& identity, const Tls& tls,
                      Device& device, StateMemory& memory) {
  ExecutorParts parts;
  parts.memory = &memory;
  parts.open_parts = [tls](const std::string& address, const std::string& token,
                           int rank) {
    return OpenParts(tls, address, token, rank);
  };
  parts.load_engine = [&device](const Plan& plan, RankId rank,
                                StateSource* restore) {
    return Engine::Load(plan, rank, device, restore);
  };
  parts.open_store = [tls](const CheckpointStoreAddress& address,
                           int64_t coordinator_term) {
    return OpenStore(tls, address, coordinator_term);
  };
  UcxOptions ucx;
  ucx.host_identity = identity.host_identity;
  ucx.interface = options.data_interface;
  parts.make_endpoint = [ucx, cores = identity.cores](const Plan& plan) {
    UcxOptions of_plan = ucx;
    // All ranks may be on this host.
    of_plan.spin = SpinFor(plan.schedule().ranks_size(), cores);
    return MakeUcxEndpoint(of_plan);
  };
  parts.channels_of = ChannelsOf;
  parts.peak_speed = [speed = std::make_shared<PeakSpeed>(device)](
                         const Plan& plan) { return speed->Of(plan.job()); };
  return parts;
}

void LogTo(ServerLoop& loop) {
  auto logger = std::make_shared<spdlog::logger>(
      "stage_server",
      spdlog::sinks_init_list{std::make_shared<spdlog::sinks::stderr_sink_mt>(),
                              MakeJobLogSink([&loop](Event event) {
                                loop.Post(std::move(event));
                              })});
  logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

// Null without --metrics-listen.
absl::StatusOr<std::unique_ptr<MetricsPort>> ServeMetrics(
    const ServerOptions& options, const ServerMetrics& metrics) {
  if (options.metrics_listen.empty()) return nullptr;
  PENSTOCK_ASSIGN_OR_RETURN(
      std::unique_ptr<MetricsPort> port,
      MetricsPort::Start(options.metrics_listen,
                         [&metrics] { return metrics.Collect(); }));
  spdlog::info("metrics on http://{}/metrics", port->address());
  return port;
}

absl::Status Serve(const ServerOptions& options, const sigset_t& signals) {
  if (options.exit_with_parent != 0) {
    PENSTOCK_RETURN_IF_ERROR(EndWithParent(options.exit_with_parent));
  }
  PENSTOCK_ASSIGN_OR_RETURN(ServerIdentity identity, IdentityOf(options));
  PENSTOCK_ASSIGN_OR_RETURN(const Tls tls, LoadTls(options));
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<Device> device,
                            MakeDevice(options.device));
  Supervisor supervisor;
  ServerLoop loop(SystemClock(), [&supervisor](const SessionCore& core) {
    supervisor.Turned(core.StatusLine());
  });
  ServerMetrics metrics(identity);
  const auto post = [&loop, &metrics](Event event) {
    metrics.Observe(event);
    loop.Post(std::move(event));
  };
  LogTo(loop);
  TakeGrpcLog(Warn, nullptr);
  spdlog::info("penstock-stage-server {} {} on {}, coordinator {}",
               kBuildVersion, identity.name, identity.device,
               options.coordinator);
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<MetricsPort> metrics_port,
                            ServeMetrics(options, metrics));
  StateMemory memory(
      [&post](MemoryReport report) { post(MemoryChanged{std::move(report)}); });
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<TransferServer> memory_server,
                            ServeMemory(options, tls, memory));
  identity.memory_address = memory.address();
  const SignalWatch watch(signals, identity.name, options, loop, supervisor);
  SessionLimits limits;
  limits.memory_keep = absl::Seconds(options.memory_keep_seconds);
  SessionCore core(identity, limits);
  SessionClient client(options.coordinator, SystemClock(), post, tls);
  auto executor = std::make_unique<Executor>(
      PartsOf(options, identity, tls, *device, memory), SystemClock(), post);
  // Also without its coordinator, which may start later.
  supervisor.Ready("started");
  const Exit exit = loop.Run(core, client, *executor);
  client.Shutdown(kSessionPatience);
  if (!exit.executor_left) {
    spdlog::warn("the executor is still busy; leaving without it");
    std::_Exit(exit.status.ok() ? EXIT_SUCCESS : kExitFailed);
  }
  executor.reset();
  spdlog::info("stopped");
  spdlog::shutdown();  // its sink posts to `loop`
  return exit.status;
}

int Main(int argc, char** argv) {
  const sigset_t signals = BlockStopSignals();
  const auto parsed =
      ParseOptions(std::vector<std::string>(argv + 1, argv + argc),
                   {Environment("PENSTOCK_COORDINATOR"), DefaultStateDir()});
  if (!parsed.ok()) {
    absl::FPrintF(stderr, "penstock-stage-server: error: %s\n",
                  parsed.status().message());
    return kExitUsage;
  }
  if (const auto* print = std::get_if<PrintAndExit>(&*parsed)) {
    absl::PrintF("%s", print->text);
    return EXIT_SUCCESS;
  }
  const absl::Status status = Serve(std::get<ServerOptions>(*parsed), signals);
  if (!status.ok()) {
    absl::FPrintF(stderr, "penstock-stage-server: error: %s\n",
                  status.message());
    return kExitFailed;
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) { return penstock::Main(argc, argv); }
