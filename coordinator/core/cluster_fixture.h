#ifndef PENSTOCK_COORDINATOR_CORE_CLUSTER_FIXTURE_H_
#define PENSTOCK_COORDINATOR_CORE_CLUSTER_FIXTURE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/core/effects.h"
#include "coordinator/core/event.h"
#include "coordinator/core/state.h"

namespace penstock {

// A cluster for tests, driven by events alone: a state, a clock that stands
// still until it is moved, and short forms of what stage servers and people
// say. Each call forgets the effects of the one before.
class Cluster {
 public:
  // Started, in term 1.
  Cluster();

  absl::StatusOr<std::string> Apply(const ClusterEvent& event);
  void Advance(absl::Duration time) { now += time; }
  absl::StatusOr<std::string> Tick() { return Apply(penstock::Tick{}); }

  // Submits a job of `ranks` stages, one layer with parameters each, and two
  // steps. Its id is `name`, its idempotency key "key-<name>".
  absl::StatusOr<std::string> Submit(const std::string& name, int ranks);
  absl::StatusOr<std::string> Cancel(const std::string& job);

  // A process of server `id`; the incarnation tells restarts apart.
  absl::StatusOr<std::string> Register(const std::string& id,
                                       uint64_t incarnation = 1,
                                       const std::string& job = "",
                                       int64_t epoch = 0);
  absl::StatusOr<std::string> Open(const std::string& id,
                                   uint64_t incarnation = 1);
  // Both.
  void Join(const std::string& id, uint64_t incarnation = 1);
  void Break(const std::string& id);

  // In the server's session, about the job's present epoch.
  absl::StatusOr<std::string> Say(const std::string& id, StageMessage message);
  absl::StatusOr<std::string> Report(const std::string& id,
                                     const std::string& job,
                                     StageStatus::Phase phase,
                                     const std::string& error = "");
  absl::StatusOr<std::string> ReportStep(const std::string& id,
                                         const std::string& job, int64_t step);
  // After the steps that are not finished yet.
  absl::StatusOr<std::string> ReportFinished(const std::string& id,
                                             const std::string& job);
  absl::StatusOr<std::string> Heartbeat(const std::string& id);

  // Brings a placed job to RUNNING.
  void Run(const std::string& job);
  // Brings a running job to SUCCEEDED, its servers back to IDLE.
  void Finish(const std::string& job);

  // What a store would give a new coordinator after the present state, which
  // finds these checkpoints.
  void RestartCoordinator(
      std::optional<std::vector<FoundCheckpoint>> found = std::nullopt);

  JobInfo& job(const std::string& id) { return state.jobs.at(id).info; }
  ServerInfo& server(const std::string& id) {
    return state.servers.at(id).info;
  }
  // Ids of the job's servers, by rank.
  std::vector<std::string> ServersOf(const std::string& job) const;
  // Kinds of the entries that the last call made in the event log.
  std::vector<std::string> EventKinds() const;

  absl::StatusOr<std::string> Cordon(const std::string& server);
  absl::StatusOr<std::string> Drain(const std::string& server,
                                    double deadline_seconds = 0);
  absl::StatusOr<std::string> Uncordon(const std::string& server);

  // Of jobs that are submitted next.
  int restart_limit = 0;
  int priority = 0;
  ClusterState state;
  Effects effects;
  absl::Time now = absl::FromUnixSeconds(1'000'000);

 private:
  uint64_t last_session_ = 0;
  int64_t sequence_ = 0;
};

// A plan of so many stages, stage i on rank i, for tests that need no model.
std::shared_ptr<const Plan> PlanOfRanks(const std::string& name, int ranks);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_CLUSTER_FIXTURE_H_
