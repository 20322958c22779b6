#include "schedule/generators/building_block.h"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <limits>
#include <utility>

#include "base/ids.h"

namespace penstock {
namespace {

constexpr int kPeriod = 6;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

Action ActionOf(Op op, int stage, int microbatch) {
  return {.op = op,
          .stage = StageId(stage),
          .microbatch = MicrobatchId(microbatch)};
}

// Actions of one microbatch on one rank that come in the order of `slots`.
struct Entry {
  Op op;
  int chunk;
};
constexpr std::array<Entry, 4> kEntries = {{{Op::kForward, 0},
                                            {Op::kForward, 1},
                                            {Op::kBackwardInput, 1},
                                            {Op::kBackwardInput, 0}}};

std::vector<Action> RepeatOn(const BuildingBlock& block, int rank,
                             int num_microbatches) {
  const int num_stages = 2 * static_cast<int>(block.slots.size());
  std::vector<std::pair<int64_t, Action>> slotted;
  slotted.reserve(4 * static_cast<size_t>(num_microbatches));
  for (int b = 0; b < num_microbatches; ++b) {
    for (size_t i = 0; i < kEntries.size(); ++i) {
      const int stage = kEntries[i].chunk == 0 ? rank : num_stages - 1 - rank;
      slotted.push_back({block.slots[rank][i] + int64_t{kPeriod} * b,
                         ActionOf(kEntries[i].op, stage, b)});
    }
  }
  std::sort(slotted.begin(), slotted.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Action> list;
  list.reserve(6 * static_cast<size_t>(num_microbatches));
  std::deque<Action> weights;
  int64_t next_slot = 0;
  for (const auto& [slot, action] : slotted) {
    for (; next_slot < slot && !weights.empty(); ++next_slot) {
      list.push_back(weights.front());
      weights.pop_front();
    }
    next_slot = slot + 1;
    list.push_back(action);
    if (action.op != Op::kBackwardInput) continue;
    weights.push_back(action);
    weights.back().op = Op::kBackwardWeight;
  }
  list.insert(list.end(), weights.begin(), weights.end());
  return list;
}

class Squeezer {
 public:
  Squeezer(const BuildingBlock& block, int num_microbatches,
           const RankLists& lists)
      : block_(block),
        num_microbatches_(num_microbatches),
        num_stages_(2 * static_cast<int>(lists.size())),
        lists_(lists),
        squeezed_(lists.size()) {
    const size_t cells = static_cast<size_t>(num_stages_) *
                         static_cast<size_t>(num_microbatches);
    forward_end_.assign(cells, kNever);
    input_end_.assign(cells, kNever);
    for (const std::vector<Action>& list : lists) {
      RankState& state = ranks_.emplace_back();
      state.done.resize(list.size());
      int level = 0;
      for (const Action& action : list) {
        level += LevelChange(action);
        state.levels.push_back(level);
      }
      left_ += list.size();
    }
  }

  RankLists Run() && {
    for (int64_t slot = 0; left_ > 0; ++slot) {
      for (size_t rank = 0; rank < lists_.size(); ++rank) Step(rank, slot);
    }
    return std::move(squeezed_);
  }

 private:
  struct RankState {
    // Index is the position in the list as it was: whether the action has run,
    // and the chunks in flight once all up to it have.
    std::vector<bool> done;
    std::vector<int> levels;
    // The first position that has not run.
    size_t head = 0;
    int forwards = 0;
    bool has_returned = false;  // an I of chunk 0 has run
  };

  static int LevelChange(const Action& action) {
    if (action.op == Op::kForward) return 1;
    return action.op == Op::kBackwardWeight ? -1 : 0;
  }

  size_t Cell(int stage, const Action& action) const {
    return static_cast<size_t>(stage) * static_cast<size_t>(num_microbatches_) +
           static_cast<size_t>(action.microbatch.value());
  }

  bool IsReady(const Action& action, int64_t slot) const {
    const int stage = action.stage.value();
    switch (action.op) {
      case Op::kForward:
        return stage == 0 || forward_end_[Cell(stage - 1, action)] <= slot;
      case Op::kBackwardInput:
        return forward_end_[Cell(stage, action)] <= slot &&
               (stage == num_stages_ - 1 ||
                input_end_[Cell(stage + 1, action)] <= slot);
      default:
        return input_end_[Cell(stage, action)] <= slot;
    }
  }

  // The first position from the head on whose action is ready and wanted;
  // microbatches of one chunk stay in order. The end of the list if none is.
  template <typename IsWanted>
  size_t FindReady(size_t rank, int64_t slot, IsWanted is_wanted) const {
    const RankState& state = ranks_[rank];
    const std::vector<Action>& list = lists_[rank];
    bool passed[3][2] = {};
    int kinds_left = 6;
    int highest = 0;  // level of the actions passed
    for (size_t i = state.head; i < list.size() && kinds_left > 0; ++i) {
      if (!state.done[i]) {
        const Action& action = list[i];
        const int kind = action.op == Op::kForward         ? 0
                         : action.op == Op::kBackwardInput ? 1
                                                           : 2;
        bool& was_passed =
            passed[kind][action.stage.value() < num_stages_ / 2 ? 0 : 1];
        const bool fits =
            kind != 0 || i == state.head || highest < block_.max_in_flight;
        if (!was_passed && fits && is_wanted(action.op) &&
            IsReady(action, slot)) {
          return i;
        }
        if (!was_passed) --kinds_left;
        was_passed = true;
      }
      highest = std::max(highest, state.levels[i]);
    }
    return list.size();
  }

  size_t Choose(size_t rank, int64_t slot) const {
    const RankState& state = ranks_[rank];
    const size_t none = lists_[rank].size();
    const auto is_input = [](Op op) { return op == Op::kBackwardInput; };
    const auto is_weight = [](Op op) { return op == Op::kBackwardWeight; };
    if (state.forwards == 2 * num_microbatches_) {
      const size_t input = FindReady(rank, slot, is_input);
      if (input != none) return input;
    }
    if (IsReady(lists_[rank][state.head], slot)) return state.head;
    if (state.has_returned && !block_.fills_steady_state) return none;
    const size_t other =
        FindReady(rank, slot, [&](Op op) { return !is_weight(op); });
    return other != none ? other : FindReady(rank, slot, is_weight);
  }

  void Step(size_t rank, int64_t slot) {
    RankState& state = ranks_[rank];
    const std::vector<Action>& list = lists_[rank];
    while (state.head < list.size() && state.done[state.head]) ++state.head;
    if (state.head == list.size()) return;
    const size_t position = Choose(rank, slot);
    if (position == list.size()) return;
    const Action& action = list[position];
    for (size_t i = state.head; i < position; ++i) {
      state.levels[i] += LevelChange(action);
    }
    state.done[position] = true;
    const int stage = action.stage.value();
    if (action.op == Op::kForward) {
      ++state.forwards;
      forward_end_[Cell(stage, action)] = slot + 1;
    } else if (action.op == Op::kBackwardInput) {
      if (stage < num_stages_ / 2) state.has_returned = true;
      input_end_[Cell(stage, action)] = slot + 1;
    }
    squeezed_[rank].push_back(action);
    --left_;
  }

  const BuildingBlock& block_;
  const int num_microbatches_;
  const int num_stages_;
  const RankLists& lists_;
  RankLists squeezed_;
  std::vector<RankState> ranks_;
  // Index is Cell(stage, action): the slot from which it is there.
  std::vector<int64_t> forward_end_;
  std::vector<int64_t> input_end_;
  size_t left_ = 0;
};

}  // namespace

RankLists RepeatBlock(const BuildingBlock& block, int num_microbatches) {
  RankLists lists;
  for (size_t rank = 0; rank < block.slots.size(); ++rank) {
    lists.push_back(RepeatOn(block, static_cast<int>(rank), num_microbatches));
  }
  return lists;
}

RankLists Squeeze(const BuildingBlock& block, int num_microbatches,
                  const RankLists& lists) {
  return Squeezer(block, num_microbatches, lists).Run();
}

}  // namespace penstock
