#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "coordinator/core/checkpoint_turn.h"
#include "coordinator/core/drain.h"
#include "coordinator/core/handlers.h"
#include "coordinator/core/hang_inquiry.h"
#include "coordinator/core/recovery.h"

namespace penstock {
namespace {

absl::Status CheckRegistration(const ServerRegistered& event, Turn& turn) {
  const RegisterRequest& request = event.request;
  if (request.server_id().empty() || request.incarnation() == 0) {
    return absl::InvalidArgumentError(
        "server_id and incarnation must be set: a stable id of the server, and "
        "a random number of this process");
  }
  // A smaller term is how a server meets a restarted coordinator.
  if (request.fence().coordinator_term() > turn.state().term) {
    return turn.CheckTerm(request.fence());
  }
  if (request.build_version() != event.build_version) {
    return absl::FailedPreconditionError(
        absl::StrCat("stage server ", request.server_id(), " is build ",
                     request.build_version(), ", this coordinator is ",
                     event.build_version, "; install the same build on both"));
  }
  const auto found = turn.state().servers.find(request.server_id());
  if (found == turn.state().servers.end()) return absl::OkStatus();
  const ServerRecord& known = found->second;
  if (known.info.incarnation() != request.incarnation() && known.session != 0 &&
      known.info.state() != SERVER_STATE_SUSPECT) {
    return absl::FailedPreconditionError(absl::StrCat(
        "server id ", request.server_id(), " is taken by a live stage server (",
        known.info.address(), "); stop that one or choose another id"));
  }
  return absl::OkStatus();
}

// A server that a job counts on came back; finds out what it still has of it.
void CompareClaim(const RegisterRequest& request, ServerRecord& server,
                  Turn& turn) {
  JobRecord* job = turn.JobOf(server);
  const bool idle = request.job_id().empty();
  if (job == nullptr) {
    if (idle) return;
    server.releasing = true;
    server.job_epoch = request.job_epoch();
    server.release_reason =
        absl::StrCat("job ", request.job_id(), " goes on without this server");
    return;
  }
  if (server.releasing) {
    if (idle) turn.LeaveJob(server);
    return;
  }
  const bool same = request.job_id() == job->info.id() &&
                    request.job_epoch() == job->info.epoch();
  // In LOADING the assignment may simply not have reached it yet.
  if (same || job->info.state() == JOB_STATE_LOADING) return;
  LoseEpoch(*job,
            {RESTART_CAUSE_INFRA,
             absl::StrCat(Whereabouts(*job, server),
                          ": the stage server came back without the job"),
             &server},
            turn);
  if (idle) turn.LeaveJob(server);
}

void FillServer(const ServerRegistered& event, absl::Time now,
                ServerRecord& server) {
  const RegisterRequest& request = event.request;
  server.info.set_id(request.server_id());
  server.info.set_name(request.name().empty() ? request.server_id()
                                              : request.name());
  server.info.set_address(event.address);
  server.info.set_device(request.device());
  server.info.set_build_version(request.build_version());
  if (server.info.incarnation() != request.incarnation()) {
    server.held.clear();
    server.leaving = false;
  }
  server.info.set_incarnation(request.incarnation());
  server.memory_address = request.memory_address();
  server.info.set_memory_bytes(request.memory_bytes());
  server.host_identity = request.host_identity();
  server.info.set_host_identity(request.host_identity());
  *server.info.mutable_host() = request.host();
  server.info.set_registered_unix_nanos(absl::ToUnixNanos(now));
  server.cores = request.cores();
}

// What a lost server takes with it.
void Lose(ServerRecord& server, const std::string& reason, Turn& turn) {
  turn.CloseSession(server, absl::AbortedError(absl::StrCat(
                                "judged lost: ", reason, "; register again")));
  turn.Fire(server, ServerTrigger::kSilent, reason);
  turn.Fire(server, ServerTrigger::kGone, reason);
  turn.GiveUp(server, absl::StrCat("the stage server is lost: ", reason));
  server.activity = SERVER_STATE_IDLE;
}

}  // namespace

absl::StatusOr<std::string> On(const CoordinatorStarted& event, Turn& turn) {
  ClusterState& state = turn.state();
  turn.effects().batch.term = ++state.term;
  if (state.cluster_secret.empty()) {
    state.cluster_secret = event.cluster_secret;
    turn.effects().batch.cluster_secret = event.cluster_secret;
  }
  turn.Note("COORDINATOR_STARTED",
            absl::StrCat("term ", state.term, ", build ", event.build_version),
            nullptr, nullptr);
  for (auto& [id, server] : state.servers) {
    server.session = 0;
    if (server.info.state() == SERVER_STATE_LOST) continue;
    // Its silence counts from when it could be heard.
    server.last_heard = turn.now();
    turn.Fire(server, ServerTrigger::kSilent, "the coordinator restarted");
  }
  for (auto& [id, job] : state.jobs) {
    const bool was_cancelling = job.info.state() == JOB_STATE_CANCELLING;
    turn.Fire(job, JobTrigger::kRestarted,
              was_cancelling ? job.info.reason() : "the coordinator restarted");
    AskWhatIsInMemory(job, turn);
    for (const RankRun& rank : job.ranks) {
      turn.ExplainRunning(state.servers.at(rank.server_id));
    }
  }
  if (event.checkpoints) CompareCheckpoints(*event.checkpoints, turn);
  return "";
}

absl::StatusOr<std::string> On(const Tick&, Turn& turn) {
  const Timing& timing = turn.state().timing;
  for (auto& [id, server] : turn.state().servers) {
    if (server.info.state() == SERVER_STATE_LOST) continue;
    const absl::Duration silent = turn.now() - server.last_heard;
    const std::string reason = absl::StrCat(
        "not heard for ",
        absl::FormatDuration(absl::Trunc(silent, absl::Milliseconds(100))));
    if (silent >= timing.lost_after) {
      Lose(server, reason, turn);
    } else if (silent >= timing.suspect_after &&
               turn.Fire(server, ServerTrigger::kSilent, reason)) {
      turn.ExplainRunning(server);
    }
  }
  EndOverdueInquiries(turn);
  EndOverdueDrains(turn);
  for (auto& [id, job] : turn.state().jobs) {
    LeaveDrained(job, turn);
    PlanLateSnapshot(job, turn);
    if (WaitsForTime(job)) turn.NeedPlacement();
  }
  return "";
}

absl::StatusOr<std::string> On(const ServerRegistered& event, Turn& turn) {
  PENSTOCK_RETURN_IF_ERROR(CheckRegistration(event, turn));
  const RegisterRequest& request = event.request;
  const auto [entry, is_new] =
      turn.state().servers.try_emplace(request.server_id());
  ServerRecord& server = entry->second;
  const bool restarted =
      !is_new && server.info.incarnation() != request.incarnation();
  if (restarted) {
    turn.CloseSession(
        server, absl::AbortedError("another process has registered this id"));
    turn.GiveUp(server, "the stage server restarted");
  }
  FillServer(event, turn.now(), server);
  server.last_heard = turn.now();
  if (is_new) {
    server.info.set_state(SERVER_STATE_SUSPECT);
    server.info.set_reason("registered, no session yet");
  }
  turn.Fire(server, ServerTrigger::kRegistered, "registered, no session yet");
  CompareClaim(request, server, turn);
  if (is_new || restarted) {
    turn.Note("SERVER_REGISTERED",
              absl::StrCat(server.info.name(), ", ", request.device(), ", ",
                           request.cores(), " cores, ", event.address),
              nullptr, &server);
  }
  turn.Touch(server);
  turn.NeedPlacement();
  return request.server_id();
}

absl::StatusOr<std::string> On(const SessionOpened& event, Turn& turn) {
  PENSTOCK_RETURN_IF_ERROR(turn.CheckTerm(event.fence));
  const auto found = turn.state().servers.find(event.server_id);
  if (found == turn.state().servers.end() ||
      found->second.info.incarnation() != event.incarnation ||
      found->second.info.state() == SERVER_STATE_LOST) {
    return absl::AbortedError(absl::StrCat("stage server ", event.server_id,
                                           " is not registered with this "
                                           "incarnation; register first"));
  }
  ServerRecord& server = found->second;
  if (server.session != 0) {
    turn.effects().closed_sessions.emplace(
        server.session,
        absl::AbortedError("a newer session of this server took over"));
  }
  server.session = event.session;
  server.heard_sequence = 0;
  server.last_heard = turn.now();
  turn.Fire(server, ServerTrigger::kHeard, "");
  turn.ExplainRunning(server);
  turn.effects().desired.insert(event.server_id);
  turn.effects().acks.insert(event.server_id);
  turn.NeedPlacement();
  return event.server_id;
}

absl::StatusOr<std::string> On(const SessionClosed& event, Turn& turn) {
  for (auto& [id, server] : turn.state().servers) {
    if (server.session != event.session) continue;
    server.session = 0;
    turn.Fire(server, ServerTrigger::kSilent,
              absl::StrCat("its session broke: ", event.why));
    turn.ExplainRunning(server);
    return id;
  }
  return "";
}

}  // namespace penstock
