#include "coordinator/core/checkpoint_catalog.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "checkpoint/layout/layout.h"
#include "coordinator/core/job_lookup.h"
#include "coordinator/core/job_machine.h"

namespace penstock {
namespace {

constexpr char kNever[] = "never";
constexpr char kRequire[] = "require";

bool IsCommitted(const CheckpointInfo& info) {
  return info.state() == CHECKPOINT_STATE_COMMITTED;
}

// "; the nearest is step 40", and so on; of complete ones.
std::string NearestTo(const JobRecord& job, int64_t step) {
  std::optional<int64_t> nearest;
  for (const CheckpointInfo& info : job.checkpoints) {
    if (!IsCommitted(info)) continue;
    const int64_t there = info.id().step();
    if (!nearest || std::abs(there - step) <= std::abs(*nearest - step)) {
      nearest = there;
    }
  }
  if (!nearest) return "; it has no complete one";
  return absl::StrCat("; the nearest is ", job.info.id(), "@", *nearest);
}

// The newest job of this name that has a complete checkpoint; null without one.
// One of step 0 has been imported: there is nothing to go on with.
const JobRecord* NewestOfName(const ClusterState& state,
                              const std::string& name) {
  const JobRecord* newest = nullptr;
  for (const JobRecord* job : JobsInOrder(state)) {
    if (job->info.job().name() != name) continue;
    const CheckpointInfo* const committed = NewestCommitted(*job);
    if (committed != nullptr && committed->id().step() > 0) newest = job;
  }
  return newest;
}

absl::StatusOr<std::optional<CheckpointId>> StartFrom(const ClusterState& state,
                                                      const std::string& text) {
  const absl::StatusOr<CheckpointInfo> info = FindCheckpoint(state, text);
  if (!info.ok()) {
    return absl::Status(info.status().code(),
                        absl::StrCat("start.from: ", info.status().message()));
  }
  if (IsCommitted(*info)) return info->id();
  return absl::FailedPreconditionError(
      absl::StrCat("start.from: the checkpoint ", text, " is ",
                   Name(info->state()), ": ", info->reason()));
}

}  // namespace

bool KeepsCheckpoints(const ClusterState& state, const JobRecord& job) {
  return state.checkpoint_store.has_value() &&
         job.info.job().has_checkpoint() &&
         (!job.parameter_layers.empty() || job.info.job().has_emulate());
}

CheckpointInfo* FindEntry(JobRecord& job, const CheckpointId& id) {
  for (CheckpointInfo& info : job.checkpoints) {
    if (info.id().step() == id.step() && info.id().epoch() == id.epoch()) {
      return &info;
    }
  }
  return nullptr;
}

const CheckpointInfo* NewestCommitted(const JobRecord& job,
                                      std::optional<int64_t> below) {
  const CheckpointInfo* newest = nullptr;
  for (const CheckpointInfo& info : job.checkpoints) {
    if (!IsCommitted(info)) continue;
    if (!below || info.id().step() < *below) newest = &info;
  }
  return newest;
}

absl::StatusOr<CheckpointName> ParseCheckpointName(const ClusterState& state,
                                                   absl::string_view text) {
  CheckpointName name;
  const size_t at = text.rfind('@');
  PENSTOCK_ASSIGN_OR_RETURN(name.job_id, FindJob(state, text.substr(0, at)));
  if (at == absl::string_view::npos) return name;
  int64_t step = 0;
  if (!absl::SimpleAtoi(text.substr(at + 1), &step) || step < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is no checkpoint; write <job>@<step>, or ",
                     "<job> for its newest"));
  }
  name.step = step;
  return name;
}

absl::StatusOr<CheckpointInfo> FindCheckpoint(const ClusterState& state,
                                              absl::string_view text) {
  PENSTOCK_ASSIGN_OR_RETURN(const CheckpointName name,
                            ParseCheckpointName(state, text));
  const JobRecord& job = state.jobs.at(name.job_id);
  if (!name.step) {
    if (const CheckpointInfo* newest = NewestCommitted(job)) return *newest;
    return absl::NotFoundError(absl::StrCat(
        "job ", name.job_id, " has no complete checkpoint; it is ",
        Name(job.info.state()), " at step ", job.info.latest().step()));
  }
  const CheckpointInfo* found = nullptr;
  for (const CheckpointInfo& info : job.checkpoints) {
    if (info.id().step() != *name.step) continue;
    if (found == nullptr || IsCommitted(info) || !IsCommitted(*found)) {
      found = &info;
    }
  }
  if (found != nullptr) return *found;
  return absl::NotFoundError(
      absl::StrCat("job ", name.job_id, " has no checkpoint of step ",
                   *name.step, NearestTo(job, *name.step)));
}

absl::StatusOr<std::optional<CheckpointId>> ChooseStart(
    const ClusterState& state, const Job& job) {
  const StartSpec& start = job.start();
  const bool resumes = !start.resume().empty() && start.resume() != kNever;
  if (!start.from().empty()) return StartFrom(state, start.from());
  if (!resumes) return std::nullopt;
  const JobRecord* earlier = NewestOfName(state, job.name());
  if (earlier == nullptr) {
    if (start.resume() != kRequire) return std::nullopt;
    return absl::NotFoundError(absl::StrCat(
        "start.resume is require, and no job \"", job.name(),
        "\" has a complete checkpoint; `penstock ckpt list` shows what there "
        "is"));
  }
  const JobState earlier_state = earlier->info.state();
  if (!IsTerminal(earlier_state) && earlier_state != JOB_STATE_SUSPENDED) {
    return absl::FailedPreconditionError(absl::StrCat(
        "start.resume is ", start.resume(), ", and job ", earlier->info.id(),
        " of that name is ", Name(earlier_state),
        "; suspend or cancel it first, or give this job another name"));
  }
  return NewestCommitted(*earlier)->id();
}

int64_t ReportedStep(const JobRecord& job) {
  int64_t step = job.info.latest().step();
  for (const RankRun& rank : job.ranks) {
    if (rank.pending_steps.empty()) continue;
    step = std::max(step, rank.pending_steps.rbegin()->first);
  }
  return step;
}

int64_t NextSnapshotStep(const CheckpointSpec& spec,
                         const SnapshotSituation& situation) {
  if (situation.previous >= situation.steps) return 0;
  const int64_t earliest = std::max(situation.previous, situation.reach) + 1;
  int64_t next = situation.steps;
  if (situation.is_late) next = std::min(next, earliest);
  if (const int64_t every = spec.every_steps(); every > 0) {
    next = std::min(next, (earliest + every - 1) / every * every);
  }
  return next;
}

int64_t SkippedIntervals(const CheckpointSpec& spec, int64_t previous,
                         int64_t next) {
  const int64_t every = spec.every_steps();
  if (every <= 0 || next <= previous) return 0;
  return (next - 1) / every - previous / every;
}

int64_t ReachOf(const JobRecord& job) {
  const double seconds = job.info.latest().step_seconds();
  const double lead = absl::ToDoubleSeconds(job.snapshot_lead);
  int64_t steps = 1;
  if (seconds > 0) {
    // No plan is so far ahead that it would matter.
    steps += static_cast<int64_t>(std::min(std::ceil(lead / seconds), 1e9));
  }
  return ReportedStep(job) + steps;
}

const JobRecord* JobThatAwaits(const ClusterState& state,
                               const CheckpointId& id) {
  for (const auto& [job_id, job] : state.jobs) {
    const JobState at = job.info.state();
    const bool is_to_start =
        at == JOB_STATE_QUEUED || at == JOB_STATE_PLACING ||
        at == JOB_STATE_LOADING || at == JOB_STATE_SUSPENDED;
    const CheckpointId& start = job.info.started_from().checkpoint();
    if (is_to_start && start.job_id() == id.job_id() &&
        start.step() == id.step() && start.epoch() == id.epoch()) {
      return &job;
    }
  }
  return nullptr;
}

absl::Status CheckDeletion(const ClusterState& state,
                           const CheckpointInfo& info, bool force) {
  const std::string what =
      absl::StrCat("the checkpoint of ", Describe(info.id()));
  if (FindTransition(info.state(), CheckpointTrigger::kExpired) == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        what, " is ", Name(info.state()), "; there is nothing to delete"));
  }
  if (const JobRecord* job = JobThatAwaits(state, info.id())) {
    return absl::FailedPreconditionError(absl::StrCat(
        what, " is what job ", job->info.id(), " (", Name(job->info.state()),
        ") will start from; cancel that job first"));
  }
  if (force || !IsCommitted(info)) return absl::OkStatus();
  if (info.pinned()) {
    return absl::FailedPreconditionError(
        absl::StrCat(what, " is pinned; unpin it, or delete it with --force"));
  }
  const JobRecord& job = state.jobs.at(info.id().job_id());
  const auto committed = std::count_if(job.checkpoints.begin(),
                                       job.checkpoints.end(), IsCommitted);
  if (committed > 1) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      what, " is the only complete one of job ", info.id().job_id(), " (",
      job.info.job().name(), "); without it ",
      info.id().step() == 0
          ? "the imported weights"
          : absl::StrCat(info.id().step(), " steps of training"),
      " are lost; --force deletes it"));
}

}  // namespace penstock
