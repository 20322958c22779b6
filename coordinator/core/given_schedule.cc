#include "coordinator/core/given_schedule.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "schedule/ir/text_format.h"
#include "schedule/lowering/lower.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

absl::Status Bad(const std::string& problem) {
  return absl::InvalidArgumentError(absl::StrCat("schedule.file: ", problem));
}

absl::Status CheckActions(const Schedule& schedule, const RankLists& lists) {
  for (size_t rank = 0; rank < lists.size(); ++rank) {
    for (size_t i = 0; i < lists[rank].size(); ++i) {
      const Action& action = lists[rank][i];
      if (IsCompute(action.op)) continue;
      return Bad(absl::StrCat(
          "r", rank, " action ", i, ": ", ToString(action, schedule.edges),
          " is not a compute action; leave communication, G, N and U out, they "
          "are added for the model"));
    }
  }
  return absl::OkStatus();
}

// Replicas would have to wait for each other before they can tell which weights
// a microbatch that enters reads.
absl::Status CheckHolders(const Schedule& schedule) {
  if (schedule.policy != WeightPolicy::kVertical) return absl::OkStatus();
  for (int stage = 0; stage < schedule.num_stages(); ++stage) {
    const size_t holders = schedule.placement[stage].size();
    if (holders == 1) continue;
    return Bad(absl::StrCat("stage ", stage, " is on ", holders,
                            " ranks; with policy ", ToString(schedule.policy),
                            " want one, or another policy"));
  }
  return absl::OkStatus();
}

absl::Status CheckFits(const Schedule& schedule, const Job& job,
                       int num_stages) {
  if (schedule.num_microbatches != job.schedule().microbatches()) {
    return Bad(absl::StrCat("it has ", schedule.num_microbatches,
                            " microbatches, and schedule.microbatches says ",
                            job.schedule().microbatches(),
                            "; make them equal"));
  }
  if (schedule.num_stages() != num_stages) {
    return Bad(absl::StrCat("it has ", schedule.num_stages(),
                            " stages, and partition.stages says ", num_stages,
                            "; make them equal"));
  }
  const int num_ranks = job.partition().ranks();
  if (num_ranks > 0 && schedule.num_ranks() != num_ranks) {
    return Bad(absl::StrCat("it has ", schedule.num_ranks(),
                            " ranks, and partition.ranks says ", num_ranks,
                            "; make them equal"));
  }
  PENSTOCK_RETURN_IF_ERROR(CheckHolders(schedule));
  for (const RankLists* lists :
       {&schedule.ranks, &schedule.period, &schedule.epilogue}) {
    PENSTOCK_RETURN_IF_ERROR(CheckActions(schedule, *lists));
  }
  return absl::OkStatus();
}

absl::Status CheckSound(const Schedule& schedule, bool lowered) {
  const absl::Status status =
      SoundOrError(schedule, Verify(schedule, {.lowered = lowered}));
  return status.ok() ? status : Bad(std::string(status.message()));
}

std::string RecomputeOf(const Job& job) {
  const std::string& policy = job.schedule().recompute();
  return policy.empty() ? "never" : policy;
}

}  // namespace

absl::StatusOr<Schedule> GivenSchedule(const Job& job, int num_stages,
                                       std::vector<Edge> edges) {
  absl::StatusOr<Schedule> given = ParseSchedule(job.schedule().text());
  if (!given.ok()) return WithContext(given.status(), "schedule.file");
  PENSTOCK_RETURN_IF_ERROR(CheckFits(*given, job, num_stages));
  given->edges = std::move(edges);
  PENSTOCK_RETURN_IF_ERROR(CheckSound(*given, /*lowered=*/false));
  PENSTOCK_ASSIGN_OR_RETURN(Schedule lowered,
                            Lower(*std::move(given), RecomputeOf(job)));
  PENSTOCK_RETURN_IF_ERROR(CheckSound(lowered, /*lowered=*/true));
  return lowered;
}

}  // namespace penstock
