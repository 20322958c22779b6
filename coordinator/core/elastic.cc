#include "coordinator/core/elastic.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/core/placement.h"
#include "coordinator/core/plan_builder.h"
#include "coordinator/core/recovery.h"

namespace penstock {
namespace {

JobRecord* NextToPlace(ClusterState& state) {
  const std::vector<const JobRecord*> waiting = WaitingInOrder(state);
  if (waiting.empty()) return nullptr;
  return &state.jobs.at(waiting.front()->info.id());
}

// How many stages a job may have.
struct Bounds {
  int least = 0;
  int most = 0;
};

Bounds BoundsOf(const Job& job) {
  const int stages = job.partition().stages();
  const ElasticSpec& elastic = job.elastic();
  return {elastic.min_stages() > 0 ? elastic.min_stages() : stages,
          elastic.max_stages() > 0 ? elastic.max_stages() : stages};
}

// Of the job's own, those that it would be given again.
int CountKept(const ClusterState& state, const JobRecord& job) {
  return static_cast<int>(std::count_if(
      job.ranks.begin(), job.ranks.end(), [&state](const RankRun& rank) {
        const ServerRecord& server = state.servers.at(rank.server_id);
        return server.info.duty() == SERVER_DUTY_UNSPECIFIED && !server.leaving;
      }));
}

int CountIdle(const ClusterState& state) {
  return static_cast<int>(
      std::count_if(state.servers.begin(), state.servers.end(),
                    [](const auto& entry) { return IsFree(entry.second); }));
}

// Another job waits for servers, or will when its own have left it.
bool AnyoneWaits(const ClusterState& state) {
  return std::any_of(
      state.jobs.begin(), state.jobs.end(), [](const auto& entry) {
        const JobState of = entry.second.info.state();
        return of == JOB_STATE_QUEUED || of == JOB_STATE_RECOVERING;
      });
}

// Of the most stages that `servers` can run; nothing if the present plan is
// that one, or there is none.
std::optional<BuiltPlan> LargestPlan(const JobRecord& job, int servers) {
  Job sized = job.info.job();
  const int asked = sized.partition().stages();
  const Bounds bounds = BoundsOf(sized);
  // Bounds are about partition.stages.
  sized.clear_elastic();
  for (int stages = bounds.most; stages >= bounds.least; --stages) {
    if (stages == job.plan->stages_size()) {
      if (job.num_ranks() <= servers) return std::nullopt;
      continue;
    }
    sized.mutable_partition()->set_stages(stages);
    // Said of partition.stages alone; the schedule says how many there are of
    // another number.
    sized.mutable_partition()->set_ranks(
        stages == asked ? job.info.job().partition().ranks() : 0);
    absl::StatusOr<BuiltPlan> built = BuildPlan(sized);
    if (built.ok() && built->plan.schedule().ranks_size() <= servers) {
      return *std::move(built);
    }
  }
  return std::nullopt;
}

}  // namespace

void FitPlanToServers(Turn& turn) {
  JobRecord* const job = NextToPlace(turn.state());
  if (job == nullptr || job->info.restart_count() == 0) return;
  const Bounds bounds = BoundsOf(job->info.job());
  if (bounds.least == bounds.most) return;
  const int idle = CountIdle(turn.state());
  const bool is_short = idle < job->num_ranks();
  if ((is_short && turn.now() < job->shrink_after) ||
      idle == job->planned_for) {
    return;
  }
  job->planned_for = idle;
  std::optional<BuiltPlan> built = LargestPlan(*job, idle);
  if (!built) return;
  turn.Note(
      "JOB_REPLANNED",
      absl::StrCat(built->plan.stages_size(), " stages on ",
                   built->plan.schedule().ranks_size(), " of ", idle,
                   " idle stage servers; it had ", job->plan->stages_size()),
      job, nullptr);
  job->plan = std::make_shared<const Plan>(std::move(built->plan));
  turn.effects().batch.plans[job->info.id()] = job->plan;
  turn.Touch(*job);
}

bool GrowAtCheckpoint(JobRecord& job, Turn& turn) {
  if (job.info.state() != JOB_STATE_RUNNING ||
      !job.info.job().elastic().grow() ||
      job.plan->stages_size() >= BoundsOf(job.info.job()).most ||
      AnyoneWaits(turn.state())) {
    return false;
  }
  const int idle = CountIdle(turn.state());
  const int servers = idle + CountKept(turn.state(), job);
  if (idle == 0 || servers == job.planned_for) return false;
  job.planned_for = servers;
  const std::optional<BuiltPlan> built = LargestPlan(job, servers);
  if (!built || built->plan.stages_size() <= job.plan->stages_size()) {
    return false;
  }
  Resize(
      job,
      absl::StrCat(idle, idle == 1 ? " stage server is" : " stage servers are",
                   " idle: it can have ", built->plan.stages_size(),
                   " stages instead of ", job.plan->stages_size()),
      turn);
  return true;
}

}  // namespace penstock
