#include "schedule/generators/one_f_one_b.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "schedule/generators/outline.h"
#include "schedule/generators/rank_list.h"
#include "schedule/generators/replicate.h"
#include "schedule/generators/request.h"
#include "schedule/generators/round_robin.h"

namespace penstock {
namespace {

constexpr char kName[] = "one_f_one_b";
constexpr char kWarmup[] = "warmup";

// A rank has to make what the next one warms up with.
absl::Status CheckFalling(const std::vector<int>& warmups) {
  std::vector<int> nearest = warmups;
  for (size_t rank = nearest.size(); rank-- > 1;) {
    nearest[rank - 1] = std::max(nearest[rank - 1], nearest[rank]);
  }
  if (nearest == warmups) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      kWarmup, " of schedule ", kName, " is ", absl::StrJoin(warmups, ","),
      ", want no rank to warm up with fewer forwards than the next one; the "
      "nearest is ",
      absl::StrJoin(nearest, ",")));
}

// K_r of the literature, before it is cut to the microbatches there are.
absl::StatusOr<int64_t> WarmupOf(const GeneratorRequest& request, int rank) {
  const std::string& warmup = request.parameters.at(kWarmup);
  const int64_t behind = request.num_ranks - rank;
  if (warmup == "pa") return behind;
  if (warmup == "pb") return 2 * behind - 1;
  const std::vector<int> warmups = ListParameter(request, kWarmup);
  PENSTOCK_RETURN_IF_ERROR(CheckFalling(warmups));
  return warmups[rank];
}

absl::StatusOr<std::vector<Action>> ListOf(const GeneratorRequest& request,
                                           int rank) {
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t warmup, WarmupOf(request, rank));
  const int m = request.num_microbatches;
  RankList list({StageId(rank)}, m);
  for (int64_t i = 0; i < std::min<int64_t>(warmup, m); ++i) list.Forward(0);
  for (int b = 0; b < m; ++b) {
    list.Backward(0);
    list.Forward(0);
  }
  return std::move(list).Take();
}

absl::StatusOr<Schedule> OneFOneB(const GeneratorRequest& request) {
  return FillLists(LoopOutline(kName, request), request, ListOf);
}

// With "pa", the warm-up that suits the replicas of all stages (1F1B-RR).
absl::StatusOr<Schedule> Replicated(const GeneratorRequest& request) {
  if (request.parameters.at(kWarmup) != "pa") {
    PENSTOCK_ASSIGN_OR_RETURN(const Schedule base, OneFOneB(request));
    return ReplicateRanks(base, request.replicas);
  }
  const RoundRobin pipeline(request.replicas);
  Schedule schedule = pipeline.Outline(kName, request.num_microbatches);
  schedule.ranks = pipeline.Run(request.num_microbatches);
  return schedule;
}

}  // namespace

GeneratorInfo OneFOneBGenerator() {
  return {.name = kName,
          .source =
              "Fan et al., DAPPLE: A Pipelined Data Parallel Approach "
              "for Training Large Models, 2021, section 3; Narayanan et "
              "al., Memory-Efficient Pipeline-Parallel DNN Training, "
              "2021, section 3.2 (PipeDream-Flush)",
          .trade =
              "GPipe's bubble with at most p microbatches in flight "
              "(2p-1 with warmup=pb, which hides slow links)",
          .update_policy = "flush",
          .parameters = {{.name = kWarmup,
                          .description =
                              "forwards before the first backward of rank r: "
                              "p-r (pa), 2(p-r)-1 (pb), or a list by rank",
                          .values = {"pa", "pb"},
                          .range = IntegerRange{1, 1'000'000},
                          .list = ListFor::kRanks,
                          .default_value = "pa"}},
          .generate = OneFOneB,
          .generate_rank = ListOf,
          .generate_replicated = Replicated};
}

}  // namespace penstock
