#include "coordinator/core/state.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/core/memory_copies.h"

namespace penstock {
namespace {

// A job's row may be older than its newest step. It knows better after the job
// was set back, or ahead: to a state in memory of a step that was not reported.
void RestoreSteps(const StoredJob& stored, JobRecord& job) {
  if (!stored.last_step.has_value()) return;
  const StepRow& last = *stored.last_step;
  if (last.record().step() >= job.info.latest().step()) {
    *job.info.mutable_latest() = last.record();
  }
  job.totals = last.totals();
}

JobRecord RestoreJob(const StoredJob& stored) {
  JobRecord job;
  job.info = stored.row.info();
  job.idempotency_key = stored.row.idempotency_key();
  job.position = stored.row.position();
  job.plan = stored.plan;
  job.parameter_layers.assign(stored.row.parameter_layers().begin(),
                              stored.row.parameter_layers().end());
  for (const RankRow& row : stored.row.ranks()) {
    RankRun& rank = job.ranks.emplace_back();
    rank.server_id = row.server_id();
    rank.incarnation = row.incarnation();
    if (row.has_finished()) rank.finished = row.finished();
  }
  for (int rank = 0; rank < job.info.ranks_size(); ++rank) {
    if (rank >= static_cast<int>(job.ranks.size())) break;
    if (job.info.ranks(rank).has_use()) {
      job.ranks[rank].use = job.info.ranks(rank).use();
    }
  }
  job.info.clear_ranks();
  for (const auto& [rank, sequence] : stored.log_sequence_of_rank) {
    if (rank >= 0 && rank < static_cast<int>(job.ranks.size())) {
      job.ranks[rank].log_sequence = sequence;
    }
  }
  job.last_log_sequence = stored.last_log_sequence;
  job.checkpoints.assign(stored.row.checkpoints().begin(),
                         stored.row.checkpoints().end());
  job.furthest_step = stored.row.furthest_step();
  job.relieves = stored.row.relieves();
  if (job.info.epoch() > 0) {
    job.memory_every = job.info.job().checkpoint().memory_every_steps();
  }
  RestoreSteps(stored, job);
  return job;
}

ServerRecord RestoreServer(const ServerRow& row) {
  ServerRecord server;
  server.info = row.info();
  server.host_identity = row.host_identity();
  server.cores = row.cores();
  server.activity = row.activity();
  server.releasing = row.releasing();
  server.job_epoch = row.job_epoch();
  server.last_heard = absl::FromUnixNanos(row.info().last_heard_unix_nanos());
  return server;
}

}  // namespace

ClusterState RestoreState(const StoredState& stored, const Timing& timing) {
  ClusterState state;
  state.term = stored.term;
  state.timing = timing;
  state.cluster_secret = stored.cluster_secret;
  state.last_event_sequence = stored.last_event_sequence;
  for (const StoredJob& stored_job : stored.jobs) {
    JobRecord job = RestoreJob(stored_job);
    state.last_position = std::max(state.last_position, job.position);
    if (!job.idempotency_key.empty()) {
      state.job_of_idempotency_key[job.idempotency_key] = job.info.id();
    }
    state.jobs.emplace(job.info.id(), std::move(job));
  }
  for (const ServerRow& row : stored.servers) {
    state.servers.emplace(row.info().id(), RestoreServer(row));
  }
  return state;
}

JobRow RowOf(const JobRecord& job) {
  JobRow row;
  *row.mutable_info() = job.info;
  row.set_idempotency_key(job.idempotency_key);
  row.set_position(job.position);
  row.mutable_parameter_layers()->Add(job.parameter_layers.begin(),
                                      job.parameter_layers.end());
  for (const RankRun& rank : job.ranks) {
    RankRow* rank_row = row.add_ranks();
    rank_row->set_server_id(rank.server_id);
    rank_row->set_incarnation(rank.incarnation);
    if (rank.finished) *rank_row->mutable_finished() = *rank.finished;
    RankInfo* info = row.mutable_info()->add_ranks();
    if (rank.use) *info->mutable_use() = *rank.use;
  }
  row.mutable_checkpoints()->Add(job.checkpoints.begin(),
                                 job.checkpoints.end());
  row.set_furthest_step(job.furthest_step);
  row.set_relieves(job.relieves);
  return row;
}

ServerRow RowOf(const ServerRecord& server) {
  ServerRow row;
  *row.mutable_info() = DescribeServer(server);
  row.set_host_identity(server.host_identity);
  row.set_cores(server.cores);
  row.set_activity(server.activity);
  row.set_releasing(server.releasing);
  row.set_job_epoch(server.job_epoch);
  return row;
}

JobInfo DescribeJob(const ClusterState& state, const JobRecord& job,
                    bool with_plan) {
  JobInfo info = job.info;
  for (size_t i = 0; i < job.ranks.size(); ++i) {
    const RankRun& run = job.ranks[i];
    RankInfo* rank = info.add_ranks();
    rank->set_server_id(run.server_id);
    if (run.use) *rank->mutable_use() = *run.use;
    const auto server = state.servers.find(run.server_id);
    if (server == state.servers.end()) continue;
    rank->set_server_name(server->second.info.name());
    // After the end its servers do other work: their states say nothing.
    if (server->second.info.job_id() == info.id()) {
      rank->set_state(server->second.info.state());
    }
  }
  if (auto memory = DescribeMemory(state, job)) {
    *info.mutable_memory() = *std::move(memory);
  }
  if (job.plan) AddPredictions(*job.plan, info);
  if (with_plan && job.plan) *info.mutable_plan() = *job.plan;
  return info;
}

void AddPredictions(const Plan& plan, JobInfo& info) {
  for (int rank = 0; rank < info.ranks_size(); ++rank) {
    if (rank >= plan.predicted_memory_size()) break;
    *info.mutable_ranks(rank)->mutable_predicted_memory() =
        plan.predicted_memory(rank);
  }
}

ServerInfo DescribeServer(const ServerRecord& server) {
  ServerInfo info = server.info;
  info.set_last_heard_unix_nanos(absl::ToUnixNanos(server.last_heard));
  return info;
}

std::vector<const JobRecord*> JobsInOrder(const ClusterState& state) {
  std::vector<const JobRecord*> jobs;
  for (const auto& [id, job] : state.jobs) jobs.push_back(&job);
  std::sort(jobs.begin(), jobs.end(),
            [](const JobRecord* a, const JobRecord* b) {
              return a->position < b->position;
            });
  return jobs;
}

std::vector<int> StagesOf(const JobRecord& job, int rank) {
  std::vector<int> stages;
  if (!job.plan) return stages;
  const auto& placement = job.plan->schedule().placement();
  for (int stage = 0; stage < placement.size(); ++stage) {
    const auto& ranks = placement[stage].ranks();
    if (std::find(ranks.begin(), ranks.end(), rank) != ranks.end()) {
      stages.push_back(stage);
    }
  }
  return stages;
}

std::string Whereabouts(const JobRecord& job, const ServerRecord& server) {
  const std::vector<int> stages = StagesOf(job, server.info.rank());
  return absl::StrCat(stages.size() == 1 ? "stage " : "stages ",
                      absl::StrJoin(stages, " and "), " on ",
                      server.info.name());
}

}  // namespace penstock
