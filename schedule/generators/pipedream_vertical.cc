#include "schedule/generators/pipedream_vertical.h"

#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "schedule/generators/continuous.h"
#include "schedule/generators/round_robin.h"

namespace penstock {
namespace {

constexpr char kName[] = "pipedream_vertical";

absl::StatusOr<Schedule> GeneratePipedreamVertical(
    const GeneratorRequest& request) {
  const int m = request.num_microbatches;
  const int p = request.num_ranks;
  const RoundRobin pipeline(std::vector<int>(p, 1));
  Schedule outline = pipeline.Outline(kName, m);
  outline.policy = WeightPolicy::kVertical;
  outline.versions.assign(p, {.microbatches_per_update = 1, .delay = p - 1});
  return CutRun(std::move(outline), (pipeline.MaxAhead() + m - 1) / m,
                [&](int periods) { return pipeline.Run(periods * m); });
}

}  // namespace

GeneratorInfo PipedreamVerticalGenerator() {
  return {.name = kName,
          .source =
              "Narayanan et al., PipeDream: Generalized Pipeline Parallelism "
              "for DNN Training, 2019, section 3.3 (vertical sync)",
          .trade =
              "no bubble once filled and one age of weights for each "
              "microbatch, for p weight versions everywhere",
          .update_policy = "vertical",
          .generate = GeneratePipedreamVertical};
}

}  // namespace penstock
