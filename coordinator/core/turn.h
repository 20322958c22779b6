#ifndef PENSTOCK_COORDINATOR_CORE_TURN_H_
#define PENSTOCK_COORDINATOR_CORE_TURN_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/core/effects.h"
#include "coordinator/core/job_machine.h"
#include "coordinator/core/state.h"

namespace penstock {

// What the handlers of all events share: moving jobs and servers along their
// tables, with everything that follows from it. Part of `Step`; lives for one
// event.
class Turn {
 public:
  // The references must outlive it.
  Turn(ClusterState& state, absl::Time now, Effects& effects)
      : state_(state), now_(now), effects_(effects) {}

  ClusterState& state() { return state_; }
  Effects& effects() { return effects_; }
  absl::Time now() const { return now_; }

  // Moves along the table and does what the row says. False, and no change,
  // where the table has no row. `reason` is shown with the new state.
  bool Fire(JobRecord& job, JobTrigger trigger, const std::string& reason);
  bool Fire(ServerRecord& server, ServerTrigger trigger,
            const std::string& reason);
  bool Fire(ServerRecord& server, DutyTrigger trigger,
            const std::string& reason);

  // Marks rows as changed.
  void Touch(const JobRecord& job);
  void Touch(const ServerRecord& server);

  // Shows why the job is in its state, if that changed.
  void Explain(JobRecord& job, const std::string& reason);

  // Shows which of its servers a running job has to wait for, if any.
  void ExplainRunning(const ServerRecord& server);

  // Appends to the event log. Any of `job`, `server` may be null.
  void Note(const std::string& kind, const std::string& message,
            const JobRecord* job, const ServerRecord* server);

  // OK, or ABORTED for another term; one larger than ours also steps down.
  absl::Status CheckTerm(const Fence& fence);

  // The job that the server has a rank of, also while it is leaving; or null.
  JobRecord* JobOf(const ServerRecord& server);
  // The server's rank if it works for the job in this epoch and is not
  // leaving; or null.
  RankRun* RankOf(const ServerRecord& server, const std::string& job_id,
                  int64_t epoch);

  // The server does nothing for its job any more: one that was DRAINING is
  // CORDONED. Ends a cancelled job whose last one it was.
  void LeaveJob(ServerRecord& server);
  // Ends the server's session with `status` and makes it SUSPECT.
  void CloseSession(ServerRecord& server, const absl::Status& status);
  // The server will not be heard again, or has lost its memory: its job fails.
  void GiveUp(ServerRecord& server, const std::string& reason);

  // Gives free servers to queued jobs and says why the others wait. Does
  // nothing unless this turn changed a job or a server.
  void PlaceQueued();

  // Something that `PlaceQueued` looks at has changed.
  void NeedPlacement() { placement_needed_ = true; }

 private:
  void Do(JobEffect effect, JobRecord& job, const std::string& reason);
  void ReserveServers(JobRecord& job);
  void ReleaseServers(JobRecord& job, const std::string& reason);

  ClusterState& state_;
  const absl::Time now_;
  Effects& effects_;
  bool placement_needed_ = false;
};

// The digest of a job whose ranks have all finished.
absl::StatusOr<std::string> DigestOf(const JobRecord& job);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_TURN_H_
