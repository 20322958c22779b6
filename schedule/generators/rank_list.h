#ifndef PENSTOCK_SCHEDULE_GENERATORS_RANK_LIST_H_
#define PENSTOCK_SCHEDULE_GENERATORS_RANK_LIST_H_

#include <deque>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "schedule/ir/action.h"

namespace penstock {

// One rank's list while it is written. Most schedules take the microbatches of
// each chunk in order, so an order is told by chunks alone: this keeps count of
// the microbatches. What there is no microbatch for is left out, so that an
// order which is published for many microbatches can be written for few.
class RankList {
 public:
  // Index of `stages` is the chunk.
  RankList(std::vector<StageId> stages, int num_microbatches);

  // Each appends the chunk's next action of that kind; nothing, if the chunk
  // has none left. A weight half is left only once its input half stands.
  void Forward(int chunk);
  void Backward(int chunk);
  void Input(int chunk);
  void Weight(int chunk);
  // `Weight` of the chunk whose input half has waited for it longest.
  void OldestWeight();
  void AllWeights();
  // A forward of one chunk and a backward of another, as a pair if both are
  // left: F first where they do not overlap.
  void ForwardWithBackward(int forward_chunk, int backward_chunk);

  int ForwardsLeft(int chunk) const;
  int InputsLeft(int chunk) const;
  int WeightsWaiting() const { return static_cast<int>(waiting_.size()); }
  int WeightsWaiting(int chunk) const;

  std::vector<Action> Take() && { return std::move(actions_); }

 private:
  // Microbatches that an op has been written for.
  struct Chunk {
    StageId stage;
    int forwards = 0;
    int backwards = 0;
    int weights = 0;
  };

  void Append(Op op, StageId stage, int microbatch);

  int num_microbatches_;
  std::vector<Chunk> chunks_;
  // Chunks of the weight halves that have not been written, oldest first.
  std::deque<int> waiting_;
  std::vector<Action> actions_;
};

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_RANK_LIST_H_
