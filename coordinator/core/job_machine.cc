#include "coordinator/core/job_machine.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace penstock {

const std::vector<JobTransition>& JobTransitions() {
  using enum JobTrigger;
  using enum JobEffect;
  static const auto& table = *new std::vector<JobTransition>{
      {JOB_STATE_SUBMITTED, kAccepted, JOB_STATE_QUEUED, {}},
      {JOB_STATE_SUBMITTED, kCancel, JOB_STATE_CANCELLED, {kStampEnd}},
      {JOB_STATE_QUEUED,
       kServersFound,
       JOB_STATE_PLACING,
       {kBeginEpoch, kReserveServers}},
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
       {kStampEnd, kReleaseServers}},
      {JOB_STATE_LOADING, kCancel, JOB_STATE_CANCELLING, {kReleaseServers}},
      {JOB_STATE_LOADING, kRestarted, JOB_STATE_QUEUED, {kReleaseServers}},
      {JOB_STATE_RUNNING, kRankFinished, JOB_STATE_COMPLETING, {}},
      {JOB_STATE_RUNNING,
       kFault,
       JOB_STATE_FAILED,
       {kStampEnd, kReleaseServers}},
      {JOB_STATE_RUNNING, kCancel, JOB_STATE_CANCELLING, {kReleaseServers}},
      {JOB_STATE_RUNNING, kRestarted, JOB_STATE_RUNNING, {}},
      {JOB_STATE_COMPLETING,
       kAllFinished,
       JOB_STATE_SUCCEEDED,
       {kStampEnd, kDigestWeights, kReleaseServers}},
      {JOB_STATE_COMPLETING,
       kFault,
       JOB_STATE_FAILED,
       {kStampEnd, kReleaseServers}},
      {JOB_STATE_COMPLETING, kCancel, JOB_STATE_CANCELLING, {kReleaseServers}},
      {JOB_STATE_COMPLETING, kRestarted, JOB_STATE_COMPLETING, {}},
      {JOB_STATE_CANCELLING, kReleased, JOB_STATE_CANCELLED, {kStampEnd}},
      {JOB_STATE_CANCELLING,
       kRestarted,
       JOB_STATE_CANCELLING,
       {kReleaseServers}},
  };
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

std::string Name(JobState state) {
  return JobState_Name(state).substr(sizeof("JOB_STATE_") - 1);
}

std::string Name(ServerState state) {
  return ServerState_Name(state).substr(sizeof("SERVER_STATE_") - 1);
}

}  // namespace penstock
