#include "coordinator/core/memory_turn.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "coordinator/core/checkpoint_catalog.h"
#include "coordinator/core/desired_state.h"
#include "coordinator/core/memory_copies.h"
#include "coordinator/core/recovery.h"

namespace penstock {
namespace {

constexpr double kMostCost = 0.01;
// Reports of each rank that the cost is the mean of.
constexpr size_t kReports = 4;

// The step of the server's newest own snapshot in its job's epoch; 0: none.
int64_t NewestOwn(const MemoryReport& report, const JobRecord& job, int rank) {
  int64_t newest = 0;
  for (const MemoryReport::Held& held : report.held()) {
    if (held.job_id() != job.info.id() || held.epoch() != job.info.epoch() ||
        held.rank() != rank) {
      continue;
    }
    for (const int64_t step : held.steps()) newest = std::max(newest, step);
  }
  return newest;
}

void Stretch(JobRecord& job, double cost, Turn& turn) {
  job.memory_costs.clear();
  job.memory_every *= 2;
  job.memory_from = ReachOf(job);
  turn.Note("JOB_MEMORY_STRETCHED",
            absl::StrFormat("keeping the state in memory took %.1f %% of the "
                            "time; from step %d on every %d steps",
                            100 * cost, job.memory_from, job.memory_every),
            &job, nullptr);
  for (const RankRun& rank : job.ranks) {
    turn.effects().desired.insert(rank.server_id);
  }
}

}  // namespace

void BeginMemory(JobRecord& job, Turn& turn) {
  if (!KeepsMemory(job)) return;
  if (job.memory_every == 0) {
    job.memory_every = job.info.job().checkpoint().memory_every_steps();
  }
  job.memory_from = StartStep(job);
  job.memory_costs.clear();
  for (int rank = 0; rank < static_cast<int>(job.ranks.size()); ++rank) {
    const ServerRecord& own =
        turn.state().servers.at(job.ranks[rank].server_id);
    if (!MemoryPeerOf(turn.state(), job, rank).empty() || job.told_alone) {
      continue;
    }
    job.told_alone = true;
    turn.Note(
        "JOB_MEMORY_ALONE",
        absl::StrCat(
            "no server of the job is on another host than ", own.info.name(),
            " (", own.host_identity.empty() ? "not named" : own.host_identity,
            "): its state is in its own memory only, and lost "
            "with it"),
        &job, nullptr);
  }
}

void OnMemory(const MemoryReport& report, int64_t epoch, ServerRecord& server,
              Turn& turn) {
  server.held.assign(report.held().begin(), report.held().end());
  server.memory_blocked_nanos = report.blocked_nanos();
  server.memory_replicate_nanos = report.replicate_nanos();
  JobRecord* const job = turn.JobOf(server);
  if (job == nullptr || job->info.state() != JOB_STATE_RUNNING ||
      turn.RankOf(server, job->info.id(), epoch) == nullptr ||
      job->memory_every == 0) {
    return;
  }
  const int64_t step = NewestOwn(report, *job, server.info.rank());
  RankRun& rank = job->ranks[server.info.rank()];
  const double nanos = 1e9 * job->info.latest().step_seconds();
  if (step <= rank.memory_step || nanos <= 0) return;
  // The first one of an epoch makes its buffers.
  const bool is_first = rank.memory_step == 0;
  rank.memory_step = step;
  if (is_first) return;
  job->memory_costs.push_back(static_cast<double>(report.blocked_nanos()) /
                              (nanos * static_cast<double>(job->memory_every)));
  if (job->memory_costs.size() < kReports * job->ranks.size()) return;
  const double cost =
      std::accumulate(job->memory_costs.begin(), job->memory_costs.end(), 0.0) /
      static_cast<double>(job->memory_costs.size());
  job->memory_costs.clear();
  if (cost > kMostCost && job->memory_every < job->info.job().steps()) {
    Stretch(*job, cost, turn);
  }
}

}  // namespace penstock
