#include "client/render/top_view.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/render/job_view.h"
#include "client/render/progress_line.h"

namespace penstock {
namespace {

bool Trains(const JobInfo& job) {
  return job.has_latest() && (job.state() == JOB_STATE_RUNNING ||
                              job.state() == JOB_STATE_COMPLETING ||
                              job.state() == JOB_STATE_SUSPENDING);
}

// "2 RUNNING, 1 QUEUED", or "none".
template <typename Infos>
std::string CountsOf(const Infos& infos) {
  std::map<std::string, int> counts;
  for (const auto& info : infos) ++counts[StateName(info.state())];
  std::vector<std::string> parts;
  for (const auto& [state, count] : counts) {
    parts.push_back(absl::StrCat(count, " ", state));
  }
  return parts.empty() ? "none" : absl::StrJoin(parts, ", ");
}

std::string LiveLineOf(const JobInfo& job, int columns) {
  ProgressSnapshot progress;
  progress.name = job.job().name();
  progress.steps = job.job().steps();
  progress.record = job.latest();
  const int64_t left = progress.steps - progress.record.step();
  if (left > 0 && progress.record.step_seconds() > 0) {
    progress.eta_seconds = left * progress.record.step_seconds();
  }
  return LiveLine(progress, columns);
}

// Cuts lines between characters, not within one.
std::string Cut(const std::string& text, int columns) {
  std::string cut;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    int width = 0;
    for (const char byte : line) {
      if ((byte & 0xC0) != 0x80 && ++width > columns) break;
      cut.push_back(byte);
    }
    cut.push_back('\n');
  }
  cut.pop_back();
  return cut;
}

}  // namespace

std::string TopScreen(const ListJobsResponse& jobs,
                      const ListServersResponse& servers,
                      const std::string& address, absl::Time now,
                      absl::TimeZone zone, int columns) {
  std::string text = absl::StrCat(
      absl::FormatTime("%H:%M:%S", now, zone), "  coordinator ", address,
      ", build ", servers.coordinator_build_version(), ", term ",
      servers.coordinator_term(), "\njobs: ", CountsOf(jobs.jobs()),
      "; stage servers: ", CountsOf(servers.servers()), "\n");
  std::string lines;
  std::vector<JobInfo> others;
  for (const JobInfo& job : jobs.jobs()) {
    if (Trains(job)) {
      absl::StrAppend(&lines, LiveLineOf(job, columns), "\n");
    } else {
      others.push_back(job);
    }
  }
  if (!lines.empty()) absl::StrAppend(&text, "\n", lines);
  if (!others.empty()) {
    absl::StrAppend(&text, "\n", JobTable(others, now, /*wide=*/false));
  }
  if (!servers.servers().empty()) {
    absl::StrAppend(
        &text, "\n",
        ServerTable({servers.servers().begin(), servers.servers().end()}, now,
                    /*wide=*/false));
  }
  return Cut(text, columns);
}

}  // namespace penstock
