#include "schedule/lowering/lower.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "schedule/generators/registry.h"
#include "schedule/lowering/annotate_versions.h"
#include "schedule/lowering/insert_communication.h"
#include "schedule/lowering/insert_recompute.h"
#include "schedule/lowering/insert_reductions.h"
#include "schedule/lowering/insert_tied_messages.h"
#include "schedule/lowering/insert_updates.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

absl::Status CheckSound(const Schedule& schedule,
                        const VerifyOptions& options) {
  const std::vector<Violation> violations = Verify(schedule, options);
  const absl::Status status = SoundOrError(schedule, violations);
  if (status.ok()) return status;
  const bool only_memory =
      std::all_of(violations.begin(), violations.end(),
                  [](const Violation& v) { return v.rule == "memory_bound"; });
  return absl::Status(only_memory ? absl::StatusCode::kResourceExhausted
                                  : absl::StatusCode::kInternal,
                      absl::StrCat(options.lowered ? "lowered " : "generated ",
                                   status.message()));
}

GeneratorRequest GeneratorRequestOf(const ScheduleRequest& request) {
  return {.num_ranks = request.num_ranks,
          .num_stages = request.num_stages,
          .num_microbatches = request.num_microbatches,
          .parameters = request.parameters,
          .replicas = request.replicas,
          .rank_order = request.rank_order};
}

absl::StatusOr<Schedule> GenerateWithEdges(const ScheduleRequest& request) {
  PENSTOCK_ASSIGN_OR_RETURN(
      Schedule schedule,
      Generate(request.generator, GeneratorRequestOf(request)));
  schedule.edges = request.edges;
  return schedule;
}

absl::StatusOr<Schedule> LowerAndVerify(Schedule schedule,
                                        const ScheduleRequest& request) {
  // First, because it tells a bad edge apart from a bad schedule.
  PENSTOCK_ASSIGN_OR_RETURN(Schedule lowered,
                            Lower(schedule, request.recompute));
  PENSTOCK_RETURN_IF_ERROR(CheckSound(schedule, {.lowered = false}));
  PENSTOCK_RETURN_IF_ERROR(
      CheckSound(lowered, {.lowered = true, .memory = request.memory}));
  return lowered;
}

absl::Status CheckIsFlush(const Schedule& schedule) {
  if (!schedule.is_continuous()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "schedule ", schedule.name,
      " does not flush: it runs on from one update to the next; want one whose "
      "update policy is flush"));
}

}  // namespace

absl::StatusOr<Schedule> Lower(Schedule schedule,
                               const std::string& recompute) {
  PENSTOCK_ASSIGN_OR_RETURN(const RecomputePolicy policy,
                            ParseRecomputePolicy(recompute));
  PENSTOCK_ASSIGN_OR_RETURN(schedule,
                            InsertRecompute(std::move(schedule), policy));
  PENSTOCK_ASSIGN_OR_RETURN(schedule, InsertReductions(std::move(schedule)));
  PENSTOCK_ASSIGN_OR_RETURN(schedule, InsertUpdates(std::move(schedule)));
  PENSTOCK_ASSIGN_OR_RETURN(schedule, InsertCommunication(std::move(schedule)));
  PENSTOCK_ASSIGN_OR_RETURN(schedule, InsertTiedMessages(std::move(schedule)));
  return AnnotateVersions(std::move(schedule));
}

absl::StatusOr<Schedule> MakeSchedule(const ScheduleRequest& request) {
  PENSTOCK_ASSIGN_OR_RETURN(Schedule schedule, GenerateWithEdges(request));
  return LowerAndVerify(std::move(schedule), request);
}

absl::StatusOr<Schedule> MakeFlushSchedule(
    const FlushScheduleRequest& request) {
  PENSTOCK_ASSIGN_OR_RETURN(Schedule schedule, GenerateWithEdges(request));
  PENSTOCK_RETURN_IF_ERROR(CheckIsFlush(schedule));
  return LowerAndVerify(std::move(schedule), request);
}

absl::StatusOr<std::vector<Action>> MakeRankList(const ScheduleRequest& request,
                                                 RankId rank) {
  // Where stages are does not depend on the number of microbatches.
  GeneratorRequest few = GeneratorRequestOf(request);
  few.num_microbatches = 1;
  few.replicas.clear();
  PENSTOCK_ASSIGN_OR_RETURN(Schedule schedule,
                            Generate(request.generator, few));
  PENSTOCK_RETURN_IF_ERROR(CheckIsFlush(schedule));
  for (const std::vector<RankId>& holders : schedule.placement) {
    if (holders.size() == 1) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "schedule ", schedule.name, " puts a stage on ", holders.size(),
        " ranks; where its neighbours are follows from all lists"));
  }
  schedule.num_microbatches = request.num_microbatches;
  schedule.edges = request.edges;
  for (std::vector<Action>& actions : schedule.ranks) actions.clear();
  PENSTOCK_ASSIGN_OR_RETURN(
      std::vector<Action> list,
      GenerateRank(request.generator, GeneratorRequestOf(request), rank));
  schedule.ranks[rank.value()] = std::move(list);
  PENSTOCK_ASSIGN_OR_RETURN(schedule,
                            Lower(std::move(schedule), request.recompute));
  PENSTOCK_RETURN_IF_ERROR(SoundOrError(schedule, VerifyRank(schedule, rank)));
  return std::move(schedule.ranks[rank.value()]);
}

}  // namespace penstock
