#include "schedule/generators/pipedream.h"

#include <optional>
#include <utility>

#include "base/status_macros.h"
#include "schedule/generators/continuous.h"
#include "schedule/generators/round_robin.h"

namespace penstock {
namespace {

constexpr char kName[] = "pipedream";

absl::StatusOr<Schedule> GeneratePipedream(const GeneratorRequest& request) {
  const int m = request.num_microbatches;
  PENSTOCK_ASSIGN_OR_RETURN(const RoundRobin pipeline,
                            RoundRobin::FromRequest(kName, request));
  PENSTOCK_RETURN_IF_ERROR(pipeline.CheckPeriod(kName, m));
  const bool extra_round = request.parameters.at("extra_round") == "yes";
  Schedule outline = pipeline.Outline(kName, m);
  outline.policy = WeightPolicy::kStash;
  for (int stage = 0; stage < pipeline.num_stages(); ++stage) {
    const int extra = extra_round && pipeline.replicas(stage) > 1 ? 1 : 0;
    outline.versions.push_back(
        {.microbatches_per_update = pipeline.replicas(stage),
         .delay = pipeline.WarmupRounds(stage) + extra});
  }
  return CutRun(std::move(outline), (pipeline.MaxAhead() + m - 1) / m,
                [&](int periods) { return pipeline.Run(periods * m); });
}

absl::StatusOr<Schedule> GenerateReplicated(const GeneratorRequest& request) {
  PENSTOCK_ASSIGN_OR_RETURN(const GeneratorRequest own,
                            RoundRobin::WithReplicas(kName, request));
  return GeneratePipedream(own);
}

}  // namespace

GeneratorInfo PipedreamGenerator() {
  return {.name = kName,
          .source =
              "Narayanan et al., PipeDream: Generalized Pipeline Parallelism "
              "for DNN Training, 2019, sections 3.2 (1F1B, 1F1B-RR) and 3.3 "
              "(weight stashing)",
          .trade =
              "no bubble once filled, for p-s weight versions at stage s "
              "and gradients of weights that old",
          .update_policy = "stash",
          .chunks = std::nullopt,
          .parameters = {ReplicasParameter(),
                         {.name = "extra_round",
                          .description =
                              "replicated stages read weights one round older, "
                              "so that they need not wait for each other",
                          .values = {"no", "yes"},
                          .default_value = "no"}},
          .generate = GeneratePipedream,
          .generate_replicated = GenerateReplicated};
}

}  // namespace penstock
