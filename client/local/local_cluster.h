#ifndef PENSTOCK_CLIENT_LOCAL_LOCAL_CLUSTER_H_
#define PENSTOCK_CLIENT_LOCAL_LOCAL_CLUSTER_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/interrupt.h"
#include "client/local/binaries.h"
#include "client/local/child_process.h"

namespace penstock {

struct LocalClusterOptions {
  Binaries binaries;
  // Holds the store, the address file, the logs and the servers' state. Must
  // exist; absolute.
  std::string folder;
  int servers = 1;
  std::string listen = "127.0.0.1:0";
  // The processes outlive this one: `penstock local up`.
  bool detached = false;
  // For the coordinator to listen.
  absl::Duration start_timeout = absl::Seconds(20);
};

// A coordinator and stage servers on this machine.
//
// Destroying a cluster that is not detached ends every process, at the latest
// after the grace of Stop. If this process is killed the kernel ends them.
class LocalCluster {
 public:
  // Starts the coordinator, waits until it listens, and starts the servers,
  // which then register by themselves. CANCELLED when `interrupt` is tripped
  // meanwhile, UNAVAILABLE with the log's last lines when the coordinator ends
  // or does not listen in time. On an error nothing is left running.
  static absl::StatusOr<std::unique_ptr<LocalCluster>> Start(
      const LocalClusterOptions& options, Interrupt& interrupt);

  ~LocalCluster();
  LocalCluster(const LocalCluster&) = delete;
  LocalCluster& operator=(const LocalCluster&) = delete;

  // The coordinator's host:port.
  const std::string& address() const { return address_; }

  // Runs `callback` once, in a thread of this cluster, when a process ends
  // before StopWatching. Call at most once.
  void WatchChildren(std::function<void(bool is_coordinator)> callback);
  // After this the callback does not run and will not. Idempotent.
  void StopWatching();

  // The process that ended by itself, how, and its log's last lines; OK when
  // all run.
  absl::Status CheckChildren();

  // SIGTERM to the servers, then to the coordinator, each with `grace` to end;
  // then SIGKILL. A trip of `hurry` beyond its count now skips the waiting.
  // Removes the address file. Idempotent.
  void Stop(absl::Duration grace, Interrupt& hurry);

  // The coordinator first.
  const std::vector<ChildProcess>& processes() const { return processes_; }

 private:
  explicit LocalCluster(LocalClusterOptions options);
  absl::Status StartCoordinator(Interrupt& interrupt);
  absl::Status StartServer(int index);

  const LocalClusterOptions options_;
  std::string address_;
  std::vector<ChildProcess> processes_;
  // An eventfd that ends the watching thread.
  OwnedFd stop_watching_;
  std::thread watcher_;
};

// The file in a cluster's folder that holds the coordinator's address.
std::string AddressFilePath(const std::string& folder);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_LOCAL_LOCAL_CLUSTER_H_
