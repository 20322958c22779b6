#include "schedule/generators/rank_list.h"

#include <algorithm>
#include <cstddef>

namespace penstock {

RankList::RankList(std::vector<StageId> stages, int num_microbatches)
    : num_microbatches_(num_microbatches) {
  for (const StageId stage : stages) chunks_.push_back({.stage = stage});
  actions_.reserve(2 * stages.size() * static_cast<size_t>(num_microbatches));
}

void RankList::Append(Op op, StageId stage, int microbatch) {
  actions_.push_back(
      {.op = op, .stage = stage, .microbatch = MicrobatchId(microbatch)});
}

void RankList::Forward(int chunk) {
  if (ForwardsLeft(chunk) == 0) return;
  Chunk& c = chunks_[chunk];
  Append(Op::kForward, c.stage, c.forwards++);
}

void RankList::Backward(int chunk) {
  if (InputsLeft(chunk) == 0) return;
  Chunk& c = chunks_[chunk];
  Append(Op::kBackward, c.stage, c.backwards++);
  ++c.weights;
}

void RankList::Input(int chunk) {
  if (InputsLeft(chunk) == 0) return;
  Chunk& c = chunks_[chunk];
  Append(Op::kBackwardInput, c.stage, c.backwards++);
  waiting_.push_back(chunk);
}

void RankList::Weight(int chunk) {
  const auto oldest = std::find(waiting_.begin(), waiting_.end(), chunk);
  if (oldest == waiting_.end()) return;
  waiting_.erase(oldest);
  Chunk& c = chunks_[chunk];
  Append(Op::kBackwardWeight, c.stage, c.weights++);
}

void RankList::OldestWeight() {
  if (!waiting_.empty()) Weight(waiting_.front());
}

void RankList::AllWeights() {
  while (!waiting_.empty()) OldestWeight();
}

void RankList::ForwardWithBackward(int forward_chunk, int backward_chunk) {
  const bool pair =
      ForwardsLeft(forward_chunk) > 0 && InputsLeft(backward_chunk) > 0;
  Forward(forward_chunk);
  if (pair) actions_.back().overlaps_next = true;
  Backward(backward_chunk);
}

int RankList::ForwardsLeft(int chunk) const {
  return num_microbatches_ - chunks_[chunk].forwards;
}

int RankList::InputsLeft(int chunk) const {
  return num_microbatches_ - chunks_[chunk].backwards;
}

int RankList::WeightsWaiting(int chunk) const {
  return chunks_[chunk].backwards - chunks_[chunk].weights;
}

}  // namespace penstock
