#include "coordinator/core/desired_state.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/sha256.h"
#include "checkpoint/transfer/token.h"
#include "coordinator/core/checkpoint_catalog.h"
#include "coordinator/core/job_machine.h"
#include "coordinator/core/memory_copies.h"

namespace penstock {
namespace {

// The checkpoint's files that a rank needs: those of its stages' layers, and
// the weights of tied parameters whose owner another stage has.
std::vector<ShardFile> FilesOf(const JobRecord& job, int rank) {
  std::set<std::string> layers;
  std::set<std::string> tied;
  for (const int stage : StagesOf(job, rank)) {
    const auto& own = job.plan->stages(stage).layers();
    layers.insert(own.begin(), own.end());
    for (const wire::Edge& edge : job.plan->schedule().edges()) {
      if (edge.to_stage() == stage) tied.insert(edge.tensor());
    }
  }
  std::vector<ShardFile> files;
  for (const ShardFile& file : job.restore->files()) {
    const bool is_owned = layers.contains(file.layer_name());
    const bool is_tied =
        file.kind() == ShardFile::WEIGHTS &&
        std::any_of(file.tensors().begin(), file.tensors().end(),
                    [&tied](const ShardTensor& tensor) {
                      return tied.contains(tensor.name());
                    });
    if (is_owned || is_tied) files.push_back(file);
  }
  return files;
}

void FillCheckpoints(const ClusterState& state, const JobRecord& job, int rank,
                     DesiredState& desired) {
  if (!state.checkpoint_store) return;
  const bool keeps = KeepsCheckpoints(state, job);
  if (!keeps && !job.info.has_started_from()) return;
  CheckpointStoreAddress& store = *desired.mutable_checkpoints();
  store.set_address(state.checkpoint_store->address);
  store.set_root(state.checkpoint_store->root);
  store.set_token(MakeTransferToken(state.checkpoint_store->key,
                                    {job.info.id(), job.info.epoch()}));
  if (keeps) desired.set_snapshot_step(job.info.checkpoints().next_step());
  if (job.restore == nullptr) return;
  RestorePoint& restore = *desired.mutable_restore();
  *restore.mutable_checkpoint() = job.restore->id();
  for (ShardFile& file : FilesOf(job, rank)) {
    *restore.add_files() = std::move(file);
  }
  *restore.mutable_state() = job.restore->state();
  restore.set_weights_only(job.info.started_from().weights_only());
  // A plan of an earlier build says no shape: then it is not the same for sure.
  restore.set_other_shape(job.plan->shape_hash().empty() ||
                          job.restore->plan_hash() != job.plan->shape_hash());
}

// Shown with each transfer between the job's servers.
std::string MemoryToken(const ClusterState& state, const JobRecord& job) {
  return Sha256Of(
      absl::StrCat(state.cluster_secret, "/memory/", job.info.id()));
}

// The shape of an epoch that has ended; empty where that is not known any more.
std::string ShapeOfEpoch(const JobRecord& job, int64_t epoch) {
  for (const RestartReport& report : job.info.restarts()) {
    if (report.epoch() == epoch) return report.shape();
  }
  return "";
}

void FillMemory(const ClusterState& state, const JobRecord& job, int rank,
                DesiredState& desired) {
  if (job.memory_every > 0) {
    MemoryTier& tier = *desired.mutable_memory();
    tier.set_every_steps(job.memory_every);
    tier.set_from_step(job.memory_from);
    tier.set_peer_address(MemoryPeerOf(state, job, rank));
    tier.set_token(MemoryToken(state, job));
  }
  if (!job.info.started_from().in_memory()) return;
  RestorePoint& restore = *desired.mutable_restore();
  *restore.mutable_checkpoint() = job.info.started_from().checkpoint();
  restore.set_other_shape(ShapeOf(*job.plan) !=
                          ShapeOfEpoch(job, restore.checkpoint().epoch()));
  restore.mutable_memory()->set_token(MemoryToken(state, job));
  for (MemoryRestore::Part& part : PartsInMemory(state, restore.checkpoint())) {
    *restore.mutable_memory()->add_parts() = std::move(part);
  }
}

void FillRun(const ClusterState& state, const JobRecord& job, int rank,
             DesiredState& desired) {
  desired.set_job_id(job.info.id());
  desired.set_rank(rank);
  *desired.mutable_plan() = PlanForRank(*job.plan, rank);
  desired.set_epoch_secret(EpochSecret(state, job));
  FillCheckpoints(state, job, rank, desired);
  FillMemory(state, job, rank, desired);
  desired.set_reason(absl::StrCat("rank ", rank, " of job ",
                                  job.info.job().name(), " (", job.info.id(),
                                  ")"));
  if (job.info.state() != JOB_STATE_LOADING) {
    desired.set_goal(DesiredState::RUN);
  } else if (job.connecting) {
    desired.set_goal(DesiredState::CONNECT);
  } else {
    desired.set_goal(DesiredState::LOAD);
    return;
  }
  for (size_t peer = 0; peer < job.ranks.size(); ++peer) {
    PeerAddress* address = desired.add_peers();
    address->set_rank(static_cast<int>(peer));
    *address->mutable_address() = job.ranks[peer].data_address;
  }
}

}  // namespace

CoordinatorMessage DesiredOf(const ClusterState& state,
                             const std::string& server_id) {
  const ServerRecord& server = state.servers.at(server_id);
  CoordinatorMessage message;
  message.mutable_fence()->set_coordinator_term(state.term);
  // Also when it is to leave: the fence of an older epoch would be refused.
  message.mutable_fence()->set_job_epoch(server.job_epoch);
  DesiredState& desired = *message.mutable_desired();
  const auto job = state.jobs.find(server.info.job_id());
  if (job == state.jobs.end() || server.releasing || !job->second.plan) {
    desired.set_goal(DesiredState::BE_IDLE);
    desired.set_reason(server.release_reason);
    // What is kept in memory of a job that has ended can go.
    if (job != state.jobs.end() && IsTerminal(job->second.info.state())) {
      desired.set_job_id(job->first);
    }
    return message;
  }
  FillRun(state, job->second, server.info.rank(), desired);
  return message;
}

std::optional<CoordinatorMessage> AckOf(const ClusterState& state,
                                        const std::string& server_id) {
  const ServerRecord& server = state.servers.at(server_id);
  const auto found = state.jobs.find(server.info.job_id());
  if (found == state.jobs.end()) return std::nullopt;
  const JobRecord& job = found->second;
  // It may still be leaving an older epoch.
  if (server.job_epoch != job.info.epoch()) return std::nullopt;
  const RankRun& rank = job.ranks[server.info.rank()];
  CoordinatorMessage message;
  message.mutable_fence()->set_coordinator_term(state.term);
  message.mutable_fence()->set_job_epoch(job.info.epoch());
  Ack& ack = *message.mutable_ack();
  ack.set_job_id(job.info.id());
  ack.set_step(job.info.latest().step());
  ack.set_log_sequence(rank.log_sequence);
  ack.set_finished(rank.finished.has_value());
  return message;
}

std::string EpochSecret(const ClusterState& state, const JobRecord& job) {
  return Sha256Of(absl::StrCat(state.cluster_secret, "/", job.info.id(), "/",
                               job.info.epoch()));
}

std::string MemoryPeerOf(const ClusterState& state, const JobRecord& job,
                         int rank) {
  const std::string& host =
      state.servers.at(job.ranks[rank].server_id).host_identity;
  const int ranks = static_cast<int>(job.ranks.size());
  for (int next = 1; next < ranks; ++next) {
    const ServerRecord& other =
        state.servers.at(job.ranks[(rank + next) % ranks].server_id);
    if (other.host_identity != host && !other.memory_address.empty()) {
      return other.memory_address;
    }
  }
  return "";
}

Plan PlanForRank(const Plan& plan, int rank) {
  Plan own = plan;
  wire::Schedule& schedule = *own.mutable_schedule();
  for (auto* const lists : {schedule.mutable_ranks(), schedule.mutable_period(),
                            schedule.mutable_epilogue()}) {
    for (int other = 0; other < lists->size(); ++other) {
      if (other != rank) (*lists)[other].clear_actions();
    }
  }
  return own;
}

}  // namespace penstock
