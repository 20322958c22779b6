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

// One step of a pipeline as data: for each rank the ordered list of what it
// does. A rank runs its list once a step, in order. Plain value; nothing is
// checked here (the verifier does), so unsound schedules can be held too.
struct Schedule {
  std::string name;
  int num_microbatches = 0;
  // Index is the stage; the ranks that hold it.
  std::vector<std::vector<RankId>> placement;
  std::vector<Edge> edges;
  // Index is the rank.
  std::vector<std::vector<Action>> ranks;

  int num_ranks() const { return static_cast<int>(ranks.size()); }
  int num_stages() const { return static_cast<int>(placement.size()); }

  friend bool operator==(const Schedule&, const Schedule&) = default;
};

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_IR_SCHEDULE_H_
