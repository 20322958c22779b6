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
// A run may begin behind steps that were made before, as after a drain. Where
// they leave the newest version alone, as after a change of shape, it is k0 of
// each stage, and every microbatch reads version max(k0, rule), forward and
// backward alike.
class RunList {
 public:
  // Which steps of a job a list is of. Of a schedule that flushes none of it
  // matters.
  struct Span {
    // Up to this step.
    int64_t num_steps = 0;
    // Drained after each multiple of so many steps; 0: only at the end.
    int64_t drain_every = 0;
    // Those made before; the list's first step is the one after them. A drain
    // that is too near for a run up to it is left out.
    int64_t steps_before = 0;
    // Of the weights that these have made only the newest version is there.
    bool newest_only = false;
  };

  // Where an action stands in the schedule.
  struct Place {
    // Index in `cells()`.
    size_t cell = 0;
    // Steps by which the action as written is shifted.
    int shift = 0;
    // Of these, before the latest drain, or made before the list.
    int64_t drained_steps = 0;
  };

  //   INVALID_ARGUMENT  as PeriodsOfRun (schedule/ir/run_length.h); fewer steps
  //                     between two drains, or after those before, than the
  //                     shortest run has; updates that do not come as the
  //                     microbatches do.
  // Requires: the rank's list has been checked (list_check.h);
  // 0 <= steps_before < num_steps.
  static absl::StatusOr<RunList> Make(const Schedule& schedule, RankId rank,
                                      const Span& span);

  // The first step after which the run can still be drained, where the actions
  // before `position` have been begun. Of a flush 0: after any.
  int64_t EarliestStop(int64_t position) const;

  // Makes `step` the last one, where the actions before `position` have been
  // begun. A list that has its end there, or before, stays as it is.
  //   FAILED_PRECONDITION  too late for that, or it is too near the drain
  //                        before it; says after which step it can be.
  absl::Status StopAfter(int64_t step, int64_t position);

  // Whether microbatches stay in flight from one step to the next.
  bool runs_on() const { return runs_on_; }
  int64_t num_steps() const { return span_.num_steps; }
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

  // One behind the last action of a step of the list, from 1.
  int64_t EndOf(int64_t step) const;

  // Whether nothing is in flight after the step, and one behind the last action
  // that stands before the next drain from `position` on.
  bool IsDrainedAfter(int64_t step) const;
  int64_t NextDrain(int64_t position) const;
  // Where the list begins anew after the latest drain before `position`, or as
  // a whole.
  int64_t LatestDrain(int64_t position) const;

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
  // From one drain to the next; index 0 ends with the first drain.
  struct Stretch {
    // Steps before it.
    int64_t first_step = 0;
    int64_t num_steps = 0;
    int64_t begin = 0;
    int64_t num_periods = 0;
    // Of a step's stretch: whether the step is its last.
    bool is_last = false;
  };

  explicit RunList(const Schedule& schedule) : schedule_(schedule) {}

  absl::Status CountPeriods(const Schedule& schedule);
  void FindFirstDrain();
  absl::Status CheckStretches() const;
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
  Span span_;
  bool runs_on_ = false;
  std::vector<Action> cells_;
  int64_t prologue_size_ = 0;
  int64_t period_size_ = 0;
  int64_t epilogue_size_ = 0;
  int64_t size_ = 0;
  // Steps of a run without a period.
  int64_t shortest_ = 0;
  // The last step before the first drain, or of all.
  int64_t first_drain_ = 0;
  // One behind the updates that end steps, in the part itself; that of the
  // period is one.
  std::vector<int64_t> prologue_ends_;
  std::vector<int64_t> period_ends_;
  std::vector<int64_t> epilogue_ends_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_RUN_LIST_H_
