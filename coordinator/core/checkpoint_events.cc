#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/manifest/manifest.h"
#include "coordinator/core/checkpoint_catalog.h"
#include "coordinator/core/checkpoint_turn.h"
#include "coordinator/core/handlers.h"

namespace penstock {
namespace {

constexpr absl::Duration kLongestSnapshotLead = absl::Seconds(30);

// Adds an entry at its place.
CheckpointInfo& Insert(JobRecord& job, CheckpointInfo info) {
  const auto key = [](const CheckpointInfo& one) {
    return std::make_pair(one.id().step(), one.id().epoch());
  };
  const auto after = std::find_if(
      job.checkpoints.begin(), job.checkpoints.end(),
      [&](const CheckpointInfo& other) { return key(other) > key(info); });
  return *job.checkpoints.insert(after, std::move(info));
}

// The entry of the checkpoint that is being made; made with the first word of
// it.
CheckpointInfo& PendingEntry(JobRecord& job, Turn& turn) {
  CheckpointId id;
  id.set_job_id(job.info.id());
  id.set_step(job.info.checkpoints().next_step());
  id.set_epoch(job.info.epoch());
  if (CheckpointInfo* const known = FindEntry(job, id)) return *known;
  CheckpointInfo info;
  *info.mutable_id() = id;
  info.set_state(CHECKPOINT_STATE_PREPARING);
  info.set_created_unix_nanos(absl::ToUnixNanos(turn.now()));
  info.set_schedule(job.plan->job().schedule().name());
  info.set_weights_policy(job.plan->job().weights().policy());
  info.set_stages(job.plan->stages_size());
  info.set_ranks(job.num_ranks());
  info.set_job_name(job.info.job().name());
  job.last_snapshot = turn.now();
  turn.Note("CHECKPOINT_PREPARING", absl::StrCat("step ", id.step()), &job,
            nullptr);
  turn.Touch(job);
  return Insert(job, std::move(info));
}

// For a complete checkpoint that the catalog has never heard of.
CheckpointInfo EntryOf(const CheckpointManifest& manifest,
                       const JobRecord& job) {
  CheckpointInfo info;
  *info.mutable_id() = manifest.id();
  info.set_state(CHECKPOINT_STATE_PREPARING);
  info.set_size_bytes(TotalBytes(manifest));
  info.set_created_unix_nanos(manifest.created_unix_nanos());
  if (manifest.has_evaluation_loss()) {
    info.set_evaluation_loss(manifest.evaluation_loss());
  }
  info.set_schedule(manifest.schedule());
  info.set_weights_policy(manifest.weights_policy());
  info.set_stages(manifest.stages());
  info.set_ranks(manifest.ranks());
  info.set_job_name(job.info.job().name());
  return info;
}

absl::Status CheckShards(const JobRecord& job, const ShardReport& report) {
  if (!report.error().empty()) return absl::UnknownError(report.error());
  if (report.plan_hash() == job.plan->shape_hash()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("plan hash ", report.plan_hash(),
                                          ", wanted ", job.plan->shape_hash()));
}

bool IsSameId(const CheckpointId& a, const CheckpointId& b) {
  return a.job_id() == b.job_id() && a.step() == b.step() &&
         a.epoch() == b.epoch();
}

// Compares what a starting coordinator's store has of a job with its entries.
void CompareEntries(JobRecord& job, const std::vector<FoundCheckpoint>& found,
                    Turn& turn) {
  for (const FoundCheckpoint& one : found) {
    if (one.id.job_id() != job.info.id()) continue;
    // Of another coordinator, which has taken over.
    if (one.id.epoch() > job.info.epoch()) continue;
    CheckpointInfo* entry = FindEntry(job, one.id);
    if (one.manifest == nullptr) continue;
    if (entry == nullptr) entry = &Insert(job, EntryOf(*one.manifest, job));
    NoteCommitted(job, *entry, "found complete in the store", turn);
  }
  const std::vector<CheckpointInfo> entries = job.checkpoints;
  for (const CheckpointInfo& known : entries) {
    CheckpointInfo& entry = *FindEntry(job, known.id());
    if (entry.state() == CHECKPOINT_STATE_EXPIRING) {
      turn.effects().checkpoint_work.push_back(RemoveCheckpoint{entry.id()});
      continue;
    }
    const bool is_there = std::any_of(
        found.begin(), found.end(),
        [&](const auto& one) { return IsSameId(one.id, entry.id()); });
    if (is_there) continue;
    Fire(job, entry, CheckpointTrigger::kDamaged,
         "it is not in the store any more", turn);
  }
}

}  // namespace

void OnSnapshot(const SnapshotReport& report, int64_t epoch,
                ServerRecord& server, Turn& turn) {
  if (turn.RankOf(server, report.job_id(), epoch) == nullptr) return;
  JobRecord& job = *turn.JobOf(server);
  // Of one that was given up meanwhile.
  if (report.step() == 0 ||
      report.step() != job.info.checkpoints().next_step()) {
    return;
  }
  if (report.missed()) {
    job.snapshot_lead = std::min(2 * job.snapshot_lead, kLongestSnapshotLead);
    return GiveUpCheckpoint(
        job, absl::StrCat(Whereabouts(job, server), " was past that step"),
        turn);
  }
  PendingEntry(job, turn);
  job.pending.snapshots[server.info.rank()] = report;
}

void OnShards(const ShardReport& report, int64_t epoch, ServerRecord& server,
              Turn& turn) {
  const CheckpointId& id = report.checkpoint();
  if (turn.RankOf(server, id.job_id(), epoch) == nullptr) return;
  JobRecord& job = *turn.JobOf(server);
  if (id.step() == 0 || id.step() != job.info.checkpoints().next_step() ||
      id.epoch() != job.info.epoch()) {
    return;
  }
  PendingEntry(job, turn);
  if (const absl::Status status = CheckShards(job, report); !status.ok()) {
    return GiveUpCheckpoint(
        job, absl::StrCat(Whereabouts(job, server), ": ", status.message()),
        turn);
  }
  job.pending.shards[server.info.rank()] = report;
  AdvanceCheckpoint(job, turn);
}

void CompareCheckpoints(const std::vector<FoundCheckpoint>& found, Turn& turn) {
  for (auto& [id, job] : turn.state().jobs) {
    job.last_snapshot = turn.now();
    CompareEntries(job, found, turn);
    ReadStart(job, turn);
  }
}

absl::StatusOr<std::string> On(const CheckpointStored& event, Turn& turn) {
  const auto found = turn.state().jobs.find(event.id.job_id());
  if (found == turn.state().jobs.end()) return "";
  JobRecord& job = found->second;
  CheckpointInfo* const entry = FindEntry(job, event.id);
  if (entry == nullptr) return job.info.id();
  if (event.status.ok()) {
    NoteCommitted(job, *entry, "", turn);
  } else if (entry->state() == CHECKPOINT_STATE_SHARDS_DONE &&
             event.id.step() == job.info.checkpoints().next_step()) {
    GiveUpCheckpoint(job, std::string(event.status.message()), turn);
  }
  return job.info.id();
}

absl::StatusOr<std::string> On(const CheckpointRemoved& event, Turn& turn) {
  const auto found = turn.state().jobs.find(event.id.job_id());
  if (found == turn.state().jobs.end()) return "";
  JobRecord& job = found->second;
  CheckpointInfo* const entry = FindEntry(job, event.id);
  if (entry == nullptr) return job.info.id();
  if (event.status.ok()) {
    const std::string reason = entry->reason();
    Fire(job, *entry, CheckpointTrigger::kRemoved, reason, turn);
  } else {
    // Tried again by the next coordinator.
    entry->set_reason(
        absl::StrCat("its files cannot be deleted: ", event.status.message()));
    turn.Note(
        "CHECKPOINT_NOT_DELETED",
        absl::StrCat("step ", event.id.step(), ": ", event.status.message()),
        &job, nullptr);
    turn.Touch(job);
  }
  return job.info.id();
}

absl::StatusOr<std::string> On(const ManifestRead& event, Turn& turn) {
  const auto found = turn.state().jobs.find(event.job_id);
  if (found == turn.state().jobs.end()) return "";
  JobRecord& job = found->second;
  if (job.info.state() != JOB_STATE_QUEUED ||
      !IsSameId(job.info.started_from().checkpoint(), event.id)) {
    return job.info.id();
  }
  if (event.manifest.ok()) {
    job.restore = *event.manifest;
    turn.NeedPlacement();
  } else {
    StartFromOlder(job, std::string(event.manifest.status().message()), turn);
  }
  return job.info.id();
}

absl::StatusOr<std::string> On(const CheckpointDamaged& event, Turn& turn) {
  const auto found = turn.state().jobs.find(event.id.job_id());
  if (found == turn.state().jobs.end()) return "";
  if (CheckpointInfo* const entry = FindEntry(found->second, event.id)) {
    Fire(found->second, *entry, CheckpointTrigger::kDamaged, event.why, turn);
  }
  return found->second.info.id();
}

absl::StatusOr<std::string> On(const CheckpointPinRequested& event,
                               Turn& turn) {
  PENSTOCK_RETURN_IF_ERROR(turn.CheckTerm(event.fence));
  PENSTOCK_ASSIGN_OR_RETURN(const CheckpointInfo named,
                            FindCheckpoint(turn.state(), event.checkpoint));
  JobRecord& job = turn.state().jobs.at(named.id().job_id());
  if (named.state() != CHECKPOINT_STATE_COMMITTED) {
    return absl::FailedPreconditionError(
        absl::StrCat("the checkpoint of ", Describe(named.id()), " is ",
                     Name(named.state()), "; only a complete one is pinned"));
  }
  FindEntry(job, named.id())->set_pinned(event.pinned);
  turn.Touch(job);
  return absl::StrCat(job.info.id(), "@", named.id().step());
}

absl::StatusOr<std::string> On(const CheckpointDeleteRequested& event,
                               Turn& turn) {
  PENSTOCK_RETURN_IF_ERROR(turn.CheckTerm(event.fence));
  PENSTOCK_ASSIGN_OR_RETURN(const CheckpointInfo named,
                            FindCheckpoint(turn.state(), event.checkpoint));
  PENSTOCK_RETURN_IF_ERROR(CheckDeletion(turn.state(), named, event.force));
  JobRecord& job = turn.state().jobs.at(named.id().job_id());
  Fire(job, *FindEntry(job, named.id()), CheckpointTrigger::kExpired,
       "deleted on request", turn);
  if (const CheckpointInfo* newest = NewestCommitted(job)) {
    job.info.mutable_checkpoints()->set_newest_step(newest->id().step());
  } else {
    job.info.mutable_checkpoints()->set_newest_step(0);
  }
  return absl::StrCat(job.info.id(), "@", named.id().step());
}

}  // namespace penstock
