#ifndef PENSTOCK_SCHEDULE_SIMULATOR_COST_MODEL_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_COST_MODEL_H_

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "schedule/ir/schedule.h"

namespace penstock {

// What the actions and memory of one stage cost. Times in any one unit, the
// same throughout a cost model (seconds in a profiled one); per microbatch
// unless said otherwise.
struct StageCost {
  double forward = 0;
  // I and W; a fused B takes `backward` where it is set, else their sum. A half
  // takes half the time, an F of two microbatches twice.
  double input_gradient = 0;
  double weight_gradient = 0;
  std::optional<double> backward;
  // R; unset: as `forward`.
  std::optional<double> recompute;
  // U; and how long a reduction takes from when every holder of the stage has
  // run its G, beside what the ranks do next.
  double update = 0;
  double reduce = 0;

  // Kept for each microbatch from its F until its B or I ends.
  int64_t saved_bytes = 0;
  // Kept from the end of I until the end of W; part of `saved_bytes`.
  int64_t pending_weight_bytes = 0;
  // Kept from F until R, instead of `saved_bytes`, where there is an R.
  int64_t input_bytes = 0;
  // Weights, gradients and optimizer state with one weight version.
  int64_t static_bytes = 0;
  // What every further weight version adds.
  int64_t version_bytes = 0;
};

// One direction of the way from one rank to another. A message arrives
// `latency` + its bytes / `bandwidth` after it got onto the link.
struct LinkCost {
  double latency = 0;
  // Bytes per unit of time; 0: unlimited.
  double bandwidth = 0;
  // Whether a message has to wait until those before it have left the sender
  // (latency is not part of that: it overlaps).
  bool serialised = true;
  // Messages up to this size start as soon as they are sent; larger ones when
  // their receive has been posted too (rendezvous). Unset: all start when sent.
  std::optional<int64_t> eager_bytes;
};

// What a schedule's actions and messages cost: everything that the simulator
// knows of model and machine. Plain value.
struct CostModel {
  // Index is the stage.
  std::vector<StageCost> stages;
  // Index is the edge: bytes of one microbatch's tensor, in each direction (of
  // the weight, for a tied one). Missing ones are 0.
  std::vector<int64_t> edge_bytes;
  // Between every two ranks...
  LinkCost link;
  // ... but these (from, to).
  std::map<std::pair<int, int>, LinkCost> links;
  // Index is the rank: its actions take this many times as long; missing: 1.
  std::vector<double> rank_slowdown;
  // The host's time for every action, communication included, before it.
  double action_overhead = 0;
  // N, once all ranks have reached it.
  double agree_norm = 0;
  // What a pair X&Y saves of the shorter one's time, 0 to 1. X runs at full
  // speed, and its output is sent when its own work ends; Y ends that much
  // earlier. 0 where nothing overlaps: X, then Y.
  double pair_gain = 0;
  // Overrides the time of single actions (not of communication, N and G, which
  // wait): index is rank, position; negative or missing: as above. A measured
  // run's own times say what the schedule costs without the waits.
  std::vector<std::vector<double>> action_times;

  double BackwardOf(int stage) const {
    const StageCost& cost = stages[stage];
    return cost.backward.value_or(cost.input_gradient + cost.weight_gradient);
  }
};

// Times of one full stage: all that one rank holds of the model. Where a rank
// holds v chunks of it, each takes 1/v of these.
struct UniformTimes {
  double forward = 1;
  double input_gradient = 1;
  double weight_gradient = 1;
  // Of every hop between ranks; messages are not serialised.
  double hop = 0;
  // Kept for one microbatch by one full stage.
  int64_t saved_bytes = 0;
};

// v: stages over ranks, at least 1. Where stages are on several ranks, as many
// as a rank runs of one microbatch: the copies of a bidirectional schedule are
// whole stages, not chunks, and those of replicas are not there twice.
double ChunksPerRank(const Schedule& schedule);

// Every stage costs the same.
CostModel UniformCosts(const Schedule& schedule, const UniformTimes& times);

// `costs` with the compute times of stage s multiplied by `factors[s]`, missing
// ones by 1: an unbalanced partition, a slower device.
CostModel ScaledCosts(CostModel costs, const std::vector<double>& factors);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_COST_MODEL_H_
