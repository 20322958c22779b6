#include "schedule/generators/one_f_one_b.h"

#include <algorithm>
#include <cstdint>

#include "base/ids.h"
#include "base/status_macros.h"
#include "schedule/generators/loop.h"

namespace penstock {
namespace {

constexpr char kName[] = "one_f_one_b";

absl::StatusOr<Schedule> GenerateOneFOneB(const GeneratorRequest& request) {
  PENSTOCK_ASSIGN_OR_RETURN(Schedule schedule, OneStagePerRank(kName, request));
  const bool late = request.parameters.at("warmup") == "late";
  const int m = schedule.num_microbatches;
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    const int64_t behind = schedule.num_ranks() - rank;
    const int warmup =
        static_cast<int>(std::min<int64_t>(late ? 2 * behind - 1 : behind, m));
    std::vector<Action>& actions = schedule.ranks[rank];
    int forwards = 0;
    while (forwards < warmup) {
      actions.push_back(Forward(StageId(rank), MicrobatchId(forwards++)));
    }
    for (int b = 0; b < m; ++b) {
      actions.push_back(Backward(StageId(rank), MicrobatchId(b)));
      if (forwards < m) {
        actions.push_back(Forward(StageId(rank), MicrobatchId(forwards++)));
      }
    }
  }
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
              "(2p-1 with warmup=late, which hides slow links)",
          .update_policy = "flush",
          .parameters = {{.name = "warmup",
                          .description =
                              "forwards before the first backward of rank r: "
                              "p-r (early) or 2(p-r)-1 (late)",
                          .values = {"early", "late"},
                          .default_value = "early"}},
          .generate = GenerateOneFOneB};
}

}  // namespace penstock
