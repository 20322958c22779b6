// What people do, and what goes wrong, as parts of the world.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/core/checkpoint_catalog.h"
#include "coordinator/core/job_machine.h"
#include "tests/simulation/training.h"
#include "tests/simulation/world.h"

namespace penstock::simulation {
namespace {

constexpr absl::Duration kRetry = absl::Seconds(3);
constexpr absl::Duration kTend = absl::Seconds(5);
constexpr int kReplays = 4;
constexpr absl::Duration kReplayTime = absl::Seconds(30);

const std::string& JobIdOf(const StageMessage& message) {
  static const std::string* const none = new std::string();
  if (message.has_status()) return message.status().job_id();
  if (message.has_steps()) return message.steps().job_id();
  if (message.has_finished()) return message.finished().job_id();
  if (message.has_snapshot()) return message.snapshot().job_id();
  if (message.has_shards()) return message.shards().checkpoint().job_id();
  return *none;
}

}  // namespace

const SimulatedJob& World::JobOf(const std::string& name) const {
  return *std::find_if(
      scenario_.jobs.begin(), scenario_.jobs.end(),
      [&name](const SimulatedJob& job) { return job.name == name; });
}

void World::Act(const Action& action) {
  Trace(ToText(action));
  switch (action.kind) {
    case ActionKind::kSlow:
      slow_until_ = now_ + absl::Seconds(action.seconds);
      return;
    case ActionKind::kFill:
      files_.SetFull(true);
      return After(absl::Seconds(action.seconds),
                   [this] { files_.SetFull(false); });
    case ActionKind::kCrash:
      return Crash(action.seconds);
    case ActionKind::kCrashUnwritten:
    case ActionKind::kCrashUnspoken:
      crash_ = action.kind == ActionKind::kCrashUnspoken
                   ? CoordinatorProcess::Crash::kUnspoken
                   : CoordinatorProcess::Crash::kUnwritten;
      crash_seconds_ = action.seconds;
      return;
    case ActionKind::kStall:
      stalled_until_ = now_ + absl::Seconds(action.seconds);
      return;
    case ActionKind::kClock:
      next_clock_offset_ = absl::Seconds(action.seconds);
      return;
    default:
      break;
  }
  return hosts_.contains(action.target) ? ActOnServer(action)
                                        : ActOnJob(action);
}

// ---- People ---------------------------------------------------------------

void World::ActOnJob(const Action& action) {
  const std::string& job = action.target;
  switch (action.kind) {
    case ActionKind::kSubmit:
      // With another id, as the service draws one, if it is known.
      return SubmitJob(JobOf(job), accepted_.contains(job)
                                       ? absl::StrCat(job, "-again")
                                       : job);
    case ActionKind::kCancel:
      auditor_.NoteCancel(job);
      return Submit(JobCancelRequested{Fence(), job, ""});
    case ActionKind::kSuspend:
      return Submit(JobSuspendRequested{Fence(), job, ""});
    case ActionKind::kResume:
      return Resume(job);
    case ActionKind::kPin:
      return Submit(CheckpointPinRequested{Fence(), job, true});
    case ActionKind::kRemove:
      return Submit(CheckpointDeleteRequested{Fence(), job, true});
    case ActionKind::kDamage:
      return files_.Damage(job);
    default:
      return;
  }
}

// People ask again, with the same key, until there is an answer.
void World::SubmitJob(const SimulatedJob& job, const std::string& id) {
  const PlannedJob planned = PlanOf(job);
  submitted_.insert(job.name);
  Submit(
      JobSubmitted{Fence(), absl::StrCat("key-", job.name), id, planned.plan,
                   planned.parameter_layers, nullptr},
      [this, name = job.name](const absl::StatusOr<std::string>& answer) {
        accepted_.insert(name);
        if (answer.ok() && *answer == name) return;
        auditor_.Report(
            "a submission that is sent again makes no second job",
            absl::StrCat(name, ": ",
                         answer.ok() ? *answer : answer.status().ToString()));
      });
  After(kRetry, [this, &job] {
    if (!accepted_.contains(job.name)) SubmitJob(job, job.name);
  });
}

// As coordinator/service/start_reader.cc does it.
void World::Resume(const std::string& name) {
  if (coordinator_ == nullptr) return;
  const auto& jobs = coordinator_->state().jobs;
  const auto found = jobs.find(name);
  if (found == jobs.end()) return;
  const JobRecord& job = found->second;
  std::shared_ptr<const CheckpointManifest> restore;
  if (job.info.state() == JOB_STATE_SUSPENDED) {
    const CheckpointInfo* const newest = NewestCommitted(job);
    if (newest == nullptr && job.info.checkpoints().committed() > 0) {
      // There is nothing to go on from; all that can be done is to give up.
      if (!is_mended_) return;
      auditor_.NoteCancel(name);
      return Submit(JobCancelRequested{Fence(), name, ""});
    }
    if (newest != nullptr) {
      const auto manifest = files_.Read(newest->id());
      if (!manifest.ok()) {
        return Submit(CheckpointDamaged{
            newest->id(), std::string(manifest.status().message())});
      }
      restore = *manifest;
    }
  }
  Submit(JobResumeRequested{Fence(), name, std::move(restore)});
}

// ---- Servers --------------------------------------------------------------

void World::ActOnServer(const Action& action) {
  Host& host = *HostOf(action.target);
  switch (action.kind) {
    case ActionKind::kKill:
      return Kill(host, action.seconds);
    case ActionKind::kTerminate:
      return InHost(host, absl::ZeroDuration(),
                    [this, seconds = action.seconds](StageProcess& process) {
                      process.Terminate(absl::Seconds(seconds), now_);
                    });
    case ActionKind::kFreeze:
      host.frozen_until = now_ + absl::Seconds(action.seconds);
      return;
    case ActionKind::kBreak:
      return BreakSession(host);
    case ActionKind::kPartition:
      return BeginPartition(host, action.seconds);
    case ActionKind::kUnplug:
      plane_.Unplug(host.id);
      return After(absl::Seconds(action.seconds),
                   [this, &host] { plane_.Plug(host.id); });
    case ActionKind::kFail:
      if (host.process != nullptr) host.process->FailDevice();
      return;
    case ActionKind::kReplay:
      host.replays = kReplays;
      host.replay_until = now_ + kReplayTime;
      return;
    default:
      return;
  }
}

void World::Kill(Host& host, double seconds) {
  if (host.process == nullptr) return;
  Trace(absl::StrCat(host.id, " is gone"));
  host.process.reset();
  host.has_exited = false;
  host.frozen_until = now_;
  if (host.session != 0) {
    const uint64_t id = host.session;
    sessions_.at(id).is_open_at_server = false;
    // A process's end is seen at once; a machine's is not.
    const bool is_seen = dice_.OneIn(2);
    BreakCoordinatorSide(
        id, is_seen ? "connection reset" : "keepalive",
        is_seen ? absl::Milliseconds(10)
                : dice_.Between(absl::Seconds(2), absl::Seconds(15)));
  }
  After(absl::Seconds(seconds), [this, &host] { StartHost(host); });
}

// Something that the server said of its job in an epoch that is over comes
// again, in its present session, as new in everything but the epoch.
void World::Replay(Host& host) {
  const auto session = sessions_.find(host.session);
  if (host.replays == 0 || coordinator_ == nullptr ||
      session == sessions_.end() || !session->second.has_begun ||
      !session->second.is_open_at_coordinator) {
    return;
  }
  const ClusterState& state = coordinator_->state();
  const auto server = state.servers.find(host.id);
  if (server == state.servers.end()) return;
  const ServerRecord& known = server->second;
  std::vector<StageMessage> stale;
  for (const StageMessage& message : host.said) {
    const int64_t epoch = message.fence().job_epoch();
    if (JobIdOf(message) == known.info.job_id() && epoch != 0 &&
        epoch < known.job_epoch) {
      stale.push_back(message);
    }
  }
  if (stale.empty()) return;
  --host.replays;
  StageMessage message = stale[dice_.Below(static_cast<int>(stale.size()))];
  message.mutable_fence()->set_coordinator_term(state.term);
  message.set_incarnation(known.info.incarnation());
  message.set_idempotency_sequence(known.heard_sequence + 1);
  if (options_.rewrites_fences) {
    message.mutable_fence()->set_job_epoch(known.job_epoch);
  }
  Trace(absl::StrCat("replays {", message.ShortDebugString().substr(0, 200),
                     "}"));
  Submit(SessionSpoke{host.session, message});
}

// ---- Afterwards -----------------------------------------------------------

void World::Mend() {
  Trace("everything is mended");
  is_mended_ = true;
  crash_ = CoordinatorProcess::Crash::kNever;
  next_clock_offset_ = clock_offset_;
  stalled_until_ = now_;
  slow_until_ = now_;
  files_.SetFull(false);
  StartCoordinator();
  for (auto& [id, host] : hosts_) {
    plane_.Plug(id);
    host->frozen_until = now_;
    host->cut_off_until = now_;
    StartHost(*host);
    // What was lost within a session comes again only in another one.
    if (scenario_.is_lossy) {
      After(absl::Seconds(4),
            [this, host = host.get()] { BreakSession(*host); });
    }
  }
  TendJobs();
}

void World::TendJobs() {
  for (const std::string& name : submitted_) {
    if (!accepted_.contains(name)) SubmitJob(JobOf(name), name);
  }
  if (coordinator_ != nullptr) {
    for (const auto& [id, job] : coordinator_->state().jobs) {
      if (job.info.state() == JOB_STATE_SUSPENDED) Resume(id);
    }
  }
  After(kTend, [this] { TendJobs(); });
}

bool World::IsOver() const {
  if (coordinator_ == nullptr || !works_.empty() || !inbox_.empty() ||
      accepted_.size() < submitted_.size()) {
    return false;
  }
  const ClusterState& state = coordinator_->state();
  for (const auto& [id, job] : state.jobs) {
    if (!IsTerminal(job.info.state())) return false;
  }
  if (state.servers.size() < hosts_.size()) return false;
  return std::all_of(state.servers.begin(), state.servers.end(),
                     [](const auto& entry) {
                       return entry.second.info.state() == SERVER_STATE_IDLE;
                     });
}

}  // namespace penstock::simulation
