#include "coordinator/core/status_line.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace penstock {
namespace {

struct JobCounts {
  int running = 0;
  int waiting = 0;
  int suspended = 0;
};

JobCounts CountJobs(const ClusterState& state) {
  JobCounts counts;
  for (const auto& [id, job] : state.jobs) {
    switch (job.info.state()) {
      case JOB_STATE_SUBMITTED:
      case JOB_STATE_QUEUED:
        ++counts.waiting;
        break;
      case JOB_STATE_SUSPENDED:
        ++counts.suspended;
        break;
      case JOB_STATE_SUCCEEDED:
      case JOB_STATE_CANCELLED:
      case JOB_STATE_FAILED:
        break;
      default:
        ++counts.running;
    }
  }
  return counts;
}

}  // namespace

std::string StatusLine(const ClusterState& state) {
  const JobCounts counts = CountJobs(state);
  std::vector<std::string> jobs;
  if (counts.running > 0) {
    jobs.push_back(absl::StrCat(counts.running, " running"));
  }
  if (counts.waiting > 0) {
    jobs.push_back(absl::StrCat(counts.waiting, " waiting"));
  }
  if (counts.suspended > 0) {
    jobs.push_back(absl::StrCat(counts.suspended, " suspended"));
  }
  int connected = 0;
  for (const auto& [id, server] : state.servers) {
    if (server.session != 0) ++connected;
  }
  return absl::StrCat(
      jobs.empty() ? "no jobs" : "jobs: " + absl::StrJoin(jobs, ", "), "; ",
      connected, " of ", state.servers.size(), " stage servers connected");
}

}  // namespace penstock
