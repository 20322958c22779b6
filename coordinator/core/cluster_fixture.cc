#include "coordinator/core/cluster_fixture.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/sha256.h"
#include "coordinator/core/job_machine.h"
#include "coordinator/core/step.h"

namespace penstock {
namespace {

constexpr char kBuild[] = "1.0";
constexpr int kSteps = 2;

}  // namespace

std::shared_ptr<const Plan> PlanOfRanks(const std::string& name, int ranks) {
  auto plan = std::make_shared<Plan>();
  plan->mutable_job()->set_name(name);
  plan->mutable_job()->set_steps(kSteps);
  for (int rank = 0; rank < ranks; ++rank) {
    plan->add_stages()->add_layers(absl::StrCat("layer", rank));
    plan->mutable_schedule()->add_placement()->add_ranks(rank);
    wire::RankActions* actions = plan->mutable_schedule()->add_ranks();
    actions->add_actions()->set_op(wire::OP_FORWARD);
  }
  return plan;
}

Cluster::Cluster() {
  Apply(CoordinatorStarted{kBuild, "secret", std::nullopt}).IgnoreError();
}

absl::StatusOr<std::string> Cluster::Apply(const ClusterEvent& event) {
  effects = Effects();
  return Step(state, event, now, effects);
}

absl::StatusOr<std::string> Cluster::Submit(const std::string& name,
                                            int ranks) {
  std::vector<int> layers;
  for (int rank = 0; rank < ranks; ++rank) layers.push_back(rank);
  auto plan = std::make_shared<Plan>(*PlanOfRanks(name, ranks));
  plan->mutable_job()->mutable_restart()->set_limit(restart_limit);
  plan->mutable_job()->mutable_restart()->set_backoff_seconds(1);
  plan->mutable_job()->set_priority(priority);
  return Apply(JobSubmitted{Fence(), absl::StrCat("key-", name), name, plan,
                            layers, nullptr});
}

absl::StatusOr<std::string> Cluster::Cancel(const std::string& job) {
  return Apply(JobCancelRequested{Fence(), job, "not needed"});
}

absl::StatusOr<std::string> Cluster::Cordon(const std::string& server) {
  return Apply(ServerDutyRequested{Fence(), server, SERVER_DUTY_CORDONED,
                                   "new disks", 0});
}

absl::StatusOr<std::string> Cluster::Drain(const std::string& server,
                                           double deadline_seconds) {
  return Apply(ServerDutyRequested{Fence(), server, SERVER_DUTY_DRAINING,
                                   "new disks", deadline_seconds});
}

absl::StatusOr<std::string> Cluster::Uncordon(const std::string& server) {
  return Apply(
      ServerDutyRequested{Fence(), server, SERVER_DUTY_UNSPECIFIED, "", 0});
}

absl::StatusOr<std::string> Cluster::Register(const std::string& id,
                                              uint64_t incarnation,
                                              const std::string& job,
                                              int64_t epoch) {
  ServerRegistered event;
  event.request.set_server_id(id);
  event.request.set_name(absl::StrCat("node-", id));
  event.request.set_incarnation(incarnation);
  event.request.set_build_version(kBuild);
  event.request.set_job_id(job);
  event.request.set_job_epoch(epoch);
  event.build_version = kBuild;
  return Apply(event);
}

absl::StatusOr<std::string> Cluster::Open(const std::string& id,
                                          uint64_t incarnation) {
  return Apply(SessionOpened{++last_session_, Fence(), incarnation, id});
}

void Cluster::Join(const std::string& id, uint64_t incarnation) {
  Register(id, incarnation).IgnoreError();
  Open(id, incarnation).IgnoreError();
}

void Cluster::Break(const std::string& id) {
  Apply(SessionClosed{state.servers.at(id).session, "reset"}).IgnoreError();
}

absl::StatusOr<std::string> Cluster::Say(const std::string& id,
                                         StageMessage message) {
  const ServerRecord& server = state.servers.at(id);
  if (message.incarnation() == 0) {
    message.set_incarnation(server.info.incarnation());
  }
  if (message.fence().job_epoch() == 0) {
    message.mutable_fence()->set_job_epoch(server.job_epoch);
  }
  message.set_idempotency_sequence(++sequence_);
  return Apply(SessionSpoke{server.session, message});
}

absl::StatusOr<std::string> Cluster::Report(const std::string& id,
                                            const std::string& job,
                                            StageStatus::Phase phase,
                                            const std::string& error) {
  StageMessage message;
  StageStatus* status = message.mutable_status();
  status->set_job_id(job);
  status->set_phase(phase);
  status->set_error(error);
  if (phase == StageStatus::LOADED) {
    (*status->mutable_data_address()->mutable_addresses())["tcp"] = id;
  }
  return Say(id, message);
}

absl::StatusOr<std::string> Cluster::ReportStep(const std::string& id,
                                                const std::string& job,
                                                int64_t step) {
  StageMessage message;
  message.mutable_steps()->set_job_id(job);
  StepReport* report = message.mutable_steps()->add_reports();
  report->set_step(step);
  report->set_step_nanos(1'000'000'000);
  report->set_busy_nanos(750'000'000);
  report->set_loss(2.5);
  report->set_tokens(100);
  return Say(id, message);
}

absl::StatusOr<std::string> Cluster::ReportFinished(const std::string& id,
                                                    const std::string& job) {
  const int64_t latest = state.jobs.at(job).info.latest().step();
  for (int64_t step = latest + 1; step <= kSteps; ++step) {
    ReportStep(id, job, step).IgnoreError();
  }
  StageMessage message;
  message.mutable_finished()->set_job_id(job);
  message.mutable_finished()->set_step(kSteps);
  LayerDigest* layer = message.mutable_finished()->add_layers();
  layer->set_layer(server(id).rank());
  layer->set_sha256(Sha256Of(absl::StrCat("layer", server(id).rank())));
  return Say(id, message);
}

absl::StatusOr<std::string> Cluster::Heartbeat(const std::string& id) {
  StageMessage message;
  message.mutable_heartbeat();
  return Say(id, message);
}

std::vector<std::string> Cluster::ServersOf(const std::string& job) const {
  std::vector<std::string> ids;
  for (const RankRun& rank : state.jobs.at(job).ranks) {
    ids.push_back(rank.server_id);
  }
  return ids;
}

void Cluster::Run(const std::string& job) {
  for (const auto phase : {StageStatus::LOADING, StageStatus::LOADED,
                           StageStatus::READY, StageStatus::RUNNING}) {
    for (const std::string& id : ServersOf(job)) {
      Report(id, job, phase).IgnoreError();
    }
  }
}

void Cluster::Finish(const std::string& job) {
  for (int64_t step = 1; step <= kSteps; ++step) {
    for (const std::string& id : ServersOf(job)) {
      ReportStep(id, job, step).IgnoreError();
    }
  }
  for (const std::string& id : ServersOf(job)) {
    ReportFinished(id, job).IgnoreError();
  }
  for (const std::string& id : ServersOf(job)) {
    Report(id, job, StageStatus::IDLE).IgnoreError();
  }
}

void Cluster::RestartCoordinator(
    std::optional<std::vector<FoundCheckpoint>> found) {
  StoredState stored;
  stored.term = state.term;
  stored.cluster_secret = state.cluster_secret;
  stored.last_event_sequence = state.last_event_sequence;
  for (const auto& [id, job] : state.jobs) {
    StoredJob& kept = stored.jobs.emplace_back();
    kept.row = RowOf(job);
    if (IsTerminal(job.info.state())) continue;
    kept.plan = job.plan;
    kept.last_log_sequence = job.last_log_sequence;
    if (!job.info.has_latest()) continue;
    kept.last_step.emplace();
    *kept.last_step->mutable_record() = job.info.latest();
    *kept.last_step->mutable_totals() = job.totals;
  }
  for (const auto& [id, server] : state.servers) {
    stored.servers.push_back(RowOf(server));
  }
  const auto store = state.checkpoint_store;
  state = RestoreState(stored, state.timing);
  state.checkpoint_store = store;
  Apply(CoordinatorStarted{kBuild, "another secret", std::move(found)})
      .IgnoreError();
}

std::vector<std::string> Cluster::EventKinds() const {
  std::vector<std::string> kinds;
  for (const Event& event : effects.batch.events) kinds.push_back(event.kind());
  return kinds;
}

}  // namespace penstock
