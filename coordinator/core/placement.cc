#include "coordinator/core/placement.h"

#include <algorithm>
#include <cstdint>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "coordinator/core/memory_fit.h"

namespace penstock {
namespace {

struct Census {
  // Best first.
  std::vector<const ServerRecord*> free;
  int registered = 0;
  int lost = 0;
  int suspect = 0;
  int busy = 0;
};

Census TakeCensus(const ClusterState& state) {
  Census census;
  for (const auto& [id, server] : state.servers) {
    if (server.info.state() == SERVER_STATE_LOST) {
      ++census.lost;
      continue;
    }
    ++census.registered;
    if (IsFree(server)) {
      census.free.push_back(&server);
    } else if (server.info.state() == SERVER_STATE_SUSPECT) {
      ++census.suspect;
    } else {
      ++census.busy;
    }
  }
  std::sort(census.free.begin(), census.free.end(),
            [](const ServerRecord* a, const ServerRecord* b) {
              return std::forward_as_tuple(a->host_identity, a->info.id()) <
                     std::forward_as_tuple(b->host_identity, b->info.id());
            });
  return census;
}

std::string Shortage(const Census& census, int needed) {
  std::string reason = absl::StrCat(
      "needs ", needed, needed == 1 ? " stage server, " : " stage servers, ",
      census.free.size(), " idle of ", census.registered, " registered");
  const std::string separator = "; ";
  if (census.busy > 0)
    absl::StrAppend(&reason, separator, census.busy, " busy");
  if (census.suspect > 0) {
    absl::StrAppend(&reason, separator, census.suspect, " silent");
  }
  if (census.lost > 0)
    absl::StrAppend(&reason, separator, census.lost, " lost");
  if (census.registered < needed) {
    absl::StrAppend(&reason, separator, "start ", needed - census.registered,
                    " more");
  }
  return reason;
}

std::string MemoryShortage(const Plan& plan, const Census& census) {
  int64_t most = 0;
  for (const MemoryUse& use : plan.predicted_memory()) {
    most = std::max(most, use.peak_bytes());
  }
  return absl::StrCat(
      "no ", plan.schedule().ranks_size(), " of the ", census.free.size(),
      " idle stage servers have the memory that its ranks are expected to "
      "hold, ",
      MemoryText(most), " at most; start larger ones");
}

std::string Behind(const JobRecord& job) {
  return absl::StrCat("waits behind ", job.info.job().name(), " (",
                      job.info.id(), "), which was submitted earlier");
}

}  // namespace

bool IsFree(const ServerRecord& server) {
  return server.info.state() == SERVER_STATE_IDLE && server.session != 0 &&
         !server.releasing && !server.leaving && server.info.job_id().empty();
}

std::vector<PlacementDecision> DecidePlacement(const ClusterState& state) {
  std::vector<PlacementDecision> decisions;
  Census census = TakeCensus(state);
  const JobRecord* waiting = nullptr;
  for (const JobRecord* job : JobsInOrder(state)) {
    if (job->info.state() != JOB_STATE_QUEUED) continue;
    PlacementDecision& decision = decisions.emplace_back();
    decision.job_id = job->info.id();
    const int needed = job->num_ranks();
    if (waiting != nullptr) {
      decision.reason = Behind(*waiting);
    } else if (job->info.has_started_from() &&
               !job->info.started_from().in_memory() &&
               job->restore == nullptr) {
      decision.reason = absl::StrCat(
          "reads the checkpoint of step ",
          job->info.started_from().checkpoint().step(), " that it starts from");
      waiting = job;
    } else if (static_cast<int>(census.free.size()) < needed) {
      decision.reason = Shortage(census, needed);
      waiting = job;
    } else if (const auto chosen = FitByMemory(*job->plan, census.free);
               chosen.empty()) {
      decision.reason = MemoryShortage(*job->plan, census);
      waiting = job;
    } else {
      for (const ServerRecord* server : chosen) {
        decision.server_ids.push_back(server->info.id());
        census.free.erase(
            std::find(census.free.begin(), census.free.end(), server));
      }
      census.busy += needed;
    }
  }
  return decisions;
}

std::string WouldWaitFor(const ClusterState& state, const Plan& plan) {
  for (const JobRecord* job : JobsInOrder(state)) {
    if (job->info.state() == JOB_STATE_QUEUED) return Behind(*job);
  }
  const Census census = TakeCensus(state);
  const int num_ranks = plan.schedule().ranks_size();
  if (static_cast<int>(census.free.size()) < num_ranks) {
    return Shortage(census, num_ranks);
  }
  return FitByMemory(plan, census.free).empty() ? MemoryShortage(plan, census)
                                                : "";
}

}  // namespace penstock
