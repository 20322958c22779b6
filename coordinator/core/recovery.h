#ifndef PENSTOCK_COORDINATOR_CORE_RECOVERY_H_
#define PENSTOCK_COORDINATOR_CORE_RECOVERY_H_

#include <cstdint>
#include <optional>
#include <string>

#include "coordinator/core/job_machine.h"
#include "coordinator/core/turn.h"

namespace penstock {

// How a job that loses a server goes on. Part of `Step`.

// Why an epoch of a job is over that could be made again.
struct Loss {
  RestartCause cause = RESTART_CAUSE_INFRA;
  // What was seen, in one line, for people.
  std::string evidence;
  // That failed or left; null where that is not known.
  const ServerRecord* server = nullptr;
  // The state in memory that the epoch was to start from is not there.
  bool is_of_memory = false;
};

// The loss that a rank's fault is about; nothing where the same would happen
// again: bad data, a loss that is no number, a schedule that hangs. `text` is
// the fault with its place.
std::optional<Loss> LossOf(const StageStatus& fault, const std::string& text,
                           const JobRecord& job, const ServerRecord& server,
                           const ClusterState& state);

// Ends the epoch: the job is RECOVERING, or, where it has used up
// restart.limit, FAILED; one that is SUSPENDING is SUSPENDED. Changes nothing
// of a job without servers. Its servers hear at once that they should be idle.
void LoseEpoch(JobRecord& job, const Loss& loss, Turn& turn);

// A server has been told to end: its job goes on without it.
void OnLeaving(const Leaving& leaving, ServerRecord& server, Turn& turn);

// Has the job leave a server that it has a rank on and that is to end or to be
// drained: it keeps a checkpoint, as one that is suspended does, and then
// starts again without it; one that loads starts again at once, and so does one
// without checkpoints, if the server is to end. Changes nothing where the job
// is in any other state. `evidence` says why.
void LeaveServer(JobRecord& job, const ServerRecord& server,
                 const std::string& evidence, Turn& turn);

// Ends the epoch of a job whose checkpoint for that is complete. False, and no
// change, if no server waits for it.
bool Relieve(JobRecord& job, Turn& turn);

// Ends the epoch of a running job whose newest checkpoint has just become
// complete, so that it goes on from there with more stages. `evidence` says
// why.
void Resize(JobRecord& job, const std::string& evidence, Turn& turn);

// Queues a RECOVERING job once the back-off is over and the servers that can be
// heard have left it, with what it is to start from: its newest checkpoint,
// else what it was submitted with. Fails one whose checkpoints are all gone.
void AdvanceRecovery(JobRecord& job, Turn& turn);

// A coordinator that has just started does not know what servers hold: a job
// that may start from that waits until they have had the time to say it.
void AskWhatIsInMemory(JobRecord& job, Turn& turn);

// Has the restart that is under way, if one is, say what the job starts from.
void NoteStart(JobRecord& job);

// Whether the job may go on merely because time has passed.
bool WaitsForTime(const JobRecord& job);

// Measures the phases of a restart. To be called after each transition, and
// whenever steps were finished.
void FollowRestart(JobRecord& job, JobTrigger trigger, Turn& turn);
void FollowSteps(JobRecord& job, Turn& turn);

// The job's next step follows `step`: those after it are made again, and not
// counted again.
void SetBack(JobRecord& job, int64_t step, Turn& turn);

// The step after which an epoch begins that starts from what
// `job.info.started_from` says.
int64_t StartStep(const JobRecord& job);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_RECOVERY_H_
