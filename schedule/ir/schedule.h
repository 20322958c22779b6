#ifndef PENSTOCK_SCHEDULE_IR_SCHEDULE_H_
#define PENSTOCK_SCHEDULE_IR_SCHEDULE_H_

#include <string>
#include <vector>

#include "base/ids.h"
#include "schedule/ir/action.h"

namespace penstock {

enum class EdgeKind {
  // A tensor per microbatch: forward its value, backward its gradient.
  kActivation = 1,
  // A weight that two stages use: once a step, backward the user's gradient to
  // the owner (before N), forward the owner's new value to the user (after U).
  kTiedWeight = 2,
};

// A named tensor from the stage that makes (or owns) it to one that uses it.
struct Edge {
  EdgeKind kind = EdgeKind::kActivation;
  std::string tensor;
  StageId from;
  StageId to;

  friend bool operator==(const Edge&, const Edge&) = default;
};

// When weights change; docs/schedules.md holds the update equations.
enum class WeightPolicy {
  kFlush = 1,         // GPipe, 1F1B, interleaved, Chimera, zero bubble
  kStash = 2,         // PipeDream: each stage its own delay
  kVertical = 3,      // PipeDream with vertical sync: one delay everywhere
  kDoubleBuffer = 4,  // PipeDream-2BW
  kGrouped = 5,       // WPipe: a delay per group of stages
};

// The version of a stage's weights that microbatch b of a continuous schedule
// is computed with, forward and backward:
//   max(0, floor(b / microbatches_per_update) - delay).
// The stage keeps delay + 1 versions.
struct VersionRule {
  int microbatches_per_update = 1;
  int delay = 0;

  friend bool operator==(const VersionRule&, const VersionRule&) = default;
};

// The order in which a stage's weight gradients are summed.
enum class AccumulationOrder {
  kAscending = 1,   // by microbatch: first in, first out
  kDescending = 2,  // last in, first out
  kAsListed = 3,    // as they stand in the rank's list
};

using RankLists = std::vector<std::vector<Action>>;

// A pipeline as data: for each rank the ordered list of what it does. Plain
// value; nothing is checked here (the verifier does), so unsound schedules can
// be held too.
//
// Flush: `ranks` is one step, which a rank runs again and again; `period` and
// `epilogue` are empty.
//
// Continuous (every other policy): a run is `ranks` (the prologue), `period`
// any number of times, `epilogue` (the drain). Microbatches are numbered on
// through the run; the k-th repetition of the period, from 0, adds
// k * num_microbatches to the microbatches as written and as many updates as
// these make (by the stage's rule) to the versions; the epilogue is written as
// if it followed the prologue, and shifts alike. So the size does not grow with
// the run. `Unroll` writes a run out.
struct Schedule {
  std::string name;
  // Of a step, or of one period.
  int num_microbatches = 0;
  WeightPolicy policy = WeightPolicy::kFlush;
  AccumulationOrder accumulation = AccumulationOrder::kAscending;
  // Index is the stage; the ranks that hold it. Several: replicas, or the
  // copies of a bidirectional schedule. The rank whose list has the F of a
  // microbatch runs its backward too.
  std::vector<std::vector<RankId>> placement;
  // Index is the stage; empty for a flush.
  std::vector<VersionRule> versions;
  std::vector<Edge> edges;
  // Index is the rank.
  RankLists ranks;
  RankLists period;
  RankLists epilogue;

  bool is_continuous() const { return policy != WeightPolicy::kFlush; }
  int num_ranks() const { return static_cast<int>(ranks.size()); }
  int num_stages() const { return static_cast<int>(placement.size()); }

  friend bool operator==(const Schedule&, const Schedule&) = default;
};

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_IR_SCHEDULE_H_
