#include "coordinator/core/recovery.h"

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/shards/corruption.h"
#include "coordinator/core/checkpoint_catalog.h"
#include "coordinator/core/checkpoint_turn.h"
#include "coordinator/core/memory_copies.h"

namespace penstock {
namespace {

// In a job's row; older ones are in the event log.
constexpr int kKeptReports = 16;
// Of those, shown with the reason of a job that fails.
constexpr int kShownReports = 3;
constexpr absl::Duration kLongestBackoff = absl::Minutes(1);
// How the last words of a stage server begin that was told to end, after its
// name.
constexpr char kToldToStop[] = " was told to stop";

bool IsSilent(const ServerRecord& server) {
  return server.info.state() == SERVER_STATE_SUSPECT ||
         server.info.state() == SERVER_STATE_LOST;
}

// It is to end, or to be drained.
bool IsGoing(const ServerRecord& server) {
  return server.leaving || server.info.duty() == SERVER_DUTY_DRAINING;
}

// The restart that is under way; null without one.
RestartReport* OpenReport(JobRecord& job) {
  auto& reports = *job.info.mutable_restarts();
  if (reports.empty() || reports.rbegin()->is_over()) return nullptr;
  return &*reports.rbegin();
}

std::string StepsText(int64_t steps) {
  return absl::StrCat(steps, steps == 1 ? " step" : " steps");
}

// Why a job is not started once more.
std::string TooOften(const JobRecord& job, const Loss& loss) {
  std::vector<std::string> before;
  const auto& reports = job.info.restarts();
  for (auto report = reports.rbegin();
       report != reports.rend() &&
       static_cast<int>(before.size()) < kShownReports;
       ++report) {
    before.push_back(report->evidence());
  }
  return absl::StrCat(loss.evidence, "; started again ",
                      job.info.restarts_in_row(),
                      job.info.restarts_in_row() == 1 ? " time" : " times",
                      " in a row without a new step after step ",
                      std::max(job.furthest_step, job.info.latest().step()),
                      ", which is all that restart.limit allows; before it: ",
                      absl::StrJoin(before, " | "));
}

void AddReport(JobRecord& job, const Loss& loss, Turn& turn) {
  if (RestartReport* const before = OpenReport(job)) before->set_is_over(true);
  auto& reports = *job.info.mutable_restarts();
  while (reports.size() >= kKeptReports) reports.DeleteSubrange(0, 1);
  RestartReport& report = *reports.Add();
  report.set_epoch(job.info.epoch());
  report.set_stages(job.plan->stages_size());
  report.set_ranks(job.num_ranks());
  report.set_shape(ShapeOf(*job.plan));
  report.set_cause(loss.cause);
  report.set_evidence(loss.evidence);
  report.set_began_unix_nanos(absl::ToUnixNanos(turn.now()));
  report.set_phase_unix_nanos(report.began_unix_nanos());
  report.set_at_step(job.info.latest().step());
  if (loss.server != nullptr) {
    report.set_server_id(loss.server->info.id());
    report.set_server_name(loss.server->info.name());
    report.mutable_phases()->set_detect(
        absl::ToDoubleMilliseconds(turn.now() - loss.server->last_heard));
  }
  job.info.set_restart_count(job.info.restart_count() + 1);
}

// Before the second restart in a row, and longer before each one after it.
absl::Duration Backoff(const JobRecord& job) {
  absl::Duration wait =
      absl::Seconds(job.info.job().restart().backoff_seconds());
  if (job.info.restarts_in_row() < 2) return absl::ZeroDuration();
  for (int i = 2; i < job.info.restarts_in_row(); ++i) {
    wait = std::min(2 * wait, kLongestBackoff);
  }
  return std::min(wait, kLongestBackoff);
}

// Whether servers that can be heard still have to leave the ended epoch.
bool HasServersLeft(const JobRecord& job, const ClusterState& state) {
  for (const auto& [id, server] : state.servers) {
    if (server.info.job_id() == job.info.id() && server.session != 0 &&
        !IsSilent(server)) {
      return true;
    }
  }
  return false;
}

bool IsCommitted(const ClusterState& state, const CheckpointId& id) {
  const auto owner = state.jobs.find(id.job_id());
  if (owner == state.jobs.end()) return false;
  return std::any_of(owner->second.checkpoints.begin(),
                     owner->second.checkpoints.end(),
                     [&id](const CheckpointInfo& info) {
                       return info.id().step() == id.step() &&
                              info.id().epoch() == id.epoch() &&
                              info.state() == CHECKPOINT_STATE_COMMITTED;
                     });
}

// What the next epoch begins with.
struct Choice {
  // Unset: initial weights.
  std::optional<JobStart> start;
  std::string words;
  // There was something, and all of it is gone.
  bool is_hopeless = false;
};

Choice ChooseRestart(const ClusterState& state, const JobRecord& job) {
  Choice choice;
  const CheckpointInfo* const newest = NewestCommitted(job);
  const std::optional<MemorySnapshot> memory = NewestInMemory(state, job);
  if (memory && (newest == nullptr || memory->step > newest->id().step())) {
    JobStart& start = choice.start.emplace();
    start.set_in_memory(true);
    start.mutable_checkpoint()->set_job_id(job.info.id());
    start.mutable_checkpoint()->set_step(memory->step);
    start.mutable_checkpoint()->set_epoch(memory->epoch);
    choice.words = absl::StrCat(
        "goes on from step ", memory->step, " in stage servers' memory, ",
        memory->copies,
        memory->copies == 1 ? " copy of each part" : " copies of each part");
    return choice;
  }
  if (newest != nullptr) {
    *choice.start.emplace().mutable_checkpoint() = newest->id();
    choice.words = absl::StrCat("goes on from the checkpoint of step ",
                                newest->id().step());
    return choice;
  }
  if (job.info.checkpoints().committed() > 0) {
    choice.is_hopeless = true;
    choice.words = absl::StrCat(
        "all of the ", job.info.checkpoints().committed(),
        " checkpoints that it has made are damaged or deleted; `penstock ckpt "
        "list ",
        job.info.id(), " --all` says why; submit it anew");
    return choice;
  }
  if (!job.info.has_submitted_from()) {
    choice.words = "has no checkpoint yet: begins again with initial weights";
    return choice;
  }
  choice.start = job.info.submitted_from();
  const CheckpointId& id = choice.start->checkpoint();
  choice.is_hopeless = !IsCommitted(state, id);
  choice.words = absl::StrCat(
      choice.is_hopeless ? "has no checkpoint yet, and what it was submitted "
                           "with is gone: the checkpoint of "
                         : "has no checkpoint yet: begins again with what it "
                           "was submitted with, the checkpoint of ",
      Describe(id));
  return choice;
}

void SetStart(const Choice& choice, JobRecord& job) {
  if (!choice.start) {
    job.info.clear_started_from();
    job.restore = nullptr;
    return;
  }
  *job.info.mutable_started_from() = *choice.start;
  const CheckpointId& id = choice.start->checkpoint();
  if (job.restore != nullptr && !choice.start->in_memory() &&
      Describe(job.restore->id()) == Describe(id) &&
      job.restore->id().epoch() == id.epoch()) {
    return;
  }
  job.restore = nullptr;
}

// Milliseconds since the newest phase ended; begins the next one.
double EndPhase(RestartReport& report, Turn& turn) {
  const absl::Time since = absl::FromUnixNanos(report.phase_unix_nanos());
  report.set_phase_unix_nanos(absl::ToUnixNanos(turn.now()));
  return absl::ToDoubleMilliseconds(turn.now() - since);
}

std::string PhasesText(const RestartReport::Phases& phases) {
  return absl::StrFormat(
      "detect %.0f ms, decide %.0f ms, place %.0f ms, load %.0f ms, connect "
      "%.0f ms, recompute %.0f ms",
      phases.detect(), phases.decide(), phases.place(), phases.load(),
      phases.connect(), phases.recompute());
}

// Ends the epoch and says why.
void Recover(JobRecord& job, const Loss& loss, bool counts, Turn& turn) {
  if (loss.is_of_memory) {
    const CheckpointId& id = job.info.started_from().checkpoint();
    job.lost_memory = {id.epoch(), id.step()};
  }
  AddReport(job, loss, turn);
  if (counts) job.info.set_restarts_in_row(job.info.restarts_in_row() + 1);
  job.recover_after = turn.now();
  if (counts) job.recover_after += Backoff(job);
  job.leave_by = turn.now() + turn.state().timing.lost_after;
  JobTrigger trigger = JobTrigger::kLost;
  if (job.info.state() == JOB_STATE_SUSPENDING) trigger = JobTrigger::kRelieved;
  if (loss.cause == RESTART_CAUSE_RESIZE) trigger = JobTrigger::kResized;
  job.relieves.clear();
  turn.Fire(job, trigger, loss.evidence);
}

}  // namespace

std::optional<Loss> LossOf(const StageStatus& fault, const std::string& text,
                           const JobRecord& job, const ServerRecord& server,
                           const ClusterState& state) {
  if (server.leaving || absl::StrContains(fault.error(), kToldToStop)) {
    return Loss{RESTART_CAUSE_PREEMPT, text, &server};
  }
  const int suspect = fault.suspect_rank();
  if (fault.has_suspect_rank() && suspect >= 0 &&
      suspect < static_cast<int>(job.ranks.size())) {
    const ServerRecord& other = state.servers.at(job.ranks[suspect].server_id);
    return Loss{IsGoing(other) ? RESTART_CAUSE_PREEMPT : RESTART_CAUSE_INFRA,
                text, &other};
  }
  if (job.info.state() == JOB_STATE_LOADING &&
      job.info.started_from().in_memory() &&
      (absl::StrContains(fault.error(), kLostMemory) ||
       absl::StrContains(fault.error(), kCorruptCheckpoint))) {
    return Loss{RESTART_CAUSE_INFRA, text, nullptr, /*is_of_memory=*/true};
  }
  // Nothing but channels is at work then.
  if (job.info.state() == JOB_STATE_LOADING && job.connecting) {
    return Loss{RESTART_CAUSE_INFRA, text, nullptr};
  }
  if (!fault.has_missing()) return std::nullopt;
  // It waited too long. With every server there it would again.
  for (const RankRun& rank : job.ranks) {
    const ServerRecord& other = state.servers.at(rank.server_id);
    if (!IsSilent(other)) continue;
    return Loss{RESTART_CAUSE_INFRA,
                absl::StrCat(text, "; ", Whereabouts(job, other), " is silent"),
                &other};
  }
  return std::nullopt;
}

void LoseEpoch(JobRecord& job, const Loss& loss, Turn& turn) {
  const JobState state = job.info.state();
  if (FindTransition(state, JobTrigger::kLost) == nullptr) return;
  const int limit = job.info.job().restart().limit();
  if (limit <= 0) {
    turn.Fire(job, JobTrigger::kFault, loss.evidence);
    return;
  }
  if (state == JOB_STATE_SUSPENDING && job.relieves.empty()) {
    turn.Fire(job, JobTrigger::kLost,
              absl::StrCat("before its last checkpoint was complete: ",
                           loss.evidence));
    return;
  }
  const bool counts = loss.cause != RESTART_CAUSE_PREEMPT;
  if (counts && job.info.restarts_in_row() >= limit) {
    turn.Fire(job, JobTrigger::kFault, TooOften(job, loss));
    return;
  }
  Recover(job, loss, counts, turn);
}

void OnLeaving(const Leaving& leaving, ServerRecord& server, Turn& turn) {
  if (server.leaving) return;
  server.leaving = true;
  JobRecord* const job = turn.JobOf(server);
  const std::string reason = absl::StrCat(
      "is to end within ",
      absl::FormatDuration(absl::Seconds(leaving.deadline_seconds())), ": ",
      leaving.reason());
  turn.Note("SERVER_LEAVING", absl::StrCat(server.info.name(), " ", reason),
            job, &server);
  if (job == nullptr || server.releasing) return;
  LeaveServer(*job, server,
              absl::StrCat(Whereabouts(*job, server), " ", reason), turn);
}

void LeaveServer(JobRecord& job, const ServerRecord& server,
                 const std::string& evidence, Turn& turn) {
  const JobState state = job.info.state();
  const bool may_restart = job.info.job().restart().limit() > 0;
  const bool keeps = KeepsCheckpoints(turn.state(), job);
  if (state == JOB_STATE_LOADING ||
      (state == JOB_STATE_RUNNING && !keeps && server.leaving)) {
    if (!may_restart) return;
    return LoseEpoch(job, {RESTART_CAUSE_PREEMPT, evidence, &server}, turn);
  }
  if (state != JOB_STATE_RUNNING || !keeps) return;
  if (may_restart) job.relieves = server.info.id();
  turn.Fire(job, JobTrigger::kSuspend, evidence);
  PlanLastSnapshot(job, turn);
}

bool Relieve(JobRecord& job, Turn& turn) {
  if (job.info.state() != JOB_STATE_SUSPENDING || job.relieves.empty()) {
    return false;
  }
  const ServerRecord& server = turn.state().servers.at(job.relieves);
  Recover(job,
          {RESTART_CAUSE_PREEMPT,
           absl::StrCat(Whereabouts(job, server), ": the stage server ",
                        server.leaving ? "leaves" : "is drained"),
           &server},
          /*counts=*/false, turn);
  return true;
}

void Resize(JobRecord& job, const std::string& evidence, Turn& turn) {
  Recover(job, {RESTART_CAUSE_RESIZE, evidence}, /*counts=*/false, turn);
}

void AskWhatIsInMemory(JobRecord& job, Turn& turn) {
  if (!KeepsMemory(job)) return;
  if (job.info.state() == JOB_STATE_QUEUED &&
      job.info.started_from().in_memory()) {
    turn.Fire(job, JobTrigger::kLost, "the coordinator restarted");
  }
  if (job.info.state() != JOB_STATE_RECOVERING) return;
  job.recover_after = turn.now() + turn.state().timing.suspect_after;
}

void NoteStart(JobRecord& job) {
  RestartReport* const report = OpenReport(job);
  if (report == nullptr) return;
  report->clear_start();
  if (job.info.has_started_from()) {
    *report->mutable_start() = job.info.started_from();
  }
  report->set_from_step(StartStep(job));
  report->set_steps_lost(
      std::max<int64_t>(0, report->at_step() - report->from_step()));
}

void AdvanceRecovery(JobRecord& job, Turn& turn) {
  if (job.info.state() != JOB_STATE_RECOVERING ||
      turn.now() < job.recover_after) {
    return;
  }
  if (turn.now() < job.leave_by && HasServersLeft(job, turn.state())) return;
  const Choice choice = ChooseRestart(turn.state(), job);
  if (choice.is_hopeless) {
    turn.Fire(job, JobTrigger::kFault,
              absl::StrCat(job.info.reason(), "; ", choice.words));
    return;
  }
  SetStart(choice, job);
  std::string words = choice.words;
  NoteStart(job);
  if (const RestartReport* const report = OpenReport(job)) {
    absl::StrAppend(&words, "; ", StepsText(report->steps_lost()), " of ",
                    report->at_step(), " lost");
  }
  SetBack(job, StartStep(job), turn);
  job.shrink_after = turn.now() + turn.state().timing.suspect_after;
  job.planned_for = -1;
  turn.Fire(job, JobTrigger::kRecovered, words);
  ReadStart(job, turn);
}

bool WaitsForTime(const JobRecord& job) {
  return job.info.state() == JOB_STATE_RECOVERING ||
         (job.info.state() == JOB_STATE_QUEUED && job.info.restart_count() > 0);
}

void FollowRestart(JobRecord& job, JobTrigger trigger, Turn& turn) {
  RestartReport* const report = OpenReport(job);
  if (report == nullptr) return;
  RestartReport::Phases& phases = *report->mutable_phases();
  switch (trigger) {
    case JobTrigger::kRecovered:
      phases.set_decide(phases.decide() + EndPhase(*report, turn));
      return;
    case JobTrigger::kAssigned:
      phases.set_place(phases.place() + EndPhase(*report, turn));
      return;
    case JobTrigger::kAllLoaded:
      phases.set_load(phases.load() + EndPhase(*report, turn));
      return;
    case JobTrigger::kAllReady:
      phases.set_connect(phases.connect() + EndPhase(*report, turn));
      return;
    default:
      if (IsTerminal(job.info.state()) ||
          job.info.state() == JOB_STATE_SUSPENDED) {
        report->set_is_over(true);
      }
  }
}

void FollowSteps(JobRecord& job, Turn& turn) {
  const int64_t step = job.info.latest().step();
  if (step > job.furthest_step && job.info.restarts_in_row() > 0) {
    job.info.set_restarts_in_row(0);
    turn.Touch(job);
  }
  RestartReport* const report = OpenReport(job);
  if (report == nullptr || !report->phases().has_connect() ||
      step < std::max(report->at_step(), report->from_step() + 1)) {
    return;
  }
  report->mutable_phases()->set_recompute(EndPhase(*report, turn));
  report->set_is_over(true);
  turn.Note(
      "JOB_RESTARTED",
      absl::StrCat("from step ", report->from_step(), " in epoch ",
                   job.info.epoch(), ", ", StepsText(report->steps_lost()),
                   " made again; ", PhasesText(report->phases())),
      &job, nullptr);
  turn.Touch(job);
}

void SetBack(JobRecord& job, int64_t step, Turn& turn) {
  const ProgressRecord& latest = job.info.latest();
  // Else it is what another job has made, or was set back already.
  if (latest.finished_unix_nanos() != 0) {
    job.furthest_step = std::max(job.furthest_step, latest.step());
  }
  if (latest.step() == step) return;
  job.info.clear_latest();
  if (step > 0) job.info.mutable_latest()->set_step(step);
  WriteBatch& batch = turn.effects().batch;
  std::erase_if(batch.steps, [&](const NewStep& one) {
    return one.job_id == job.info.id() && one.row.record().step() > step;
  });
  batch.kept_steps[job.info.id()] = step;
  turn.Touch(job);
}

int64_t StartStep(const JobRecord& job) {
  if (!job.info.has_started_from() || job.info.started_from().weights_only()) {
    return 0;
  }
  return job.info.started_from().checkpoint().step();
}

}  // namespace penstock
