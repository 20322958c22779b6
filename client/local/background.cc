#include "client/local/background.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/local/child_process.h"
#include "nlohmann/json.hpp"

namespace penstock {
namespace {

std::string RecordPath(const std::string& folder) {
  return absl::StrCat(folder, "/processes.json");
}

}  // namespace

absl::StatusOr<BackgroundRecord> ReadBackgroundRecord(
    const std::string& folder) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string text,
                            ReadFile(RecordPath(folder)));
  BackgroundRecord record;
  try {
    const auto json = nlohmann::json::parse(text);
    record.address = json.at("address");
    for (const auto& process : json.at("processes")) {
      record.processes.push_back(
          {process.at("name"), process.at("pid"), process.at("start_ticks")});
    }
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(RecordPath(folder), " is damaged: ", error.what(),
                     "; end the processes by hand and remove it"));
  }
  return record;
}

absl::Status WriteBackgroundRecord(const std::string& folder,
                                   const BackgroundRecord& record) {
  nlohmann::ordered_json json = {
      {"address", record.address},
      {"processes", nlohmann::ordered_json::array()}};
  for (const BackgroundProcess& process : record.processes) {
    json["processes"].push_back({{"name", process.name},
                                 {"pid", process.pid},
                                 {"start_ticks", process.start_ticks}});
  }
  return WriteFileAtomically(RecordPath(folder),
                             absl::StrCat(json.dump(2), "\n"));
}

void RemoveBackgroundRecord(const std::string& folder) {
  unlink(RecordPath(folder).c_str());
}

uint64_t StartTicks(pid_t pid) {
  const absl::StatusOr<std::string> stat =
      ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  if (!stat.ok()) return 0;
  // The name in brackets may hold blanks; field 3 follows the last bracket,
  // and the start time is field 22 (proc(5)).
  const size_t bracket = stat->rfind(')');
  if (bracket == std::string::npos) return 0;
  const std::vector<absl::string_view> fields = absl::StrSplit(
      absl::string_view(*stat).substr(bracket + 1), ' ', absl::SkipEmpty());
  uint64_t ticks = 0;
  if (fields.size() < 20 || !absl::SimpleAtoi(fields[19], &ticks)) return 0;
  // A zombie has ended; only its parent has not looked.
  return fields[0] == "Z" ? 0 : ticks;
}

bool IsRunning(const BackgroundProcess& process) {
  return process.start_ticks != 0 &&
         StartTicks(process.pid) == process.start_ticks;
}

absl::Status EndProcess(const BackgroundProcess& process,
                        absl::Duration grace) {
  // The handle first, then the check: from here on the pid cannot change hands
  // unnoticed.
  const OwnedFd handle(
      static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0)));
  if (handle.get() < 0 || !IsRunning(process)) return absl::OkStatus();
  const auto ends_after = [&](int signal, absl::Duration wait) {
    syscall(SYS_pidfd_send_signal, handle.get(), signal, nullptr, 0);
    pollfd ended{handle.get(), POLLIN, 0};
    return poll(&ended, 1, static_cast<int>(absl::ToInt64Milliseconds(wait))) ==
           1;
  };
  if (ends_after(SIGTERM, grace) || ends_after(SIGKILL, absl::Seconds(5))) {
    return absl::OkStatus();
  }
  return absl::UnknownError(absl::StrCat(process.name, " (pid ", process.pid,
                                         ") does not end, even by SIGKILL"));
}

}  // namespace penstock
