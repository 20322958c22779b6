#ifndef PENSTOCK_COORDINATOR_CORE_CHECKPOINT_TURN_H_
#define PENSTOCK_COORDINATOR_CORE_CHECKPOINT_TURN_H_

#include <string>

#include "coordinator/core/job_machine.h"
#include "coordinator/core/turn.h"

namespace penstock {

// What the handlers of events share about checkpoints. Part of `Step`.

// Moves an entry along the table, with an entry in the event log. False, and no
// change, where the table has no row.
bool Fire(JobRecord& job, CheckpointInfo& info, CheckpointTrigger trigger,
          const std::string& reason, Turn& turn);

// The job's new epoch is to make checkpoints, if it makes any.
void BeginCheckpoints(JobRecord& job, Turn& turn);
// Its epoch is over: gives up what is unfinished, and lets nothing more in.
void EndCheckpoints(JobRecord& job, const std::string& reason, Turn& turn);

// Says after which step the next snapshot is to be taken, and tells the ranks.
void PlanSnapshot(JobRecord& job, Turn& turn);
// As PlanSnapshot if the interval in seconds is over.
void PlanLateSnapshot(JobRecord& job, Turn& turn);

// As PlanSnapshot for a job that is SUSPENDING, unless ranks have begun with
// one: that will do.
void PlanLastSnapshot(JobRecord& job, Turn& turn);

// Has the pending checkpoint committed if all is there that it needs. To be
// called whenever something of it has come.
void AdvanceCheckpoint(JobRecord& job, Turn& turn);

// The pending checkpoint will not become complete. Plans another one; where
// there is none after it, the job fails.
void GiveUpCheckpoint(JobRecord& job, const std::string& reason, Turn& turn);

// `info`, of a checkpoint whose COMMIT is durable, becomes a committed one,
// with what follows: others expire, the job goes on, is suspended or done.
void NoteCommitted(JobRecord& job, CheckpointInfo& info,
                   const std::string& reason, Turn& turn);

// Ends a job of which all ranks have finished and reported all steps, and whose
// last checkpoint, if it is to have one, is committed.
void CompleteIfDone(JobRecord& job, Turn& turn);

// What the job is to start from is damaged: takes the next older one, or fails
// the job. Requires: info.started_from is set.
void StartFromOlder(JobRecord& job, const std::string& why, Turn& turn);

// Has the checkpoint read that a queued job is to start from, unless it was.
void ReadStart(JobRecord& job, Turn& turn);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_CHECKPOINT_TURN_H_
