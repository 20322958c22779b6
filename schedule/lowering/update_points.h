#ifndef PENSTOCK_SCHEDULE_LOWERING_UPDATE_POINTS_H_
#define PENSTOCK_SCHEDULE_LOWERING_UPDATE_POINTS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Where the gradient of one stage for one update is whole on one rank, as far
// as the rank's own microbatches go: after the last B or W (and the second of
// an overlapped pair).
struct UpdatePoint {
  // Index into SectionsOf(schedule).
  int section = 0;
  // Right before the action with this index; the list's size: at its end.
  int position = 0;
  StageId stage;
  // That the update makes; 0 for a flush, which leaves only one.
  int64_t version = 0;
};

// The points of each rank, in the order of its lists. Of a flush one for each
// of its stages. Of a continuous schedule one for each update, by the stage's
// version rule; a last update that lacks microbatches is at the end of the
// epilogue.
//   INVALID_ARGUMENT  a stage on no rank or on one that does not exist; version
//                     rules that are not there, not in range, or do not divide
//                     the period; a rank that holds a stage of a continuous
//                     schedule and runs none of its microbatches.
absl::StatusOr<std::vector<std::vector<UpdatePoint>>> FindUpdatePoints(
    const Schedule& schedule);

// Adds actions to one list, each before the action of a given index.
class Insertions {
 public:
  // Those added for one place stand in the order in which they were added.
  void Add(int position, const Action& action) {
    added_.push_back({position, action});
  }
  std::vector<Action> ApplyTo(const std::vector<Action>& actions);

 private:
  struct Insertion {
    int position;
    Action action;
  };
  std::vector<Insertion> added_;
};

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_LOWERING_UPDATE_POINTS_H_
