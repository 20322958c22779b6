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
  // Of those that are registered, whatever they do.
  int cordoned = 0;
};

bool IsCordoned(const ServerRecord& server) {
  return server.info.duty() != SERVER_DUTY_UNSPECIFIED;
}

bool IsAtWork(const ServerRecord& server) {
  return !server.info.job_id().empty() || server.releasing || server.leaving;
}

Census TakeCensus(const ClusterState& state) {
  Census census;
  for (const auto& [id, server] : state.servers) {
    if (server.info.state() == SERVER_STATE_LOST) {
      ++census.lost;
      continue;
    }
    ++census.registered;
    if (IsCordoned(server)) ++census.cordoned;
    if (IsFree(server)) {
      census.free.push_back(&server);
    } else if (server.info.state() == SERVER_STATE_SUSPECT) {
      ++census.suspect;
    } else if (!IsCordoned(server) || IsAtWork(server)) {
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
  if (census.cordoned > 0) {
    absl::StrAppend(&reason, separator, census.cordoned, " of ",
                    census.registered,
                    census.cordoned == 1 ? " is cordoned" : " are cordoned");
  }
  const int usable = census.registered - census.cordoned;
  if (usable < needed) {
    absl::StrAppend(&reason, separator, "start ", needed - usable, " more",
                    census.cordoned > 0 ? ", or uncordon some" : "");
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

// Why a job of that priority is not before `other`.
std::string Behind(const JobRecord& other, int priority) {
  const int higher = other.info.job().priority();
  return absl::StrCat(
      "waits behind ", other.info.job().name(), " (", other.info.id(), "), ",
      higher > priority ? absl::StrCat("whose priority is ", higher,
                                       ", this one's ", priority)
                        : "which was submitted earlier");
}

}  // namespace

bool IsFree(const ServerRecord& server) {
  return server.info.state() == SERVER_STATE_IDLE && server.session != 0 &&
         !IsAtWork(server) && !IsCordoned(server);
}

std::vector<const JobRecord*> WaitingInOrder(const ClusterState& state) {
  std::vector<const JobRecord*> waiting;
  for (const JobRecord* job : JobsInOrder(state)) {
    if (job->info.state() == JOB_STATE_QUEUED) waiting.push_back(job);
  }
  std::stable_sort(waiting.begin(), waiting.end(),
                   [](const JobRecord* a, const JobRecord* b) {
                     return a->info.job().priority() > b->info.job().priority();
                   });
  return waiting;
}

std::vector<PlacementDecision> DecidePlacement(const ClusterState& state) {
  std::vector<PlacementDecision> decisions;
  Census census = TakeCensus(state);
  const JobRecord* waiting = nullptr;
  for (const JobRecord* job : WaitingInOrder(state)) {
    PlacementDecision& decision = decisions.emplace_back();
    decision.job_id = job->info.id();
    const int needed = job->num_ranks();
    if (waiting != nullptr) {
      decision.reason = Behind(*waiting, job->info.job().priority());
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
  const int priority = plan.job().priority();
  for (const JobRecord* job : WaitingInOrder(state)) {
    if (job->info.job().priority() >= priority) return Behind(*job, priority);
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
