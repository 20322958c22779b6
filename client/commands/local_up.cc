#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/commands/command.h"
#include "client/local/background.h"
#include "client/local/binaries.h"
#include "client/local/local_cluster.h"
#include "client/settings.h"

namespace penstock {
namespace {

struct UpFlags {
  int stages = 2;
  std::string listen = kDefaultCoordinator;
  std::string state_dir;
  std::string bin_dir;
  OutputFormat format = OutputFormat::kText;
};

struct DownFlags {
  std::string state_dir;
};

absl::StatusOr<std::string> StateFolder(const std::string& flag,
                                        const Environment& environment) {
  if (!flag.empty()) {
    return (std::filesystem::path(environment.working_folder) / flag)
        .lexically_normal()
        .string();
  }
  const std::string state = environment.Variable("XDG_STATE_HOME");
  if (!state.empty()) return absl::StrCat(state, "/penstock/local");
  const std::string home = environment.Variable("HOME");
  if (home.empty()) {
    return absl::InvalidArgumentError(
        "no folder for the local cluster's state: neither HOME nor "
        "XDG_STATE_HOME is set; give --state-dir FOLDER");
  }
  return absl::StrCat(home, "/.local/state/penstock/local");
}

// Held while one command changes what runs in `folder`; freed with it.
absl::StatusOr<OwnedFd> LockFolder(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/lock");
  OwnedFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (fd.get() < 0) return ErrnoStatus(errno, "open", path);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("another `penstock local` command is at work in ", folder,
                     "; wait for it"));
  }
  return fd;
}

// FAILED_PRECONDITION when something of an earlier `up` still runs.
absl::Status CheckNothingRuns(const std::string& folder) {
  const absl::StatusOr<BackgroundRecord> record = ReadBackgroundRecord(folder);
  if (absl::IsNotFound(record.status())) return absl::OkStatus();
  PENSTOCK_RETURN_IF_ERROR(record.status());
  if (std::none_of(record->processes.begin(), record->processes.end(),
                   IsRunning)) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "a local cluster is up already, its coordinator at ", record->address,
      "; use it, or end it with `penstock local "
      "down`"));
}

// Waits until the stage servers have registered, so that a job that is
// submitted next does not queue and one that cannot start is noticed here.
absl::Status WaitForServers(CommandContext& context, LocalCluster& cluster,
                            int count) {
  constexpr absl::Duration kLook = absl::Milliseconds(50);
  constexpr absl::Duration kPatience = absl::Seconds(30);
  CoordinatorClient coordinator(
      {cluster.address(), "penstock local up"},
      {absl::Seconds(context.timeout_seconds), absl::Seconds(5)},
      &context.interrupt());
  const absl::Time deadline = context.environment().clock->Now() + kPatience;
  while (true) {
    PENSTOCK_RETURN_IF_ERROR(cluster.CheckChildren());
    PENSTOCK_ASSIGN_OR_RETURN(const ListServersResponse answer,
                              coordinator.ListServers());
    const auto ready =
        std::count_if(answer.servers().begin(), answer.servers().end(),
                      [](const ServerInfo& server) {
                        return server.state() != SERVER_STATE_SUSPECT &&
                               server.state() != SERVER_STATE_LOST;
                      });
    if (ready >= count) return absl::OkStatus();
    if (context.environment().clock->Now() > deadline) {
      return absl::DeadlineExceededError(absl::StrCat(
          ready, " of ", count, " stage servers have registered within ",
          absl::FormatDuration(kPatience), "; see the logs beside ",
          cluster.processes().front().log_path()));
    }
    if (context.interrupt().WaitFor(kLook)) {
      return absl::CancelledError("interrupted");
    }
  }
}

absl::StatusOr<BackgroundRecord> StartInBackground(CommandContext& context,
                                                   const UpFlags& flags,
                                                   const std::string& folder) {
  LocalClusterOptions options;
  PENSTOCK_ASSIGN_OR_RETURN(
      options.binaries,
      FindBinaries(flags.bin_dir, context.environment().executable));
  options.folder = folder;
  options.servers = flags.stages;
  options.listen = flags.listen;
  options.detached = true;
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<LocalCluster> cluster,
                            LocalCluster::Start(options, context.interrupt()));
  BackgroundRecord record;
  record.address = cluster->address();
  for (const ChildProcess& child : cluster->processes()) {
    record.processes.push_back(
        {child.name(), child.pid(), StartTicks(child.pid())});
  }
  // The record first: with it `local down` ends them whatever happens here.
  absl::Status status = WriteBackgroundRecord(folder, record);
  if (status.ok()) status = WaitForServers(context, *cluster, flags.stages);
  if (!status.ok()) {
    cluster->Stop(absl::Seconds(5), context.interrupt());
    RemoveBackgroundRecord(folder);
    return status;
  }
  return record;
}

ExitCode Up(CommandContext& context, const UpFlags& flags) {
  const absl::StatusOr<std::string> folder =
      StateFolder(flags.state_dir, context.environment());
  if (!folder.ok()) return context.Fail(folder.status());
  const absl::Status made = MakeFolder(*folder);
  if (!made.ok()) return context.Fail(made);
  const absl::StatusOr<OwnedFd> lock = LockFolder(*folder);
  if (!lock.ok()) return context.Fail(lock.status());
  const absl::Status idle = CheckNothingRuns(*folder);
  if (!idle.ok()) return context.Fail(idle);
  const absl::StatusOr<BackgroundRecord> record =
      StartInBackground(context, flags, *folder);
  if (!record.ok()) return context.Fail(record.status());
  nlohmann::ordered_json json = {{"coordinator", record->address},
                                 {"state_dir", *folder},
                                 {"stage_servers", flags.stages}};
  std::string text =
      absl::StrCat("up: coordinator at ", record->address, ", ", flags.stages,
                   " stage servers; logs and store in ", *folder, "\n");
  if (record->address != kDefaultCoordinator) {
    absl::StrAppend(&text, "export PENSTOCK_COORDINATOR=", record->address,
                    "\n");
  }
  context.Print(flags.format, json, text);
  return ExitCode::kOk;
}

ExitCode Down(CommandContext& context, const DownFlags& flags) {
  const absl::StatusOr<std::string> folder =
      StateFolder(flags.state_dir, context.environment());
  if (!folder.ok()) return context.Fail(folder.status());
  const absl::StatusOr<BackgroundRecord> record = ReadBackgroundRecord(*folder);
  if (absl::IsNotFound(record.status())) {
    *context.environment().out << "nothing is up in " << *folder << "\n";
    return ExitCode::kOk;
  }
  if (!record.ok()) return context.Fail(record.status());
  const absl::StatusOr<OwnedFd> lock = LockFolder(*folder);
  if (!lock.ok()) return context.Fail(lock.status());
  const auto running = std::count_if(record->processes.begin(),
                                     record->processes.end(), IsRunning);
  absl::Status status;
  // The coordinator is the first; servers go before it.
  for (auto process = record->processes.rbegin();
       process != record->processes.rend(); ++process) {
    status.Update(EndProcess(*process, absl::Seconds(5)));
  }
  if (!status.ok()) return context.Fail(status);
  std::error_code ignored;
  std::filesystem::remove(AddressFilePath(*folder), ignored);
  RemoveBackgroundRecord(*folder);
  *context.environment().out << "down: ended " << running
                             << (running == 1 ? " process" : " processes")
                             << "; the store stays in " << *folder << "\n";
  return ExitCode::kOk;
}

void AddStateDirFlag(Command command, std::string& state_dir) {
  command
      .AddOption("--state-dir", state_dir,
                 "Holds store, logs and what is running; "
                 "~/.local/state/penstock/local by default")
      .TypeName("FOLDER");
}

}  // namespace

void AddLocalUp(Command local, CommandContext& context) {
  const auto flags = std::make_shared<UpFlags>();
  Command command = AddCommand(
      local, context, "up",
      "Leave a coordinator and stage servers running in the background",
      {"penstock local up --stages 4",
       "penstock local up --listen 127.0.0.1:0"},
      [&context, flags] { return Up(context, *flags); });
  command.AddOption("--stages", flags->stages, "Stage servers to start (2)")
      .Within(1, 256)
      .TypeName("N");
  command
      .AddOption("--listen", flags->listen,
                 "Of the coordinator; port 0 takes a free one")
      .TypeName("HOST:PORT");
  command
      .AddOption("--bin-dir", flags->bin_dir,
                 "Where the other two binaries are; beside this one by "
                 "default")
      .TypeName("FOLDER");
  AddStateDirFlag(command, flags->state_dir);
  AddOutputFlag(command, flags->format);
}

void AddLocalDown(Command local, CommandContext& context) {
  const auto flags = std::make_shared<DownFlags>();
  Command command =
      AddCommand(local, context, "down", "End what `penstock local up` started",
                 {"penstock local down"},
                 [&context, flags] { return Down(context, *flags); });
  AddStateDirFlag(command, flags->state_dir);
}

}  // namespace penstock
