#ifndef PENSTOCK_SCHEDULE_SIMULATOR_REDUCTIONS_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_REDUCTIONS_H_

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/ids.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// The sum of a stage's gradients over its holders, under way beside their
// lists since each of them has run its G.
struct Reduction {
  int started = 0;
  // The last holder to start it, when, and with which action of its list.
  double start_time = -1;
  RankId last;
  int last_position = -1;
  // When the sum is there; negative while some holder has not started.
  double end_time = -1;
  // Ranks to wake when that is known.
  std::vector<int> waiters;
};

// All reductions of a run. A G with a version belongs with the other holders'
// G of that version, one without with theirs of the same place in the order of
// the stage's Gs.
class Reductions {
 public:
  // Borrows `schedule`.
  explicit Reductions(const Schedule& schedule) : schedule_(schedule) {}

  // `rank` has run the G at `position` at `now`; the sum takes `time` from when
  // the last holder has. Answers the ranks that wait for it, if this is the
  // last.
  std::vector<int> Start(int rank, int position, const Action& reduce,
                         double now, double time);

  // Calls `visit(Reduction&)` for all that the action, at the head of the list
  // of `rank`, waits for: U for its stage's and version's, a whole-step SB for
  // its stage's last, N for the last of every stage, as far as the rank has
  // started any.
  template <typename Visit>
  void ForWaits(int rank, const Action& action, Visit visit) {
    if (last_.empty()) return;
    if (action.op == Op::kAgreeNorm) {
      for (const auto& [key, sequence] : last_) {
        if (key.second == rank) visit(reductions_[{key.first, sequence}]);
      }
      return;
    }
    const bool whole_gradient =
        action.op == Op::kSendBackward && action.microbatch == kWholeStep;
    if (action.op != Op::kUpdate && !whole_gradient) return;
    const int stage = action.stage.value();
    const auto last = last_.find({stage, rank});
    if (last == last_.end()) return;
    visit(reductions_[{stage, action.version.value_or(last->second)}]);
  }

 private:
  const Schedule& schedule_;
  // By stage and version or place in the order.
  absl::flat_hash_map<std::pair<int, int64_t>, Reduction> reductions_;
  // By stage and rank: the one that the rank started last. Ordered, so that
  // equal runs are equal.
  std::map<std::pair<int, int>, int64_t> last_;
};

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_REDUCTIONS_H_
