#ifndef PENSTOCK_STAGE_SERVER_ENGINE_RUN_LIST_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_RUN_LIST_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// What one rank does in a run of so many steps, as one list, of which only what
// the schedule has is in memory.
//
// A schedule that flushes: the list of one step, `size()` of it, which is begun
// anew for each step. One that never drains by itself: prologue, period and
// epilogue (schedule/ir/schedule.h) as one, from the first action to the last,
// the period as often as makes so many steps. A step is then as many
// microbatches as a period has, and has ended on a rank when all of its stages
// have made the updates that these count for; microbatches of the next steps
// are in flight by then. The last step ends with the list.
//
// Such a run may be drained on its way, after every so many steps: it is then
// several runs one after the other, whose microbatches and versions count on. A
// microbatch after a drain reads the version that its stage's rule says, as if
// nothing had been drained, so a drain changes no bit; the first of a run read
// version 0 only because there is none before it.
//
// Immutable.
class RunList {
 public:
  // Where an action stands in the schedule.
  struct Place {
    // Index in `cells()`.
    size_t cell = 0;
    // Steps by which the action as written is shifted.
    int shift = 0;
    // Of these, before the latest drain.
    int64_t drained_steps = 0;
  };

  // `drain_every`: steps; 0: only at the end.
  //   INVALID_ARGUMENT  as PeriodsOfRun (schedule/ir/run_length.h); fewer steps
  //                     between two drains than the shortest run has; updates
  //                     that do not come as the microbatches do.
  // Of a schedule that flushes neither number matters. Requires: the rank's
  // list has been checked (list_check.h).
  static absl::StatusOr<RunList> Make(const Schedule& schedule, RankId rank,
                                      int64_t num_steps,
                                      int64_t drain_every = 0);

  // Whether microbatches stay in flight from one step to the next.
  bool runs_on() const { return runs_on_; }
  int64_t num_steps() const { return num_steps_; }
  // Steps that end within the prologue.
  int64_t steps_in_prologue() const {
    return static_cast<int64_t>(prologue_ends_.size());
  }

  // The rank's actions as the schedule has them.
  const std::vector<Action>& cells() const { return cells_; }
  // Actions of a run; of a flush, of a step.
  int64_t size() const { return size_; }
  Place PlaceAt(int64_t position) const;
  Action ActionAt(int64_t position) const;

  // One behind the last action of a step, from 1.
  int64_t EndOf(int64_t step) const;

  // Whether nothing is in flight after the step, and one behind the last action
  // that stands before the next drain from `position` on.
  bool IsDrainedAfter(int64_t step) const;
  int64_t NextDrain(int64_t position) const;

  // Step, from 1, of a microbatch of the list, and its number in it. `step` is
  // the one that runs, and the answer for a flush.
  struct InStep {
    int64_t step = 0;
    int microbatch = 0;
  };
  InStep StepOf(int64_t step, MicrobatchId microbatch) const;

  // Actions whose times make one trace: a step's of a flush, else a
  // repetition's of the period, of which that which ends the step ends last.
  struct Traced {
    int64_t step = 0;
    int64_t begin = 0;
    int64_t end = 0;
  };
  // The latest traced actions of which none stands at `end` or later; unset
  // where there are none.
  std::optional<Traced> TracedBefore(int64_t step, int64_t end) const;
  // Actions of a trace.
  int64_t traced_size() const { return runs_on_ ? period_size_ : size_; }

 private:
  // From one drain to the next.
  struct Stretch {
    int64_t first_step = 0;
    int64_t num_steps = 0;
    int64_t begin = 0;
    int64_t num_periods = 0;
    // Of a step's stretch: whether the step is its last.
    bool is_last = false;
  };

  explicit RunList(const Schedule& schedule) : schedule_(schedule) {}

  absl::Status CountPeriods(const Schedule& schedule, int64_t drain_every);
  int64_t SizeOf(int64_t steps) const {
    return prologue_size_ + (steps - shortest_) * period_size_ + epilogue_size_;
  }
  Stretch StretchAt(int64_t index) const;
  // Of a step, from 1.
  Stretch StretchOf(int64_t step) const;
  // Of an action.
  Stretch StretchHolding(int64_t position) const;

  // Without lists.
  Schedule schedule_;
  bool runs_on_ = false;
  int64_t num_steps_ = 0;
  std::vector<Action> cells_;
  int64_t prologue_size_ = 0;
  int64_t period_size_ = 0;
  int64_t epilogue_size_ = 0;
  int64_t size_ = 0;
  // Steps of a run without a period.
  int64_t shortest_ = 0;
  // Steps between drains; the last stretch may have fewer.
  int64_t stretch_steps_ = 0;
  // One behind the updates that end steps, in the part itself; that of the
  // period is one.
  std::vector<int64_t> prologue_ends_;
  std::vector<int64_t> period_ends_;
  std::vector<int64_t> epilogue_ends_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_RUN_LIST_H_
