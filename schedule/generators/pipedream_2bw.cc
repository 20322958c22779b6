#include "schedule/generators/pipedream_2bw.h"

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "schedule/generators/continuous.h"
#include "schedule/generators/round_robin.h"

namespace penstock {
namespace {

constexpr char kName[] = "pipedream_2bw";

absl::StatusOr<Schedule> GeneratePipedream2bw(const GeneratorRequest& request) {
  const int m = request.num_microbatches;
  PENSTOCK_ASSIGN_OR_RETURN(const RoundRobin pipeline,
                            RoundRobin::FromRequest(kName, request));
  PENSTOCK_RETURN_IF_ERROR(pipeline.CheckPeriod(kName, m));
  const int ahead = pipeline.MaxAhead();
  if (m < ahead) {
    return absl::InvalidArgumentError(absl::StrCat(
        "schedule ", kName, " on ", request.num_ranks, " ranks runs up to ",
        ahead, " forwards ahead, which two versions allow with at least ",
        pipeline.RoundUp(ahead), " microbatches, got ", m));
  }
  Schedule outline = pipeline.Outline(kName, m);
  outline.policy = WeightPolicy::kDoubleBuffer;
  outline.versions.assign(pipeline.num_stages(),
                          {.microbatches_per_update = m, .delay = 1});
  return CutRun(std::move(outline), ahead > 0 ? 1 : 0,
                [&](int periods) { return pipeline.Run(periods * m); });
}

absl::StatusOr<Schedule> GenerateReplicated(const GeneratorRequest& request) {
  PENSTOCK_ASSIGN_OR_RETURN(const GeneratorRequest own,
                            RoundRobin::WithReplicas(kName, request));
  return GeneratePipedream2bw(own);
}

}  // namespace

GeneratorInfo Pipedream2bwGenerator() {
  return {.name = kName,
          .source =
              "Narayanan et al., Memory-Efficient Pipeline-Parallel DNN "
              "Training, 2021, section 3.1 (double-buffered weight updates)",
          .trade =
              "no bubble once filled, for two weight versions and "
              "gradients of weights one update old; m >= p-1",
          .update_policy = "double_buffer",
          .chunks = std::nullopt,
          .parameters = {ReplicasParameter()},
          .generate = GeneratePipedream2bw,
          .generate_replicated = GenerateReplicated};
}

}  // namespace penstock
