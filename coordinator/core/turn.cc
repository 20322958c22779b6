#include "coordinator/core/turn.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/core/checkpoint_turn.h"
#include "coordinator/core/elastic.h"
#include "coordinator/core/memory_turn.h"
#include "coordinator/core/placement.h"
#include "coordinator/core/recovery.h"
#include "coordinator/core/weights_digest.h"

namespace penstock {
namespace {

bool IsAboutActivity(ServerTrigger trigger) {
  return trigger == ServerTrigger::kAssigned ||
         trigger == ServerTrigger::kReady || trigger == ServerTrigger::kRun ||
         trigger == ServerTrigger::kReleased;
}

// Why a job that runs cannot count on its servers just now; empty if it can.
std::string WaitsForServers(const ClusterState& state, const JobRecord& job) {
  for (const RankRun& rank : job.ranks) {
    const ServerRecord& server = state.servers.at(rank.server_id);
    if (server.info.state() != SERVER_STATE_SUSPECT) continue;
    return absl::StrCat("waits for ", server.info.name(), ", which is silent (",
                        server.info.reason(), ")");
  }
  return "";
}

// For the event log, of a state that needs no reason.
std::string WhatHappened(const JobRecord& job) {
  switch (job.info.state()) {
    case JOB_STATE_QUEUED:
      return absl::StrCat("waits for ", job.num_ranks(), " stage servers");
    case JOB_STATE_LOADING:
      return absl::StrCat(
          "on ", absl::StrJoin(job.ranks, ", ",
                               [](std::string* out, const RankRun& rank) {
                                 absl::StrAppend(out, rank.server_id);
                               }));
    case JOB_STATE_RUNNING:
      return "every rank is connected";
    case JOB_STATE_COMPLETING:
      return "a rank has finished";
    case JOB_STATE_SUCCEEDED:
      if (job.info.weights_digest().empty()) return "every rank has finished";
      return absl::StrCat("every rank has finished; weights ",
                          job.info.weights_digest());
    default:
      return "";
  }
}

}  // namespace

bool Turn::Fire(JobRecord& job, JobTrigger trigger, const std::string& reason) {
  const JobTransition* row = FindTransition(job.info.state(), trigger);
  if (row == nullptr) return false;
  job.info.set_state(row->to);
  job.info.set_reason(reason);
  for (const JobEffect effect : row->effects) Do(effect, job, reason);
  if (row->to != row->from) {
    Note(absl::StrCat("JOB_", Name(row->to)),
         reason.empty() ? WhatHappened(job) : reason, &job, nullptr);
  }
  FollowRestart(job, trigger, *this);
  Touch(job);
  placement_needed_ = true;
  return true;
}

void Turn::Do(JobEffect effect, JobRecord& job, const std::string& reason) {
  switch (effect) {
    case JobEffect::kBeginEpoch:
      job.info.set_epoch(job.info.epoch() + 1);
      job.connecting = false;
      BeginMemory(job, *this);
      return BeginCheckpoints(job, *this);
    case JobEffect::kReserveServers:
      return ReserveServers(job);
    case JobEffect::kStampStart:
      // Of a job that was suspended the first one stays.
      if (job.info.started_unix_nanos() != 0) return;
      job.info.set_started_unix_nanos(absl::ToUnixNanos(now_));
      return;
    case JobEffect::kStampEnd:
      job.info.set_ended_unix_nanos(absl::ToUnixNanos(now_));
      return;
    case JobEffect::kDigestWeights:
      job.info.set_weights_digest(DigestOf(job).value_or(""));
      return;
    case JobEffect::kEndCheckpoints:
      return EndCheckpoints(job, reason, *this);
    case JobEffect::kSendDesired:
      for (const RankRun& rank : job.ranks) {
        effects_.desired.insert(rank.server_id);
      }
      return;
    case JobEffect::kReleaseServers:
      return ReleaseServers(job, reason);
  }
}

void Turn::ReserveServers(JobRecord& job) {
  for (size_t rank = 0; rank < job.ranks.size(); ++rank) {
    ServerRecord& server = state_.servers.at(job.ranks[rank].server_id);
    server.info.set_job_id(job.info.id());
    server.info.set_rank(static_cast<int>(rank));
    server.job_epoch = job.info.epoch();
    Fire(server, ServerTrigger::kAssigned, "");
  }
}

void Turn::ReleaseServers(JobRecord& job, const std::string& reason) {
  for (auto& [id, server] : state_.servers) {
    if (server.info.job_id() != job.info.id()) continue;
    server.releasing = true;
    server.release_reason =
        absl::StrCat("job ", job.info.id(), " is ", Name(job.info.state()),
                     reason.empty() ? "" : absl::StrCat(": ", reason));
    effects_.desired.insert(id);
    Touch(server);
  }
}

bool Turn::Fire(ServerRecord& server, ServerTrigger trigger,
                const std::string& reason) {
  const bool beneath =
      server.info.state() == SERVER_STATE_SUSPECT && IsAboutActivity(trigger);
  const ServerTransition* row =
      FindTransition(beneath ? server.activity : server.info.state(), trigger);
  if (row == nullptr) return false;
  if (IsAboutActivity(trigger)) server.activity = *row->to;
  if (!beneath) {
    server.info.set_state(row->to.value_or(server.activity));
    server.info.set_reason(reason);
  }
  if (!row->event.empty()) {
    Note(row->event,
         absl::StrCat(server.info.name(), reason.empty() ? "" : ": ", reason),
         JobOf(server), &server);
  }
  Touch(server);
  placement_needed_ = true;
  return true;
}

bool Turn::Fire(ServerRecord& server, DutyTrigger trigger,
                const std::string& reason) {
  const DutyTransition* row = FindTransition(server.info.duty(), trigger);
  if (row == nullptr) return false;
  server.info.set_duty(row->to);
  server.info.set_duty_reason(reason);
  server.info.clear_drain_deadline_unix_nanos();
  Note(row->event,
       absl::StrCat(server.info.name(), reason.empty() ? "" : ": ", reason),
       JobOf(server), &server);
  Touch(server);
  placement_needed_ = true;
  return true;
}

void Turn::Touch(const JobRecord& job) {
  effects_.changed_jobs.insert(job.info.id());
}

void Turn::Touch(const ServerRecord& server) {
  effects_.changed_servers.insert(server.info.id());
}

void Turn::Explain(JobRecord& job, const std::string& reason) {
  if (job.info.reason() == reason) return;
  job.info.set_reason(reason);
  Touch(job);
}

void Turn::ExplainRunning(const ServerRecord& server) {
  JobRecord* job = JobOf(server);
  if (job == nullptr || (job->info.state() != JOB_STATE_RUNNING &&
                         job->info.state() != JOB_STATE_SUSPENDING &&
                         job->info.state() != JOB_STATE_COMPLETING)) {
    return;
  }
  Explain(*job, WaitsForServers(state_, *job));
}

void Turn::Note(const std::string& kind, const std::string& message,
                const JobRecord* job, const ServerRecord* server) {
  Event& event = effects_.batch.events.emplace_back();
  event.set_sequence(++state_.last_event_sequence);
  event.set_time_unix_nanos(absl::ToUnixNanos(now_));
  event.set_kind(kind);
  event.set_message(message);
  if (job != nullptr) {
    event.set_job_id(job->info.id());
    event.set_job_epoch(job->info.epoch());
  }
  if (server != nullptr) event.set_server_id(server->info.id());
}

absl::Status Turn::CheckTerm(const Fence& fence) {
  if (fence.coordinator_term() == 0 ||
      fence.coordinator_term() == state_.term) {
    return absl::OkStatus();
  }
  const std::string terms =
      absl::StrCat("term ", fence.coordinator_term(),
                   " of the message, this coordinator's is ", state_.term);
  if (fence.coordinator_term() > state_.term) {
    effects_.step_down =
        absl::StrCat("a later coordinator has taken over: ", terms);
    return absl::AbortedError(*effects_.step_down);
  }
  return absl::AbortedError(absl::StrCat(
      terms, ": the coordinator has restarted; register or ask again"));
}

JobRecord* Turn::JobOf(const ServerRecord& server) {
  const auto found = state_.jobs.find(server.info.job_id());
  return found == state_.jobs.end() ? nullptr : &found->second;
}

RankRun* Turn::RankOf(const ServerRecord& server, const std::string& job_id,
                      int64_t epoch) {
  JobRecord* job = JobOf(server);
  if (job == nullptr || job->info.id() != job_id || server.releasing ||
      epoch != job->info.epoch()) {
    return nullptr;
  }
  return &job->ranks[server.info.rank()];
}

void Turn::LeaveJob(ServerRecord& server) {
  JobRecord* job = JobOf(server);
  server.releasing = false;
  server.release_reason.clear();
  Fire(server, ServerTrigger::kReleased, "");
  server.info.clear_job_id();
  server.info.clear_rank();
  server.job_epoch = 0;
  const std::string drained_for = server.info.duty_reason();
  Fire(server, DutyTrigger::kDrained, drained_for);
  Touch(server);
  placement_needed_ = true;
  if (job == nullptr) return;
  for (const auto& [id, other] : state_.servers) {
    if (other.info.job_id() == job->info.id()) return;
  }
  Fire(*job, JobTrigger::kReleased, job->info.reason());
}

void Turn::CloseSession(ServerRecord& server, const absl::Status& status) {
  if (server.session == 0) return;
  effects_.closed_sessions.emplace(server.session, status);
  server.session = 0;
  Fire(server, ServerTrigger::kSilent, std::string(status.message()));
}

void Turn::GiveUp(ServerRecord& server, const std::string& reason) {
  if (JobRecord* job = JobOf(server); job != nullptr && !server.releasing) {
    LoseEpoch(*job,
              {RESTART_CAUSE_INFRA,
               absl::StrCat(Whereabouts(*job, server), ": ", reason), &server},
              *this);
  }
  LeaveJob(server);
}

void Turn::PlaceQueued() {
  if (!placement_needed_) return;
  for (auto& [id, job] : state_.jobs) AdvanceRecovery(job, *this);
  FitPlanToServers(*this);
  for (PlacementDecision& decision : DecidePlacement(state_)) {
    JobRecord& job = state_.jobs.at(decision.job_id);
    if (decision.server_ids.empty()) {
      Explain(job, decision.reason);
      continue;
    }
    job.ranks.clear();
    for (std::string& id : decision.server_ids) {
      RankRun& rank = job.ranks.emplace_back();
      rank.incarnation = state_.servers.at(id).info.incarnation();
      rank.server_id = std::move(id);
    }
    const std::string count =
        absl::StrCat(job.ranks.size(), " ranks, epoch ", job.info.epoch() + 1);
    Fire(job, JobTrigger::kServersFound, count);
    Fire(job, JobTrigger::kAssigned, "");
  }
}

absl::StatusOr<std::string> DigestOf(const JobRecord& job) {
  // Emulated devices have no weights.
  if (job.parameter_layers.empty()) return "";
  std::vector<LayerDigest> digests;
  for (const RankRun& rank : job.ranks) {
    if (!rank.finished) continue;
    digests.insert(digests.end(), rank.finished->layers().begin(),
                   rank.finished->layers().end());
  }
  return WeightsDigest(digests, job.parameter_layers);
}

}  // namespace penstock
