#ifndef PENSTOCK_SCHEDULE_GENERATORS_ROUND_ROBIN_H_
#define PENSTOCK_SCHEDULE_GENERATORS_ROUND_ROBIN_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "schedule/generators/generator.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// 1F1B-RR (Narayanan et al., PipeDream, 2019, section 3.2): a chain of stages
// of which each has its own number of replicas. Microbatch b goes to replica
// b mod R_s of stage s, forward and backward; with one replica of each stage
// this is the straight pipeline. A replica's round r is microbatch r R_s + its
// number. Ranks are numbered along the stages.
class RoundRobin {
 public:
  // Reads parameter "replicas" ("2,1,1", or "straight": one each) of a
  // completed request for the schedule called `name`.
  //   INVALID_ARGUMENT  they do not add up to the ranks; says what would do.
  static absl::StatusOr<RoundRobin> FromRequest(
      absl::string_view name, const GeneratorRequest& request);

  // The same request with the replicas that it asks for by `replicas`, one
  // number for each rank of a straight pipeline, as that parameter.
  //   INVALID_ARGUMENT  both are given; not a rank for each stage.
  static absl::StatusOr<GeneratorRequest> WithReplicas(
      absl::string_view name, GeneratorRequest request);

  // Requires: at least one stage; every count at least 1.
  explicit RoundRobin(std::vector<int> replicas);

  int num_stages() const { return static_cast<int>(replicas_.size()); }
  int num_ranks() const;
  int replicas(int stage) const { return replicas_[stage]; }

  // Rounds that each replica of the stage forwards before its first pair of
  // forward and backward: floor((N - 1 - ranks of earlier stages) / R_s).
  int WarmupRounds(int stage) const { return warmup_[stage]; }

  // The most microbatches by which forwards run ahead of backwards anywhere.
  int MaxAhead() const;

  // PipeDream's NUM_OPT_ACTIVE_MINIBATCHES, ceil(N / R_0): microbatches in
  // flight on each replica of stage 0.
  int InFlight() const { return warmup_[0] + 1; }

  // Checks that a period of `num_microbatches` gives every replica of a stage
  // the same number: a multiple of all R_s.
  //   INVALID_ARGUMENT  it does not; names the nearest that do.
  absl::Status CheckPeriod(absl::string_view name, int num_microbatches) const;

  // The smallest multiple of all R_s that is at least `num_microbatches`.
  int64_t RoundUp(int64_t num_microbatches) const;

  // Name, placement and microbatches of a period; no lists, no versions.
  Schedule Outline(absl::string_view name, int num_microbatches) const;

  // The lists of a run of microbatches 0 to `num_microbatches` - 1: each
  // replica's warm-up, then forward and backward in turn, then the backwards
  // that are left.
  RankLists Run(int num_microbatches) const;

 private:
  std::vector<int> replicas_;
  std::vector<int> warmup_;
  // Least common multiple of the replicas; saturates.
  int64_t round_ = 1;
};

// The parameter of which `FromRequest` speaks.
ParameterInfo ReplicasParameter();

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_ROUND_ROBIN_H_
