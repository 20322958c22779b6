#include "coordinator/core/drain.h"

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "coordinator/core/handlers.h"
#include "coordinator/core/recovery.h"
#include "coordinator/core/server_lookup.h"

namespace penstock {
namespace {

// Longer ones are as good as none; and nanoseconds have to hold it.
constexpr double kLongestDeadlineSeconds = 1e9;

DutyTrigger TriggerOf(ServerDuty duty) {
  switch (duty) {
    case SERVER_DUTY_CORDONED:
      return DutyTrigger::kCordon;
    case SERVER_DUTY_DRAINING:
      return DutyTrigger::kDrain;
    default:
      return DutyTrigger::kUncordon;
  }
}

bool HasRankOf(const ServerRecord& server, const JobRecord& job) {
  return server.info.job_id() == job.info.id() && !server.releasing;
}

void Drain(ServerRecord& server, double deadline_seconds, Turn& turn) {
  if (deadline_seconds > 0) {
    server.info.set_drain_deadline_unix_nanos(
        absl::ToUnixNanos(turn.now() + absl::Seconds(deadline_seconds)));
  }
  if (JobRecord* const job = turn.JobOf(server)) {
    LeaveDrained(*job, turn);
  } else if (!server.releasing) {
    const std::string reason = server.info.duty_reason();
    turn.Fire(server, DutyTrigger::kDrained, reason);
  }
}

// Its job need not leave it any more.
void Stay(const ServerRecord& server, Turn& turn) {
  JobRecord* const job = turn.JobOf(server);
  if (job == nullptr || job->relieves != server.info.id() ||
      job->info.state() != JOB_STATE_SUSPENDING) {
    return;
  }
  job->relieves.clear();
  turn.Fire(*job, JobTrigger::kNotSuspended,
            absl::StrCat(server.info.name(), " is not drained after all"));
  LeaveDrained(*job, turn);
}

}  // namespace

absl::StatusOr<std::string> On(const ServerDutyRequested& event, Turn& turn) {
  PENSTOCK_RETURN_IF_ERROR(turn.CheckTerm(event.fence));
  PENSTOCK_ASSIGN_OR_RETURN(const std::string id,
                            FindServer(turn.state(), event.server));
  if (!(event.deadline_seconds >= 0) ||
      event.deadline_seconds > kLongestDeadlineSeconds) {
    return absl::InvalidArgumentError(absl::StrCat(
        "deadline_seconds must be from 0 (none) to ", kLongestDeadlineSeconds,
        ", got ", event.deadline_seconds));
  }
  ServerRecord& server = turn.state().servers.at(id);
  const bool was_draining = server.info.duty() == SERVER_DUTY_DRAINING;
  const DutyTrigger trigger = TriggerOf(event.duty);
  if (!turn.Fire(server, trigger, event.reason) &&
      trigger != DutyTrigger::kUncordon) {
    // It is so already; the newest words count.
    server.info.set_duty_reason(event.reason);
    server.info.clear_drain_deadline_unix_nanos();
    turn.Touch(server);
  }
  if (trigger == DutyTrigger::kDrain) {
    Drain(server, event.deadline_seconds, turn);
  } else if (was_draining) {
    Stay(server, turn);
  }
  return id;
}

void LeaveDrained(JobRecord& job, Turn& turn) {
  if ((job.info.state() != JOB_STATE_RUNNING &&
       job.info.state() != JOB_STATE_LOADING) ||
      turn.now() < job.relieve_after) {
    return;
  }
  for (const RankRun& rank : job.ranks) {
    const ServerRecord& server = turn.state().servers.at(rank.server_id);
    const bool drains = server.info.duty() == SERVER_DUTY_DRAINING;
    if (!HasRankOf(server, job) || (!drains && !server.leaving)) continue;
    std::string evidence = absl::StrCat(
        Whereabouts(job, server), drains ? " is to be drained" : " is to end");
    if (drains && !server.info.duty_reason().empty()) {
      absl::StrAppend(&evidence, ": ", server.info.duty_reason());
    }
    LeaveServer(job, server, evidence, turn);
    if (job.info.state() != JOB_STATE_RUNNING) return;
  }
}

void EndOverdueDrains(Turn& turn) {
  for (auto& [id, server] : turn.state().servers) {
    const int64_t deadline = server.info.drain_deadline_unix_nanos();
    if (deadline == 0 || turn.now() < absl::FromUnixNanos(deadline)) continue;
    server.info.clear_drain_deadline_unix_nanos();
    turn.Touch(server);
    JobRecord* const job = turn.JobOf(server);
    if (job == nullptr || !HasRankOf(server, *job)) continue;
    LoseEpoch(*job,
              {RESTART_CAUSE_PREEMPT,
               absl::StrCat(Whereabouts(*job, server),
                            " was to be drained, and its time is over"),
               &server},
              turn);
  }
}

}  // namespace penstock
