#include "client/local/local_cluster.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/local/file_wait.h"

namespace penstock {
namespace {

constexpr char kAddressFile[] = "coordinator.address";

// Waits for `child` until `deadline` or a trip of `hurry` beyond `seen`.
void WaitForEnd(ChildProcess& child, absl::Time deadline, Interrupt& hurry,
                int seen) {
  const absl::Duration kLook = absl::Milliseconds(50);
  while (hurry.count() <= seen && SystemClock().Now() < deadline) {
    if (child.WaitFor(kLook)) return;
  }
}

}  // namespace

std::string AddressFilePath(const std::string& folder) {
  return absl::StrCat(folder, "/", kAddressFile);
}

LocalCluster::LocalCluster(LocalClusterOptions options)
    : options_(std::move(options)), stop_watching_(eventfd(0, EFD_CLOEXEC)) {}

absl::StatusOr<std::unique_ptr<LocalCluster>> LocalCluster::Start(
    const LocalClusterOptions& options, Interrupt& interrupt) {
  std::unique_ptr<LocalCluster> cluster(new LocalCluster(options));
  absl::Status status = cluster->StartCoordinator(interrupt);
  for (int i = 0; status.ok() && i < options.servers; ++i) {
    status = cluster->StartServer(i);
  }
  if (!status.ok()) {
    cluster->Stop(absl::Seconds(2), interrupt);
    return status;
  }
  return cluster;
}

absl::Status LocalCluster::StartCoordinator(Interrupt& interrupt) {
  // An address left by a killed run would be taken for the new one's.
  unlink(AddressFilePath(options_.folder).c_str());
  ChildOptions child{
      .name = "coordinator",
      .binary = options_.binaries.coordinator,
      .arguments = {"--listen", options_.listen, "--store",
                    absl::StrCat(options_.folder, "/store.db"),
                    "--address-file", AddressFilePath(options_.folder)},
      .log_path = absl::StrCat(options_.folder, "/coordinator.log"),
      .detached = options_.detached};
  if (!options_.detached) {
    child.arguments.push_back(absl::StrCat("--exit-with-parent=", getpid()));
  }
  PENSTOCK_ASSIGN_OR_RETURN(ChildProcess coordinator,
                            ChildProcess::Start(std::move(child)));
  processes_.push_back(std::move(coordinator));
  PENSTOCK_ASSIGN_OR_RETURN(
      address_, WaitForFile(options_.folder, kAddressFile, processes_.back(),
                            options_.start_timeout, interrupt));
  return absl::OkStatus();
}

absl::Status LocalCluster::StartServer(int index) {
  const std::string name = absl::StrCat("stage-server-", index);
  const std::string state = absl::StrCat(options_.folder, "/", name);
  PENSTOCK_RETURN_IF_ERROR(MakeFolder(state));
  ChildOptions child{
      .name = absl::StrCat("stage server ", index),
      .binary = options_.binaries.stage_server,
      // Nobody is to take over what a whole cluster that ends was at.
      .arguments = {"--coordinator", address_, "--name", name, "--state-dir",
                    state, "--leave-deadline", "0"},
      .log_path = absl::StrCat(options_.folder, "/", name, ".log"),
      .detached = options_.detached};
  if (!options_.detached) {
    child.arguments.push_back(absl::StrCat("--exit-with-parent=", getpid()));
  }
  PENSTOCK_ASSIGN_OR_RETURN(ChildProcess server,
                            ChildProcess::Start(std::move(child)));
  processes_.push_back(std::move(server));
  return absl::OkStatus();
}

LocalCluster::~LocalCluster() {
  StopWatching();
  if (options_.detached) return;
  Interrupt never;
  Stop(absl::Seconds(5), never);
}

void LocalCluster::WatchChildren(
    std::function<void(bool is_coordinator)> callback) {
  std::vector<pollfd> events = {{stop_watching_.get(), POLLIN, 0}};
  for (const ChildProcess& child : processes_) {
    events.push_back({child.exit_fd(), POLLIN, 0});
  }
  watcher_ = std::thread([events, callback = std::move(callback)]() mutable {
    while (poll(events.data(), events.size(), -1) < 0 && errno == EINTR) {
    }
    if (events[0].revents == 0) callback(events[1].revents != 0);
  });
}

void LocalCluster::StopWatching() {
  eventfd_write(stop_watching_.get(), 1);
  if (watcher_.joinable()) watcher_.join();
}

absl::Status LocalCluster::CheckChildren() {
  for (ChildProcess& child : processes_) {
    if (!child.WaitFor(absl::ZeroDuration())) continue;
    return absl::AbortedError(absl::StrCat(
        "the ", child.name(), " ", child.ending(), " by itself; its log ",
        child.log_path(), " ends with:\n", LastLines(child.log_path(), 5)));
  }
  return absl::OkStatus();
}

void LocalCluster::Stop(absl::Duration grace, Interrupt& hurry) {
  StopWatching();
  const int seen = hurry.count();
  // Servers first: a server that sees its coordinator go waits for it.
  for (size_t i = 1; i < processes_.size(); ++i) processes_[i].Signal(SIGTERM);
  const absl::Time deadline = SystemClock().Now() + grace;
  for (size_t i = 1; i < processes_.size(); ++i) {
    WaitForEnd(processes_[i], deadline, hurry, seen);
  }
  if (!processes_.empty()) {
    processes_[0].Signal(SIGTERM);
    WaitForEnd(processes_[0], SystemClock().Now() + grace, hurry, seen);
  }
  for (ChildProcess& child : processes_) {
    child.Signal(SIGKILL);
    child.WaitFor(absl::InfiniteDuration());
  }
  unlink(AddressFilePath(options_.folder).c_str());
}

}  // namespace penstock
