#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "coordinator/core/checkpoint_catalog.h"
#include "coordinator/core/checkpoint_turn.h"
#include "coordinator/core/handlers.h"
#include "coordinator/core/job_lookup.h"
#include "coordinator/core/job_machine.h"
#include "coordinator/core/memory_fit.h"
#include "coordinator/core/recovery.h"

namespace penstock {
namespace {

void SetStart(const JobSubmitted& event, JobRecord& job) {
  JobStart& start = *job.info.mutable_started_from();
  *start.mutable_checkpoint() = event.restore->id();
  start.set_weights_only(!job.info.job().start().from().empty());
  *job.info.mutable_submitted_from() = start;
  job.restore = event.restore;
  if (start.weights_only()) return;
  // Its next step follows.
  job.info.mutable_latest()->set_step(event.restore->state().step());
}

}  // namespace

absl::StatusOr<std::string> On(const JobSubmitted& event, Turn& turn) {
  ClusterState& state = turn.state();
  PENSTOCK_RETURN_IF_ERROR(turn.CheckTerm(event.fence));
  if (event.idempotency_key.empty()) {
    return absl::InvalidArgumentError(
        "idempotency_key is empty; send a fresh random one with each new "
        "submission, and the same one with each retry");
  }
  const auto known = state.job_of_idempotency_key.find(event.idempotency_key);
  if (known != state.job_of_idempotency_key.end()) return known->second;
  if (state.jobs.contains(event.job_id)) {
    return absl::InternalError(
        absl::StrCat("job id ", event.job_id, " was drawn twice"));
  }
  PENSTOCK_RETURN_IF_ERROR(CheckMemory(state, *event.plan));
  JobRecord& job = state.jobs[event.job_id];
  job.info.set_id(event.job_id);
  *job.info.mutable_job() = event.plan->job();
  job.info.set_state(JOB_STATE_SUBMITTED);
  job.info.set_submitted_unix_nanos(absl::ToUnixNanos(turn.now()));
  job.idempotency_key = event.idempotency_key;
  job.position = ++state.last_position;
  job.plan = event.plan;
  job.parameter_layers = event.parameter_layers;
  if (KeepsCheckpoints(state, job)) job.info.mutable_checkpoints();
  if (event.restore != nullptr) SetStart(event, job);
  state.job_of_idempotency_key[event.idempotency_key] = event.job_id;
  turn.effects().batch.plans[event.job_id] = event.plan;
  turn.Note("JOB_SUBMITTED", event.plan->job().name(), &job, nullptr);
  turn.Fire(job, JobTrigger::kAccepted, "");
  return event.job_id;
}

absl::StatusOr<std::string> On(const JobCancelRequested& event, Turn& turn) {
  PENSTOCK_RETURN_IF_ERROR(turn.CheckTerm(event.fence));
  PENSTOCK_ASSIGN_OR_RETURN(const std::string id,
                            FindJob(turn.state(), event.job));
  JobRecord& job = turn.state().jobs.at(id);
  const int64_t epoch = event.fence.job_epoch();
  if (epoch != 0 && epoch != job.info.epoch()) {
    return absl::AbortedError(absl::StrCat("job ", id, " is in epoch ",
                                           job.info.epoch(), ", not in ", epoch,
                                           "; look at it again"));
  }
  turn.Fire(job, JobTrigger::kCancel,
            event.reason.empty() ? "cancelled on request" : event.reason);
  return id;
}

absl::StatusOr<std::string> On(const JobSuspendRequested& event, Turn& turn) {
  PENSTOCK_RETURN_IF_ERROR(turn.CheckTerm(event.fence));
  PENSTOCK_ASSIGN_OR_RETURN(const std::string id,
                            FindJob(turn.state(), event.job));
  JobRecord& job = turn.state().jobs.at(id);
  const JobState state = job.info.state();
  if (state == JOB_STATE_SUSPENDING || state == JOB_STATE_SUSPENDED) {
    // What was only for a server that leaves is now for good.
    if (!job.relieves.empty()) turn.Touch(job);
    job.relieves.clear();
    return id;
  }
  if (state == JOB_STATE_RUNNING && !KeepsCheckpoints(turn.state(), job)) {
    return absl::FailedPreconditionError(
        absl::StrCat("job ", id, " has no checkpoints (it has no weights, or ",
                     "no `checkpoint` keys), so nothing of it would be kept; "
                     "cancel it instead"));
  }
  const std::string reason =
      event.reason.empty() ? "suspended on request" : event.reason;
  if (!turn.Fire(job, JobTrigger::kSuspend, reason)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "job ", id, " is ", Name(state), "; only a job that waits, loads or ",
        "runs can be suspended"));
  }
  if (job.info.state() == JOB_STATE_SUSPENDING) PlanLastSnapshot(job, turn);
  return id;
}

absl::StatusOr<std::string> On(const JobResumeRequested& event, Turn& turn) {
  PENSTOCK_RETURN_IF_ERROR(turn.CheckTerm(event.fence));
  PENSTOCK_ASSIGN_OR_RETURN(const std::string id,
                            FindJob(turn.state(), event.job));
  JobRecord& job = turn.state().jobs.at(id);
  const JobState state = job.info.state();
  if (state == JOB_STATE_SUSPENDING || IsTerminal(state)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "job ", id, " is ", Name(state),
        state == JOB_STATE_SUSPENDING
            ? "; ask again when it is SUSPENDED"
            : "; it goes on as a new job: penstock submit job.yaml "
              "--resume=require"));
  }
  if (state != JOB_STATE_SUSPENDED) return id;
  if (event.restore != nullptr) {
    *job.info.mutable_started_from()->mutable_checkpoint() =
        event.restore->id();
    job.info.mutable_started_from()->set_weights_only(false);
    job.info.mutable_started_from()->set_in_memory(false);
    job.restore = event.restore;
  } else if (job.info.started_from().in_memory()) {
    // Nobody has held it since.
    *job.info.mutable_started_from() = job.info.submitted_from();
    if (!job.info.has_submitted_from()) job.info.clear_started_from();
  }
  SetBack(job, StartStep(job), turn);
  turn.Fire(job, JobTrigger::kResume, "");
  ReadStart(job, turn);
  return id;
}

}  // namespace penstock
