#include "coordinator/core/memory_copies.h"

#include <algorithm>
#include <map>
#include <utility>

namespace penstock {
namespace {

bool CanBeRead(const ServerRecord& server) {
  return server.session != 0 && !server.memory_address.empty();
}

// Of an epoch that this job has had; nothing where that is not known any more.
std::optional<int> RanksOfEpoch(const JobRecord& job, int64_t epoch) {
  for (const RestartReport& report : job.info.restarts()) {
    if (report.epoch() == epoch) return report.ranks();
  }
  if (epoch == job.info.epoch()) return job.num_ranks();
  return std::nullopt;
}

// How many servers hold each rank's part, by step and epoch.
using Copies = std::map<std::pair<int64_t, int64_t>, std::map<int, int>>;

Copies CountCopies(const ClusterState& state, const JobRecord& job) {
  Copies copies;
  for (const auto& [id, server] : state.servers) {
    if (!CanBeRead(server)) continue;
    for (const MemoryReport::Held& held : server.held) {
      if (held.job_id() != job.info.id()) continue;
      for (const int64_t step : held.steps()) {
        ++copies[{step, held.epoch()}][held.rank()];
      }
    }
  }
  return copies;
}

}  // namespace

bool KeepsMemory(const JobRecord& job) {
  return job.info.job().checkpoint().memory_every_steps() > 0;
}

std::optional<MemorySnapshot> NewestInMemory(const ClusterState& state,
                                             const JobRecord& job) {
  if (!KeepsMemory(job)) return std::nullopt;
  const Copies copies = CountCopies(state, job);
  for (auto one = copies.rbegin(); one != copies.rend(); ++one) {
    const auto& [step, epoch] = one->first;
    const std::optional<int> ranks = RanksOfEpoch(job, epoch);
    const bool is_whole =
        ranks && static_cast<int>(one->second.size()) == *ranks;
    if (!is_whole || step >= job.info.job().steps() ||
        job.lost_memory == std::make_pair(epoch, step)) {
      continue;
    }
    int least = static_cast<int>(state.servers.size());
    for (const auto& [rank, count] : one->second) {
      least = std::min(least, count);
    }
    return MemorySnapshot{epoch, step, least};
  }
  return std::nullopt;
}

std::vector<MemoryRestore::Part> PartsInMemory(const ClusterState& state,
                                               const CheckpointId& id) {
  std::map<int, MemoryRestore::Part> parts;
  for (const auto& [server_id, server] : state.servers) {
    if (!CanBeRead(server)) continue;
    for (const MemoryReport::Held& held : server.held) {
      const bool has_it =
          held.job_id() == id.job_id() && held.epoch() == id.epoch() &&
          std::find(held.steps().begin(), held.steps().end(), id.step()) !=
              held.steps().end();
      if (!has_it) continue;
      MemoryRestore::Part& part = parts[held.rank()];
      part.set_rank(held.rank());
      part.set_address(server.memory_address);
    }
  }
  std::vector<MemoryRestore::Part> found;
  for (auto& [rank, part] : parts) found.push_back(std::move(part));
  return found;
}

std::string ShapeOf(const Plan& plan) {
  return plan.shape_hash().empty() ? plan.schedule_hash() : plan.shape_hash();
}

std::optional<MemoryProgress> DescribeMemory(const ClusterState& state,
                                             const JobRecord& job) {
  if (!KeepsMemory(job)) return std::nullopt;
  MemoryProgress progress;
  progress.set_every_steps(job.memory_every);
  if (const auto newest = NewestInMemory(state, job)) {
    progress.set_newest_step(newest->step);
    progress.set_copies(newest->copies);
  }
  for (const RankRun& rank : job.ranks) {
    const auto server = state.servers.find(rank.server_id);
    if (server == state.servers.end()) continue;
    progress.set_blocked_nanos(std::max(progress.blocked_nanos(),
                                        server->second.memory_blocked_nanos));
    progress.set_replicate_nanos(std::max(
        progress.replicate_nanos(), server->second.memory_replicate_nanos));
  }
  return progress;
}

}  // namespace penstock
