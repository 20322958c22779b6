#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "checkpoint/shards/corruption.h"
#include "coordinator/core/checkpoint_turn.h"
#include "coordinator/core/handlers.h"
#include "coordinator/core/hang_inquiry.h"
#include "coordinator/core/memory_turn.h"
#include "coordinator/core/progress.h"
#include "coordinator/core/recovery.h"

namespace penstock {
namespace {

using Phase = StageStatus::Phase;

bool IsRunning(const JobRecord& job) {
  return job.info.state() == JOB_STATE_RUNNING ||
         job.info.state() == JOB_STATE_SUSPENDING ||
         job.info.state() == JOB_STATE_COMPLETING;
}

int CountAtLeast(const JobRecord& job, Phase phase) {
  return static_cast<int>(
      std::count_if(job.ranks.begin(), job.ranks.end(),
                    [phase](const RankRun& r) { return r.phase >= phase; }));
}

void OnLoaded(JobRecord& job, Turn& turn) {
  const int loaded = CountAtLeast(job, StageStatus::LOADED);
  if (job.connecting || job.info.state() != JOB_STATE_LOADING) return;
  if (loaded < static_cast<int>(job.ranks.size())) {
    job.info.set_reason(
        absl::StrCat(loaded, " of ", job.ranks.size(), " ranks have loaded"));
    return;
  }
  job.connecting = true;
  turn.Fire(job, JobTrigger::kAllLoaded, "connecting the ranks");
}

void OnReady(JobRecord& job, ServerRecord& server, Turn& turn) {
  turn.Fire(server, ServerTrigger::kReady, "");
  if (CountAtLeast(job, StageStatus::READY) <
      static_cast<int>(job.ranks.size())) {
    return;
  }
  if (!turn.Fire(job, JobTrigger::kAllReady, "")) return;
  for (const RankRun& rank : job.ranks) {
    turn.Fire(turn.state().servers.at(rank.server_id), ServerTrigger::kRun, "");
  }
}

std::string FaultText(const StageStatus& status, const JobRecord& job,
                      const ServerRecord& server, Turn& turn) {
  std::string text =
      absl::StrCat(Whereabouts(job, server), ": ", status.error());
  const int suspect = status.suspect_rank();
  if (!status.has_suspect_rank() || suspect < 0 ||
      suspect >= static_cast<int>(job.ranks.size())) {
    return text;
  }
  const ServerRecord& other =
      turn.state().servers.at(job.ranks[suspect].server_id);
  absl::StrAppend(&text, " (by its evidence the fault lies with ",
                  Whereabouts(job, other), ", ", Name(other.info.state()), ")");
  return text;
}

// What the rank was to load is not what was kept.
bool IsOfDamagedStart(const StageStatus& status, const JobRecord& job) {
  return job.info.state() == JOB_STATE_LOADING && job.info.has_started_from() &&
         !job.info.started_from().in_memory() &&
         absl::StrContains(status.error(), kCorruptCheckpoint);
}

void OnIdle(const StageStatus& status, int64_t epoch, ServerRecord& server,
            Turn& turn) {
  JobRecord* job = turn.JobOf(server);
  if (server.releasing) {
    turn.LeaveJob(server);
  } else if (job != nullptr && status.job_id() == job->info.id() &&
             epoch == job->info.epoch()) {
    LoseEpoch(*job,
              {RESTART_CAUSE_INFRA,
               absl::StrCat(Whereabouts(*job, server),
                            ": the stage server left the job unasked"),
               &server},
              turn);
    turn.LeaveJob(server);
  }
}

// A rank of a job that hangs has left it, or has waited too long itself.
void HearAnswer(const StageStatus& status, int64_t epoch,
                const ServerRecord& server, Turn& turn) {
  JobRecord* job = turn.JobOf(server);
  if (job == nullptr || job->info.id() != status.job_id() ||
      job->info.epoch() != epoch ||
      (status.phase() != StageStatus::IDLE && !status.has_missing())) {
    return;
  }
  AddAnswer(
      *job, server.info.rank(),
      status.has_missing() ? std::optional(status.missing()) : std::nullopt,
      turn);
}

void On(const StageStatus& status, int64_t epoch, ServerRecord& server,
        Turn& turn) {
  HearAnswer(status, epoch, server, turn);
  if (status.phase() == StageStatus::IDLE) {
    return OnIdle(status, epoch, server, turn);
  }
  RankRun* rank = turn.RankOf(server, status.job_id(), epoch);
  if (rank == nullptr) {
    turn.effects().desired.insert(server.info.id());
    return;
  }
  JobRecord& job = *turn.JobOf(server);
  if (status.phase() == StageStatus::FAULTED) {
    const std::string text = FaultText(status, job, server, turn);
    if (IsOfDamagedStart(status, job)) return StartFromOlder(job, text, turn);
    if (const auto loss = LossOf(status, text, job, server, turn.state())) {
      return LoseEpoch(job, *loss, turn);
    }
    const bool failed = turn.Fire(job, JobTrigger::kFault, text);
    if (failed && status.has_missing()) {
      BeginInquiry(job, server.info.rank(), status.missing(), turn);
    }
    return;
  }
  rank->phase = std::max(rank->phase, status.phase());
  if (status.has_data_address()) rank->data_address = status.data_address();
  if (status.phase() >= StageStatus::LOADED) OnLoaded(job, turn);
  if (status.phase() >= StageStatus::READY) OnReady(job, server, turn);
}

void On(const StepReports& steps, int64_t epoch, ServerRecord& server,
        Turn& turn) {
  RankRun* rank = turn.RankOf(server, steps.job_id(), epoch);
  if (rank == nullptr) return;
  JobRecord& job = *turn.JobOf(server);
  if (!IsRunning(job)) return;
  if (steps.has_use()) rank->use = steps.use();
  FinishedSteps finished =
      TakeReports(job, server.info.rank(), steps, turn.now());
  // Also when nothing is new: the server may have missed the last one.
  turn.effects().acks.insert(server.info.id());
  if (finished.steps.empty() && finished.timelines.empty()) return;
  for (StepRow& row : finished.steps) {
    // The job's row counts them; a step's does not.
    if (row.record().skipped()) turn.Touch(job);
    if (row.record().has_evaluation_loss() &&
        row.record().step() == job.info.checkpoints().next_step()) {
      job.pending.evaluation_loss = row.record().evaluation_loss();
    }
    turn.effects().batch.steps.push_back({job.info.id(), std::move(row)});
  }
  // Its fractions are part of the job's row.
  if (!finished.timelines.empty()) turn.Touch(job);
  for (TimelineRow& row : finished.timelines) {
    turn.effects().batch.timelines.push_back({job.info.id(), std::move(row)});
  }
  for (const RankRun& rank : job.ranks) {
    turn.effects().acks.insert(rank.server_id);
  }
  FollowSteps(job, turn);
  AdvanceCheckpoint(job, turn);
  CompleteIfDone(job, turn);
}

// Also from a server that is leaving: its last words say why.
void On(const LogTail& logs, int64_t epoch, ServerRecord& server, Turn& turn) {
  JobRecord* job = turn.JobOf(server);
  if (job == nullptr || job->info.id() != logs.job_id() ||
      job->info.epoch() != epoch) {
    return;
  }
  const int rank = server.info.rank();
  RankRun& run = job->ranks[rank];
  for (const LogEntry& entry : logs.entries()) {
    if (entry.sequence() <= run.log_sequence) continue;
    run.log_sequence = entry.sequence();
    NewLogLine& kept = turn.effects().batch.logs.emplace_back();
    kept.job_id = job->info.id();
    kept.epoch = epoch;
    kept.entry_sequence = entry.sequence();
    kept.line.set_sequence(++job->last_log_sequence);
    kept.line.set_time_unix_nanos(entry.time_unix_nanos());
    kept.line.set_rank(rank);
    for (const int stage : StagesOf(*job, rank)) kept.line.add_stages(stage);
    kept.line.set_level(entry.level());
    kept.line.set_text(entry.text());
  }
  turn.effects().acks.insert(server.info.id());
}

void On(const Finished& finished, int64_t epoch, ServerRecord& server,
        Turn& turn) {
  RankRun* rank = turn.RankOf(server, finished.job_id(), epoch);
  if (rank == nullptr) return;
  JobRecord& job = *turn.JobOf(server);
  if (!IsRunning(job)) return;
  if (finished.step() != job.info.job().steps()) {
    turn.Fire(job, JobTrigger::kFault,
              absl::StrCat(Whereabouts(job, server), ": finished at step ",
                           finished.step(), " of ", job.info.job().steps()));
    return;
  }
  rank->finished = finished;
  turn.Touch(job);
  turn.effects().acks.insert(server.info.id());
  turn.Fire(job, JobTrigger::kRankFinished, "");
  CompleteIfDone(job, turn);
}

ServerRecord* ServerOfSession(uint64_t session, Turn& turn) {
  for (auto& [id, server] : turn.state().servers) {
    if (session != 0 && server.session == session) return &server;
  }
  return nullptr;
}

std::string JobIdOf(const StageMessage& message) {
  switch (message.kind_case()) {
    case StageMessage::kStatus:
      return message.status().job_id();
    case StageMessage::kSteps:
      return message.steps().job_id();
    case StageMessage::kLogs:
      return message.logs().job_id();
    case StageMessage::kFinished:
      return message.finished().job_id();
    case StageMessage::kSnapshot:
      return message.snapshot().job_id();
    case StageMessage::kShards:
      return message.shards().checkpoint().job_id();
    default:
      return "";
  }
}

// Fences of a message, apart from the epoch, which each kind judges itself.
absl::Status CheckMessage(const SessionSpoke& event, const ServerRecord& server,
                          Turn& turn) {
  PENSTOCK_RETURN_IF_ERROR(turn.CheckTerm(event.message.fence()));
  if (event.message.incarnation() != server.info.incarnation()) {
    return absl::AbortedError(
        "the message is of another incarnation; register again");
  }
  const int64_t epoch = event.message.fence().job_epoch();
  const JobRecord* job = turn.JobOf(server);
  if (job != nullptr && !server.releasing && epoch > job->info.epoch() &&
      JobIdOf(event.message) == job->info.id()) {
    turn.effects().step_down = absl::StrCat(
        "a later coordinator has taken over: epoch ", epoch, " of job ",
        job->info.id(), ", this coordinator's is ", job->info.epoch());
    return absl::AbortedError(*turn.effects().step_down);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> On(const SessionSpoke& event, Turn& turn) {
  ServerRecord* server = ServerOfSession(event.session, turn);
  if (server == nullptr) {
    return absl::AbortedError("the session is over; register again");
  }
  if (absl::Status status = CheckMessage(event, *server, turn); !status.ok()) {
    turn.CloseSession(*server, status);
    return status;
  }
  const StageMessage& message = event.message;
  const int64_t sequence = message.idempotency_sequence();
  if (sequence != 0 && sequence <= server->heard_sequence) {
    return server->info.id();
  }
  server->heard_sequence = sequence;
  server->last_heard = turn.now();
  if (turn.Fire(*server, ServerTrigger::kHeard, "")) {
    turn.ExplainRunning(*server);
  }
  const int64_t epoch = message.fence().job_epoch();
  if (message.has_status()) On(message.status(), epoch, *server, turn);
  if (message.has_steps()) On(message.steps(), epoch, *server, turn);
  if (message.has_logs()) On(message.logs(), epoch, *server, turn);
  if (message.has_finished()) On(message.finished(), epoch, *server, turn);
  if (message.has_snapshot()) {
    OnSnapshot(message.snapshot(), epoch, *server, turn);
  }
  if (message.has_shards()) OnShards(message.shards(), epoch, *server, turn);
  if (message.has_leaving()) OnLeaving(message.leaving(), *server, turn);
  if (message.has_memory()) OnMemory(message.memory(), epoch, *server, turn);
  return server->info.id();
}

}  // namespace penstock
