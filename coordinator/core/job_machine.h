#ifndef PENSTOCK_COORDINATOR_CORE_JOB_MACHINE_H_
#define PENSTOCK_COORDINATOR_CORE_JOB_MACHINE_H_

#include <optional>
#include <string>
#include <vector>

#include "proto/coordinator_service.pb.h"

namespace penstock {

// The states that jobs, servers and checkpoints go through, as data. `Step`
// (step.h) asks these tables and does nothing that they do not say;
// docs/state_machines.md is printed from them.

// What can happen to a job.
enum class JobTrigger {
  kAccepted,      // planned and durable
  kServersFound,  // enough idle servers for its ranks
  kAssigned,      // the new epoch and its servers are recorded
  kAllLoaded,     // every rank has its layers and a data address
  kAllReady,      // every rank has connected its channels
  kRankFinished,  // the first rank reported its end
  kAllFinished,   // the last rank did, and the digests cover the model
  kFault,         // a rank could not go on, and would not be able to again
  kLost,          // a server was, and the job may be started again
  kRelieved,      // of a server that leaves; what it will go on from is kept
  kResized,       // there are servers for more stages, and a checkpoint
  kRecovered,     // it is clear what it starts from
  kCancel,        // someone asked
  kSuspend,       // someone asked
  kSuspended,     // what it will go on from is complete
  kNotSuspended,  // that could not be kept, or need not be any more
  kResume,        // someone asked
  kStartDamaged,  // what it starts from is, and there is something older
  kReleased,      // none of its servers works for it any more
  kRestarted,     // a coordinator started and found it
};

// What a transition of a job does, in this order.
enum class JobEffect {
  kBeginEpoch,      // epoch + 1
  kReserveServers,  // the chosen servers take its ranks
  kStampStart,
  kStampEnd,
  kDigestWeights,
  kEndCheckpoints,  // one that is being made is given up; no more uploads
  kSendDesired,     // each of its servers hears what it should be doing
  kReleaseServers,  // each of its servers hears that it should be idle
};

struct JobTransition {
  JobState from;
  JobTrigger trigger;
  JobState to;
  std::vector<JobEffect> effects;
};

// Each (state, trigger) at most once. What is not listed changes nothing: so
// the terminal states, which no row leaves, absorb everything.
const std::vector<JobTransition>& JobTransitions();

// The row for (state, trigger); null where nothing happens.
const JobTransition* FindTransition(JobState from, JobTrigger trigger);

// SUCCEEDED, CANCELLED and FAILED.
bool IsTerminal(JobState state);

// What can happen to a server.
enum class ServerTrigger {
  kRegistered,  // it dialed in, with this or another incarnation
  kHeard,       // its session opened, or spoke after a silence
  kSilent,      // its session broke, or said nothing for `suspect_after`
  kGone,        // not heard for `lost_after`
  kAssigned,    // it took a rank
  kReady,       // it connected its channels
  kRun,         // its job runs
  kReleased,    // it said that it is idle again
};

struct ServerTransition {
  ServerState from;
  ServerTrigger trigger;
  // Unset: what the server was doing before it became SUSPECT.
  std::optional<ServerState> to;
  // Kind of the entry in the event log; empty for none.
  std::string event;
};

// As above. While a server is SUSPECT the rows of what it was doing go on
// beneath the suspicion.
const std::vector<ServerTransition>& ServerTransitions();
const ServerTransition* FindTransition(ServerState from, ServerTrigger trigger);

// What can happen to what operators want of a server.
enum class DutyTrigger {
  kCordon,    // someone asked
  kDrain,     // someone asked
  kUncordon,  // someone asked
  kDrained,   // no job has a rank on it any more
};

struct DutyTransition {
  ServerDuty from;
  DutyTrigger trigger;
  ServerDuty to;
  // Kind of the entry in the event log.
  std::string event;
};

// As above.
const std::vector<DutyTransition>& DutyTransitions();
const DutyTransition* FindTransition(ServerDuty from, DutyTrigger trigger);

// What can happen to a checkpoint.
enum class CheckpointTrigger {
  kAllDurable,  // every rank's files are in the store, and cover the model
  kCommitted,   // COMMIT is durable
  kGivenUp,     // it will not become complete
  kDamaged,     // someone who read it says so
  kExpired,     // nothing keeps it any more, or someone asked
  kRemoved,     // its files are gone
};

struct CheckpointTransition {
  CheckpointState from;
  CheckpointTrigger trigger;
  CheckpointState to;
};

// As above. Each transition has an entry CHECKPOINT_<STATE> in the event log.
const std::vector<CheckpointTransition>& CheckpointTransitions();
const CheckpointTransition* FindTransition(CheckpointState from,
                                           CheckpointTrigger trigger);

// "RUNNING" for JOB_STATE_RUNNING, and so on.
std::string Name(JobState state);
std::string Name(ServerState state);
// "CORDONED"; empty for a server that takes ranks.
std::string Name(ServerDuty duty);
std::string Name(CheckpointState state);

// All tables as the text of docs/state_machines.md.
std::string StateMachinesPage();

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_JOB_MACHINE_H_
