#include "coordinator/core/job_machine.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace penstock {

namespace {

// Until it runs.
std::vector<JobTransition> FirstTransitions() {
  using enum JobTrigger;
  using enum JobEffect;
  return {
      {JOB_STATE_SUBMITTED, kAccepted, JOB_STATE_QUEUED, {}},
      {JOB_STATE_SUBMITTED, kCancel, JOB_STATE_CANCELLED, {kStampEnd}},
      {JOB_STATE_QUEUED,
       kServersFound,
       JOB_STATE_PLACING,
       {kBeginEpoch, kReserveServers}},
      {JOB_STATE_QUEUED, kFault, JOB_STATE_FAILED, {kStampEnd}},
      {JOB_STATE_QUEUED, kLost, JOB_STATE_RECOVERING, {}},
      {JOB_STATE_QUEUED, kSuspend, JOB_STATE_SUSPENDED, {}},
      {JOB_STATE_QUEUED, kCancel, JOB_STATE_CANCELLED, {kStampEnd}},
      {JOB_STATE_PLACING, kAssigned, JOB_STATE_LOADING, {kSendDesired}},
      {JOB_STATE_PLACING, kRestarted, JOB_STATE_QUEUED, {kReleaseServers}},
      {JOB_STATE_LOADING, kAllLoaded, JOB_STATE_LOADING, {kSendDesired}},
      {JOB_STATE_LOADING,
       kAllReady,
       JOB_STATE_RUNNING,
       {kStampStart, kSendDesired}},
      {JOB_STATE_LOADING,
       kFault,
       JOB_STATE_FAILED,
       {kStampEnd, kEndCheckpoints, kReleaseServers}},
      {JOB_STATE_LOADING,
       kLost,
       JOB_STATE_RECOVERING,
       {kEndCheckpoints, kReleaseServers}},
      {JOB_STATE_LOADING,
       kStartDamaged,
       JOB_STATE_QUEUED,
       {kEndCheckpoints, kReleaseServers}},
      {JOB_STATE_LOADING,
       kSuspend,
       JOB_STATE_SUSPENDED,
       {kEndCheckpoints, kReleaseServers}},
      {JOB_STATE_LOADING,
       kCancel,
       JOB_STATE_CANCELLING,
       {kEndCheckpoints, kReleaseServers}},
      {JOB_STATE_LOADING,
       kRestarted,
       JOB_STATE_QUEUED,
       {kEndCheckpoints, kReleaseServers}},
  };
}

// From the first step on.
std::vector<JobTransition> LaterTransitions() {
  using enum JobTrigger;
  using enum JobEffect;
  return {
      {JOB_STATE_RUNNING, kRankFinished, JOB_STATE_COMPLETING, {}},
      {JOB_STATE_RUNNING, kSuspend, JOB_STATE_SUSPENDING, {kSendDesired}},
      {JOB_STATE_RUNNING,
       kFault,
       JOB_STATE_FAILED,
       {kStampEnd, kEndCheckpoints, kReleaseServers}},
      {JOB_STATE_RUNNING,
       kLost,
       JOB_STATE_RECOVERING,
       {kEndCheckpoints, kReleaseServers}},
      {JOB_STATE_RUNNING,
       kCancel,
       JOB_STATE_CANCELLING,
       {kEndCheckpoints, kReleaseServers}},
      {JOB_STATE_RUNNING, kRestarted, JOB_STATE_RUNNING, {}},
      {JOB_STATE_SUSPENDING,
       kSuspended,
       JOB_STATE_SUSPENDED,
       {kEndCheckpoints, kReleaseServers}},
      {JOB_STATE_SUSPENDING, kNotSuspended, JOB_STATE_RUNNING, {kSendDesired}},
      {JOB_STATE_SUSPENDING, kRankFinished, JOB_STATE_COMPLETING, {}},
      {JOB_STATE_SUSPENDING,
       kFault,
       JOB_STATE_FAILED,
       {kStampEnd, kEndCheckpoints, kReleaseServers}},
      {JOB_STATE_SUSPENDING,
       kLost,
       JOB_STATE_SUSPENDED,
       {kEndCheckpoints, kReleaseServers}},
      {JOB_STATE_SUSPENDING,
       kRelieved,
       JOB_STATE_RECOVERING,
       {kEndCheckpoints, kReleaseServers}},
      {JOB_STATE_SUSPENDING,
       kCancel,
       JOB_STATE_CANCELLING,
       {kEndCheckpoints, kReleaseServers}},
      {JOB_STATE_SUSPENDING, kRestarted, JOB_STATE_SUSPENDING, {}},
      {JOB_STATE_SUSPENDED, kResume, JOB_STATE_QUEUED, {}},
      {JOB_STATE_SUSPENDED, kCancel, JOB_STATE_CANCELLED, {kStampEnd}},
      {JOB_STATE_COMPLETING,
       kAllFinished,
       JOB_STATE_SUCCEEDED,
       {kStampEnd, kDigestWeights, kEndCheckpoints, kReleaseServers}},
      {JOB_STATE_COMPLETING,
       kFault,
       JOB_STATE_FAILED,
       {kStampEnd, kEndCheckpoints, kReleaseServers}},
      {JOB_STATE_COMPLETING,
       kLost,
       JOB_STATE_RECOVERING,
       {kEndCheckpoints, kReleaseServers}},
      {JOB_STATE_COMPLETING,
       kCancel,
       JOB_STATE_CANCELLING,
       {kEndCheckpoints, kReleaseServers}},
      {JOB_STATE_COMPLETING, kRestarted, JOB_STATE_COMPLETING, {}},
      {JOB_STATE_CANCELLING, kReleased, JOB_STATE_CANCELLED, {kStampEnd}},
      {JOB_STATE_CANCELLING,
       kRestarted,
       JOB_STATE_CANCELLING,
       {kReleaseServers}},
  };
}

// Between two epochs of a job that has lost a server, or takes more.
std::vector<JobTransition> RecoveryTransitions() {
  using enum JobTrigger;
  using enum JobEffect;
  return {
      {JOB_STATE_RUNNING,
       kResized,
       JOB_STATE_RECOVERING,
       {kEndCheckpoints, kReleaseServers}},
      {JOB_STATE_RECOVERING, kRecovered, JOB_STATE_QUEUED, {}},
      {JOB_STATE_RECOVERING, kFault, JOB_STATE_FAILED, {kStampEnd}},
      {JOB_STATE_RECOVERING, kSuspend, JOB_STATE_SUSPENDED, {}},
      {JOB_STATE_RECOVERING, kCancel, JOB_STATE_CANCELLED, {kStampEnd}},
      {JOB_STATE_RECOVERING, kRestarted, JOB_STATE_RECOVERING, {}},
  };
}

}  // namespace

const std::vector<JobTransition>& JobTransitions() {
  static const auto& table = *[] {
    auto* const rows = new std::vector<JobTransition>(FirstTransitions());
    for (const std::vector<JobTransition>& more :
         {LaterTransitions(), RecoveryTransitions()}) {
      rows->insert(rows->end(), more.begin(), more.end());
    }
    return rows;
  }();
  return table;
}

const JobTransition* FindTransition(JobState from, JobTrigger trigger) {
  for (const JobTransition& row : JobTransitions()) {
    if (row.from == from && row.trigger == trigger) return &row;
  }
  return nullptr;
}

bool IsTerminal(JobState state) {
  return state == JOB_STATE_SUCCEEDED || state == JOB_STATE_CANCELLED ||
         state == JOB_STATE_FAILED;
}

const std::vector<ServerTransition>& ServerTransitions() {
  using enum ServerTrigger;
  static const auto& table = *new std::vector<ServerTransition>{
      {SERVER_STATE_IDLE, kAssigned, SERVER_STATE_LOADING, ""},
      {SERVER_STATE_LOADING, kReady, SERVER_STATE_READY, ""},
      {SERVER_STATE_READY, kRun, SERVER_STATE_RUNNING, ""},
      {SERVER_STATE_LOADING, kReleased, SERVER_STATE_IDLE, "SERVER_IDLE"},
      {SERVER_STATE_READY, kReleased, SERVER_STATE_IDLE, "SERVER_IDLE"},
      {SERVER_STATE_RUNNING, kReleased, SERVER_STATE_IDLE, "SERVER_IDLE"},
      {SERVER_STATE_IDLE, kSilent, SERVER_STATE_SUSPECT, "SERVER_SUSPECT"},
      {SERVER_STATE_LOADING, kSilent, SERVER_STATE_SUSPECT, "SERVER_SUSPECT"},
      {SERVER_STATE_READY, kSilent, SERVER_STATE_SUSPECT, "SERVER_SUSPECT"},
      {SERVER_STATE_RUNNING, kSilent, SERVER_STATE_SUSPECT, "SERVER_SUSPECT"},
      {SERVER_STATE_SUSPECT, kHeard, std::nullopt, "SERVER_HEARD"},
      {SERVER_STATE_SUSPECT, kGone, SERVER_STATE_LOST, "SERVER_LOST"},
      {SERVER_STATE_LOST, kRegistered, SERVER_STATE_SUSPECT, ""},
  };
  return table;
}

const ServerTransition* FindTransition(ServerState from,
                                       ServerTrigger trigger) {
  for (const ServerTransition& row : ServerTransitions()) {
    if (row.from == from && row.trigger == trigger) return &row;
  }
  return nullptr;
}

const std::vector<DutyTransition>& DutyTransitions() {
  using enum DutyTrigger;
  static const auto& table = *new std::vector<DutyTransition>{
      {SERVER_DUTY_UNSPECIFIED, kCordon, SERVER_DUTY_CORDONED,
       "SERVER_CORDONED"},
      {SERVER_DUTY_UNSPECIFIED, kDrain, SERVER_DUTY_DRAINING,
       "SERVER_DRAINING"},
      {SERVER_DUTY_CORDONED, kDrain, SERVER_DUTY_DRAINING, "SERVER_DRAINING"},
      {SERVER_DUTY_CORDONED, kUncordon, SERVER_DUTY_UNSPECIFIED,
       "SERVER_UNCORDONED"},
      {SERVER_DUTY_DRAINING, kDrained, SERVER_DUTY_CORDONED, "SERVER_DRAINED"},
      {SERVER_DUTY_DRAINING, kCordon, SERVER_DUTY_CORDONED, "SERVER_CORDONED"},
      {SERVER_DUTY_DRAINING, kUncordon, SERVER_DUTY_UNSPECIFIED,
       "SERVER_UNCORDONED"},
  };
  return table;
}

const DutyTransition* FindTransition(ServerDuty from, DutyTrigger trigger) {
  for (const DutyTransition& row : DutyTransitions()) {
    if (row.from == from && row.trigger == trigger) return &row;
  }
  return nullptr;
}

const std::vector<CheckpointTransition>& CheckpointTransitions() {
  using enum CheckpointTrigger;
  static const auto& table = *new std::vector<CheckpointTransition>{
      {CHECKPOINT_STATE_PREPARING, kAllDurable, CHECKPOINT_STATE_SHARDS_DONE},
      // Found so by a coordinator that had not heard of it.
      {CHECKPOINT_STATE_PREPARING, kCommitted, CHECKPOINT_STATE_COMMITTED},
      {CHECKPOINT_STATE_PREPARING, kGivenUp, CHECKPOINT_STATE_ABANDONED},
      {CHECKPOINT_STATE_SHARDS_DONE, kCommitted, CHECKPOINT_STATE_COMMITTED},
      {CHECKPOINT_STATE_SHARDS_DONE, kGivenUp, CHECKPOINT_STATE_ABANDONED},
      // The job ended while COMMIT was being written.
      {CHECKPOINT_STATE_ABANDONED, kCommitted, CHECKPOINT_STATE_COMMITTED},
      {CHECKPOINT_STATE_COMMITTED, kDamaged, CHECKPOINT_STATE_CORRUPT},
      {CHECKPOINT_STATE_COMMITTED, kExpired, CHECKPOINT_STATE_EXPIRING},
      {CHECKPOINT_STATE_CORRUPT, kExpired, CHECKPOINT_STATE_EXPIRING},
      {CHECKPOINT_STATE_EXPIRING, kRemoved, CHECKPOINT_STATE_DELETED},
  };
  return table;
}

const CheckpointTransition* FindTransition(CheckpointState from,
                                           CheckpointTrigger trigger) {
  for (const CheckpointTransition& row : CheckpointTransitions()) {
    if (row.from == from && row.trigger == trigger) return &row;
  }
  return nullptr;
}

std::string Name(JobState state) {
  return JobState_Name(state).substr(sizeof("JOB_STATE_") - 1);
}

std::string Name(ServerState state) {
  return ServerState_Name(state).substr(sizeof("SERVER_STATE_") - 1);
}

std::string Name(ServerDuty duty) {
  if (duty == SERVER_DUTY_UNSPECIFIED) return "";
  return ServerDuty_Name(duty).substr(sizeof("SERVER_DUTY_") - 1);
}

std::string Name(CheckpointState state) {
  return CheckpointState_Name(state).substr(sizeof("CHECKPOINT_STATE_") - 1);
}

}  // namespace penstock
