#ifndef PENSTOCK_SCHEDULE_LOWERING_HOLDERS_H_
#define PENSTOCK_SCHEDULE_LOWERING_HOLDERS_H_

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Which rank computes which microbatch of a stage, and which backwards are cut
// in halves, as the lists say. In a continuous schedule microbatches that are a
// multiple of a period apart are on one rank.
//
// Lists that are empty say nothing, so the lists of one rank alone can be
// asked where its neighbours are each on one rank.
class Holders {
 public:
  // Reads all lists. A stage on one rank costs nothing; one on several, a word
  // for each microbatch.
  //   INVALID_ARGUMENT  an action of a stage that does not exist; a microbatch
  //                     that is not there (of a stage on several ranks), or is
  //                     run forward on two ranks.
  static absl::StatusOr<Holders> Of(const Schedule& schedule);

  // The rank whose list has the F of `microbatch`; -1 if none has.
  // Requires: `stage` exists; microbatch >= 0.
  RankId HolderOf(StageId stage, int microbatch) const {
    const StageHolders& holders = stages_[stage.value()];
    if (holders.by_microbatch.empty()) return holders.only;
    return holders.by_microbatch[microbatch % num_microbatches_];
  }

  // Whether the stage's B or I of `microbatch` is there in halves.
  bool IsCut(StageId stage, int microbatch) const {
    return !cut_.empty() && cut_.contains(CutKey(stage, microbatch));
  }

 private:
  struct StageHolders {
    RankId only;
    std::vector<RankId> by_microbatch;
  };

  int64_t CutKey(StageId stage, int microbatch) const {
    return int64_t{stage.value()} * num_microbatches_ +
           microbatch % num_microbatches_;
  }
  absl::Status Read(RankId rank, const Action& action);
  absl::Status Hold(RankId rank, StageId stage, int microbatch);

  int num_microbatches_ = 0;
  bool continuous_ = false;
  std::vector<StageHolders> stages_;
  absl::flat_hash_set<int64_t> cut_;
};

// Every section of the schedule that holds lists: the one step of a flush, or
// prologue, period and epilogue.
std::vector<RankLists*> SectionsOf(Schedule& schedule);
std::vector<const RankLists*> SectionsOf(const Schedule& schedule);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_LOWERING_HOLDERS_H_
