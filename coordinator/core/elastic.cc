#include "coordinator/core/elastic.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/core/placement.h"
#include "coordinator/core/plan_builder.h"

namespace penstock {
namespace {

JobRecord* NextToPlace(ClusterState& state) {
  const std::vector<const JobRecord*> waiting = WaitingInOrder(state);
  if (waiting.empty()) return nullptr;
  return &state.jobs.at(waiting.front()->info.id());
}

// Of the most stages that `servers` can run; nothing if the present plan is
// that one, or there is none.
std::optional<BuiltPlan> LargestPlan(const JobRecord& job, int servers) {
  Job sized = job.info.job();
  const int most = sized.partition().stages();
  const int least = sized.elastic().min_stages();
  for (int stages = most; stages >= least; --stages) {
    if (stages == job.plan->stages_size()) {
      if (job.num_ranks() <= servers) return std::nullopt;
      continue;
    }
    sized.mutable_partition()->set_stages(stages);
    // Said of partition.stages; of fewer the schedule says how many there are.
    if (stages < most) sized.mutable_partition()->clear_ranks();
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
  if (job == nullptr || job->info.job().elastic().min_stages() == 0 ||
      job->info.restart_count() == 0) {
    return;
  }
  const auto& servers = turn.state().servers;
  const int idle = static_cast<int>(
      std::count_if(servers.begin(), servers.end(),
                    [](const auto& entry) { return IsFree(entry.second); }));
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

}  // namespace penstock
