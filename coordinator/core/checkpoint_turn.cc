#include "coordinator/core/checkpoint_turn.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/manifest/manifest.h"
#include "checkpoint/retention/retention.h"
#include "coordinator/core/checkpoint_catalog.h"
#include "coordinator/core/checkpoint_manifest.h"
#include "coordinator/core/elastic.h"
#include "coordinator/core/recovery.h"

namespace penstock {
namespace {

// Entries of checkpoints that are gone or never were, beside the others.
constexpr int kRememberedEntries = 8;
// What kept a checkpoint from being complete may be over by then.
constexpr absl::Duration kRelieveAgainAfter = absl::Seconds(10);

bool IsGone(const CheckpointInfo& info) {
  return info.state() == CHECKPOINT_STATE_DELETED ||
         info.state() == CHECKPOINT_STATE_ABANDONED;
}

void ForgetOldEntries(JobRecord& job) {
  int gone = static_cast<int>(
      std::count_if(job.checkpoints.begin(), job.checkpoints.end(), IsGone));
  for (auto entry = job.checkpoints.begin();
       gone > kRememberedEntries && entry != job.checkpoints.end();) {
    if (IsGone(*entry)) {
      entry = job.checkpoints.erase(entry);
      --gone;
    } else {
      ++entry;
    }
  }
}

CheckpointId PendingId(const JobRecord& job) {
  CheckpointId id;
  id.set_job_id(job.info.id());
  id.set_step(job.info.checkpoints().next_step());
  id.set_epoch(job.info.epoch());
  return id;
}

// The step of the newest checkpoint that this epoch has begun.
int64_t PreviousStep(const JobRecord& job) {
  int64_t step = StartStep(job);
  for (const CheckpointInfo& info : job.checkpoints) {
    if (info.id().epoch() != job.info.epoch()) continue;
    step = std::max(step, info.id().step());
  }
  return step;
}

void TellRanks(const JobRecord& job, Turn& turn) {
  for (const RankRun& rank : job.ranks) {
    turn.effects().desired.insert(rank.server_id);
  }
}

bool AllFinished(const JobRecord& job) {
  return std::all_of(job.ranks.begin(), job.ranks.end(),
                     [](const RankRun& r) { return r.finished.has_value(); });
}

void ExpireOld(JobRecord& job, Turn& turn) {
  const CheckpointSpec& spec = job.info.job().checkpoint();
  const RetentionPolicy policy{std::max(1, spec.keep_last()), spec.keep_every(),
                               spec.keep_best()};
  std::vector<CheckpointInfo*> entries;
  std::vector<RetentionCandidate> candidates;
  for (CheckpointInfo& info : job.checkpoints) {
    if (info.state() != CHECKPOINT_STATE_COMMITTED) continue;
    entries.push_back(&info);
    RetentionCandidate& candidate = candidates.emplace_back();
    candidate.step = info.id().step();
    candidate.epoch = info.id().epoch();
    candidate.pinned =
        info.pinned() || JobThatAwaits(turn.state(), info.id()) != nullptr;
    if (info.has_evaluation_loss()) {
      candidate.evaluation_loss = info.evaluation_loss();
    }
  }
  const std::vector<RetentionVerdict> verdicts =
      ApplyRetention(candidates, policy);
  for (size_t i = 0; i < entries.size(); ++i) {
    if (verdicts[i].keep) continue;
    Fire(job, *entries[i], CheckpointTrigger::kExpired, verdicts[i].reason,
         turn);
  }
}

}  // namespace

bool Fire(JobRecord& job, CheckpointInfo& info, CheckpointTrigger trigger,
          const std::string& reason, Turn& turn) {
  const CheckpointTransition* row = FindTransition(info.state(), trigger);
  if (row == nullptr) return false;
  info.set_state(row->to);
  info.set_reason(reason);
  turn.Note(absl::StrCat("CHECKPOINT_", Name(row->to)),
            absl::StrCat("step ", info.id().step(),
                         reason.empty() ? "" : absl::StrCat(": ", reason)),
            &job, nullptr);
  turn.Touch(job);
  if (trigger == CheckpointTrigger::kExpired) {
    turn.effects().checkpoint_work.push_back(RemoveCheckpoint{info.id()});
  }
  return true;
}

void BeginCheckpoints(JobRecord& job, Turn& turn) {
  if (!KeepsCheckpoints(turn.state(), job)) return;
  turn.effects().checkpoint_work.push_back(
      BeginStoreEpoch{job.info.id(), job.info.epoch()});
  job.pending = PendingCheckpoint();
  job.last_snapshot = turn.now();
  job.snapshot_lead = kFirstSnapshotLead;
  const int64_t start = StartStep(job);
  job.info.mutable_checkpoints()->set_next_step(NextSnapshotStep(
      job.info.job().checkpoint(),
      {job.info.job().steps(), start, start, /*is_late=*/false}));
}

void EndCheckpoints(JobRecord& job, const std::string& reason, Turn& turn) {
  if (!KeepsCheckpoints(turn.state(), job)) return;
  CheckpointInfo* const entry = FindEntry(job, PendingId(job));
  if (entry != nullptr &&
      Fire(job, *entry, CheckpointTrigger::kGivenUp, reason, turn)) {
    CheckpointProgress& progress = *job.info.mutable_checkpoints();
    progress.set_abandoned(progress.abandoned() + 1);
  }
  job.pending = PendingCheckpoint();
  job.info.mutable_checkpoints()->set_next_step(0);
  turn.effects().checkpoint_work.push_back(
      BeginStoreEpoch{job.info.id(), job.info.epoch() + 1});
}

void PlanSnapshot(JobRecord& job, Turn& turn) {
  const CheckpointSpec& spec = job.info.job().checkpoint();
  CheckpointProgress& progress = *job.info.mutable_checkpoints();
  const bool suspends = job.info.state() == JOB_STATE_SUSPENDING;
  const bool is_late = suspends || (spec.every_seconds() > 0 &&
                                    turn.now() - job.last_snapshot >=
                                        absl::Seconds(spec.every_seconds()));
  const int64_t previous = PreviousStep(job);
  const int64_t next = NextSnapshotStep(
      spec, {job.info.job().steps(), previous, ReachOf(job), is_late});
  if (!suspends) {
    progress.set_skipped_intervals(progress.skipped_intervals() +
                                   SkippedIntervals(spec, previous, next));
  }
  progress.set_next_step(next);
  turn.Touch(job);
  TellRanks(job, turn);
}

void PlanLateSnapshot(JobRecord& job, Turn& turn) {
  if (job.info.state() != JOB_STATE_RUNNING ||
      !KeepsCheckpoints(turn.state(), job)) {
    return;
  }
  const CheckpointSpec& spec = job.info.job().checkpoint();
  const bool is_late =
      spec.every_seconds() > 0 &&
      turn.now() - job.last_snapshot >= absl::Seconds(spec.every_seconds());
  CheckpointProgress& progress = *job.info.mutable_checkpoints();
  if (!is_late || FindEntry(job, PendingId(job)) != nullptr) return;
  const int64_t next = NextSnapshotStep(
      spec, {job.info.job().steps(), PreviousStep(job), ReachOf(job), true});
  if (next >= progress.next_step()) return;
  progress.set_next_step(next);
  turn.Touch(job);
  TellRanks(job, turn);
}

void PlanLastSnapshot(JobRecord& job, Turn& turn) {
  const int64_t next = job.info.checkpoints().next_step();
  const bool is_begun = FindEntry(job, PendingId(job)) != nullptr;
  if (is_begun || next <= ReachOf(job)) return;
  PlanSnapshot(job, turn);
}

void AdvanceCheckpoint(JobRecord& job, Turn& turn) {
  const CheckpointId id = PendingId(job);
  CheckpointInfo* const entry = FindEntry(job, id);
  if (entry == nullptr || job.pending.is_committing ||
      job.pending.shards.size() < job.ranks.size() ||
      job.info.latest().step() < id.step()) {
    return;
  }
  if (id.step() == job.info.job().steps() && !AllFinished(job)) return;
  absl::StatusOr<CheckpointManifest> manifest = ManifestOf(job, id, turn.now());
  if (!manifest.ok()) {
    return GiveUpCheckpoint(job, std::string(manifest.status().message()),
                            turn);
  }
  entry->set_size_bytes(TotalBytes(*manifest));
  if (manifest->has_evaluation_loss()) {
    entry->set_evaluation_loss(manifest->evaluation_loss());
  }
  // Already so if the coordinator restarted in between.
  Fire(job, *entry, CheckpointTrigger::kAllDurable, "", turn);
  job.pending.is_committing = true;
  turn.effects().checkpoint_work.push_back(
      CommitCheckpoint{*std::move(manifest)});
}

void GiveUpCheckpoint(JobRecord& job, const std::string& reason, Turn& turn) {
  const CheckpointId id = PendingId(job);
  CheckpointProgress& progress = *job.info.mutable_checkpoints();
  progress.set_abandoned(progress.abandoned() + 1);
  if (CheckpointInfo* const entry = FindEntry(job, id)) {
    Fire(job, *entry, CheckpointTrigger::kGivenUp, reason, turn);
  } else {
    turn.Note("CHECKPOINT_ABANDONED",
              absl::StrCat("step ", id.step(), ": ", reason), &job, nullptr);
  }
  job.pending = PendingCheckpoint();
  ForgetOldEntries(job);
  turn.Touch(job);
  if (id.step() == job.info.job().steps()) {
    progress.set_next_step(0);
    const std::string last =
        progress.newest_step() == 0
            ? "it has no other"
            : absl::StrCat("the newest is of step ", progress.newest_step());
    turn.Fire(job, JobTrigger::kFault,
              absl::StrCat(
                  "the checkpoint of the last step could not be kept: ", reason,
                  "; ", last));
    return;
  }
  if (job.info.state() == JOB_STATE_SUSPENDING) {
    job.relieve_after = turn.now() + kRelieveAgainAfter;
  }
  job.relieves.clear();
  turn.Fire(
      job, JobTrigger::kNotSuspended,
      absl::StrCat("not suspended: no checkpoint could be kept: ", reason));
  PlanSnapshot(job, turn);
}

void NoteCommitted(JobRecord& job, CheckpointInfo& info,
                   const std::string& reason, Turn& turn) {
  if (!Fire(job, info, CheckpointTrigger::kCommitted, reason, turn)) return;
  const CheckpointId id = info.id();
  info.set_committed_unix_nanos(absl::ToUnixNanos(turn.now()));
  CheckpointProgress& progress = *job.info.mutable_checkpoints();
  progress.set_committed(progress.committed() + 1);
  progress.set_newest_step(NewestCommitted(job)->id().step());
  progress.set_commit_nanos(info.committed_unix_nanos() -
                            info.created_unix_nanos());
  int64_t blocked = 0;
  for (const auto& [rank, snapshot] : job.pending.snapshots) {
    blocked = std::max(blocked, snapshot.blocked_nanos());
  }
  const bool was_pending =
      id.step() == progress.next_step() && id.epoch() == job.info.epoch();
  if (was_pending) progress.set_blocked_nanos(blocked);
  ExpireOld(job, turn);
  ForgetOldEntries(job);
  if (!was_pending) return;
  job.pending = PendingCheckpoint();
  if (id.step() == job.info.job().steps()) {
    progress.set_next_step(0);
    return CompleteIfDone(job, turn);
  }
  if (Relieve(job, turn)) return;
  const std::string at = absl::StrCat("after step ", id.step());
  if (turn.Fire(job, JobTrigger::kSuspended, at)) return;
  if (GrowAtCheckpoint(job, turn)) return;
  PlanSnapshot(job, turn);
}

void CompleteIfDone(JobRecord& job, Turn& turn) {
  if (job.info.state() != JOB_STATE_COMPLETING || !AllFinished(job)) return;
  if (const auto digest = DigestOf(job); !digest.ok()) {
    turn.Fire(job, JobTrigger::kFault, std::string(digest.status().message()));
    return;
  }
  // A coordinator that restarted may have a rank's end, but not its last steps.
  if (job.info.latest().step() < job.info.job().steps()) {
    turn.Explain(job, "waits for the reports of the last steps");
    return;
  }
  if (KeepsCheckpoints(turn.state(), job) &&
      job.info.checkpoints().newest_step() != job.info.job().steps()) {
    turn.Explain(job, "keeping the checkpoint of the last step");
    return AdvanceCheckpoint(job, turn);
  }
  turn.Fire(job, JobTrigger::kAllFinished, "");
}

void StartFromOlder(JobRecord& job, const std::string& why, Turn& turn) {
  const CheckpointId damaged = job.info.started_from().checkpoint();
  JobRecord& owner = turn.state().jobs.at(damaged.job_id());
  if (CheckpointInfo* const entry = FindEntry(owner, damaged)) {
    Fire(owner, *entry, CheckpointTrigger::kDamaged, why, turn);
  }
  job.restore = nullptr;
  turn.Touch(job);
  const CheckpointInfo* const older =
      job.info.started_from().weights_only()
          ? nullptr
          : NewestCommitted(owner, damaged.step());
  if (older == nullptr) {
    turn.Fire(
        job, JobTrigger::kFault,
        absl::StrCat("the checkpoint of ", Describe(damaged),
                     " cannot be read, and there is no older one: ", why));
    return;
  }
  *job.info.mutable_started_from()->mutable_checkpoint() = older->id();
  SetBack(job, older->id().step(), turn);
  NoteStart(job);
  const std::string reason = absl::StrCat(
      "the checkpoint of ", Describe(damaged), " cannot be read (", why,
      "); starts from the older one of step ", older->id().step());
  turn.Note("JOB_STARTS_FROM_OLDER", reason, &job, nullptr);
  turn.Fire(job, JobTrigger::kStartDamaged, reason);
  ReadStart(job, turn);
}

void ReadStart(JobRecord& job, Turn& turn) {
  if (job.info.state() != JOB_STATE_QUEUED || !job.info.has_started_from() ||
      job.info.started_from().in_memory() || job.restore != nullptr) {
    return;
  }
  turn.effects().checkpoint_work.push_back(
      ReadManifest{job.info.id(), job.info.started_from().checkpoint()});
}

}  // namespace penstock
