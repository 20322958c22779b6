#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "checkpoint/manifest/manifest.h"
#include "coordinator/core/handlers.h"

namespace penstock {
namespace {

CheckpointInfo EntryOf(const WeightsImported& event, absl::Time now) {
  const CheckpointManifest& manifest = *event.manifest;
  CheckpointInfo info;
  *info.mutable_id() = manifest.id();
  info.set_state(CHECKPOINT_STATE_COMMITTED);
  info.set_reason(absl::StrCat("imported from ", event.source));
  info.set_size_bytes(TotalBytes(manifest));
  info.set_created_unix_nanos(absl::ToUnixNanos(now));
  info.set_committed_unix_nanos(absl::ToUnixNanos(now));
  info.set_schedule(manifest.schedule());
  info.set_job_name(event.plan->job().name());
  return info;
}

}  // namespace

absl::StatusOr<std::string> On(const WeightsImported& event, Turn& turn) {
  ClusterState& state = turn.state();
  PENSTOCK_RETURN_IF_ERROR(turn.CheckTerm(event.fence));
  const auto known = state.job_of_idempotency_key.find(event.idempotency_key);
  if (known != state.job_of_idempotency_key.end()) return known->second;
  const CheckpointId& checkpoint = event.manifest->id();
  const std::string& id = checkpoint.job_id();
  if (state.jobs.contains(id)) {
    return absl::AlreadyExistsError(absl::StrCat(
        "there is a job ", id, " already; begin the import again"));
  }
  JobRecord& job = state.jobs[id];
  const int64_t now = absl::ToUnixNanos(turn.now());
  job.info.set_id(id);
  *job.info.mutable_job() = event.plan->job();
  // Over before it began: there is nothing to run.
  job.info.set_state(JOB_STATE_SUCCEEDED);
  job.info.set_reason(absl::StrCat("weights imported from ", event.source,
                                   ", not trained here"));
  job.info.set_epoch(checkpoint.epoch());
  job.info.set_submitted_unix_nanos(now);
  job.info.set_ended_unix_nanos(now);
  job.idempotency_key = event.idempotency_key;
  job.position = ++state.last_position;
  job.plan = event.plan;
  job.parameter_layers = event.parameter_layers;
  job.checkpoints.push_back(EntryOf(event, turn.now()));
  state.job_of_idempotency_key[event.idempotency_key] = id;
  turn.effects().batch.plans[id] = event.plan;
  turn.Note("WEIGHTS_IMPORTED", event.source, &job, nullptr);
  turn.Touch(job);
  return id;
}

}  // namespace penstock
