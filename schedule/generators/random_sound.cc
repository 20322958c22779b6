#include "schedule/generators/random_sound.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/ids.h"
#include "base/random.h"
#include "schedule/ir/chain.h"

namespace penstock {
namespace {

class Dice {
 public:
  explicit Dice(uint64_t seed) : seed_(seed) {}

  // 0 to size - 1.
  int Below(int size) {
    return static_cast<int>(RandomKey(seed_, {draws_++}) %
                            static_cast<uint64_t>(size));
  }
  bool OneIn(int chances) { return Below(chances) == 0; }
  std::vector<int> Permutation(int size) {
    std::vector<int> numbers(size);
    for (int i = 0; i < size; ++i) numbers[i] = i;
    for (int i = size; i > 1; --i) std::swap(numbers[i - 1], numbers[Below(i)]);
    return numbers;
  }

 private:
  uint64_t seed_;
  uint64_t draws_ = 0;
};

// Every stage but the first takes a tensor from one before it, and every stage
// but the last gives one.
std::vector<Edge> RandomEdges(int num_stages, Dice* dice) {
  std::set<std::pair<int, int>> pairs;
  for (int stage = 1; stage < num_stages; ++stage) {
    pairs.insert({dice->OneIn(3) ? dice->Below(stage) : stage - 1, stage});
  }
  for (int stage = 0; stage + 1 < num_stages; ++stage) {
    if (pairs.lower_bound({stage, 0}) == pairs.lower_bound({stage + 1, 0}) ||
        dice->OneIn(4)) {
      pairs.insert({stage, stage + 1 + dice->Below(num_stages - stage - 1)});
    }
  }
  std::vector<Edge> edges;
  for (const auto& [from, to] : pairs) {
    edges.push_back({EdgeKind::kActivation, absl::StrCat("h", edges.size()),
                     StageId(from), StageId(to)});
  }
  return edges;
}

// Does all the work in a random order, and writes down who did what when.
class Worker {
 public:
  Worker(Schedule* schedule, Dice* dice)
      : schedule_(*schedule),
        dice_(*dice),
        stages_(schedule->num_stages()),
        forward_order_(dice->Permutation(schedule->num_microbatches)),
        backward_order_(dice->Permutation(schedule->num_microbatches)),
        splits_(dice->OneIn(2)),
        recomputes_(dice->OneIn(3)) {
    for (Stage& stage : stages_) {
      stage.forward_done.resize(schedule_.num_microbatches);
      stage.holder.resize(schedule_.num_microbatches);
    }
    for (size_t s = 0; s < stages_.size(); ++s) {
      for (int& holder : stages_[s].holder) {
        const auto& holders = schedule_.placement[s];
        holder = holders[dice_.Below(static_cast<int>(holders.size()))].value();
      }
    }
    for (const Edge& edge : schedule_.edges) {
      stages_[edge.to.value()].feeders.push_back(edge.from.value());
      stages_[edge.from.value()].takers.push_back(edge.to.value());
    }
  }

  void WorkAll() {
    while (true) {
      std::vector<Action> ready;
      for (size_t s = 0; s < stages_.size(); ++s) {
        AppendReady(static_cast<int>(s), &ready);
      }
      if (ready.empty()) return;
      Do(ready[dice_.Below(static_cast<int>(ready.size()))]);
    }
  }

 private:
  struct Stage {
    std::vector<int> feeders, takers;
    // Index is the microbatch.
    std::vector<int> holder;
    std::vector<bool> forward_done;
    // Actions done so far, each in its order.
    int forwards = 0;
    int backwards = 0;
    // Microbatches whose I has run and whose W has not.
    std::vector<int> waiting;
  };

  void AppendReady(int s, std::vector<Action>* ready) const {
    const Stage& stage = stages_[s];
    const int m = schedule_.num_microbatches;
    const auto has_done_more = [](const std::vector<int>& others, auto count) {
      return std::all_of(others.begin(), others.end(), count);
    };
    if (stage.forwards < m && has_done_more(stage.feeders, [&](int other) {
          return stages_[other].forwards > stage.forwards;
        })) {
      ready->push_back(
          Forward(StageId(s), MicrobatchId(forward_order_[stage.forwards])));
    }
    if (stage.backwards < m) {
      const int b = backward_order_[stage.backwards];
      if (stage.forward_done[b] && has_done_more(stage.takers, [&](int other) {
            return stages_[other].backwards > stage.backwards;
          })) {
        ready->push_back({.op = splits_ ? Op::kBackwardInput : Op::kBackward,
                          .stage = StageId(s),
                          .microbatch = MicrobatchId(b)});
      }
    }
    for (const int b : stage.waiting) {
      ready->push_back({.op = Op::kBackwardWeight,
                        .stage = StageId(s),
                        .microbatch = MicrobatchId(b)});
    }
  }

  void Do(const Action& action) {
    Stage& stage = stages_[action.stage.value()];
    const int b = action.microbatch.value();
    std::vector<Action>& list = schedule_.ranks[stage.holder[b]];
    switch (action.op) {
      case Op::kForward:
        ++stage.forwards;
        stage.forward_done[b] = true;
        break;
      case Op::kBackwardWeight:
        stage.waiting.erase(
            std::find(stage.waiting.begin(), stage.waiting.end(), b));
        break;
      default:
        ++stage.backwards;
        if (action.op == Op::kBackwardInput) stage.waiting.push_back(b);
        if (recomputes_ && dice_.OneIn(2)) {
          list.push_back({.op = Op::kRecompute,
                          .stage = action.stage,
                          .microbatch = action.microbatch});
        }
    }
    list.push_back(action);
  }

  Schedule& schedule_;
  Dice& dice_;
  std::vector<Stage> stages_;
  const std::vector<int> forward_order_;
  const std::vector<int> backward_order_;
  const bool splits_;
  const bool recomputes_;
};

}  // namespace

Schedule RandomSound(uint64_t seed, const RandomBounds& bounds) {
  Dice dice(seed);
  Schedule schedule{.name = absl::StrCat("random_sound_", seed),
                    .num_microbatches = 1 + dice.Below(bounds.max_microbatches),
                    .accumulation = AccumulationOrder::kAsListed};
  const int num_stages = 1 + dice.Below(bounds.max_stages);
  const int num_ranks = 1 + dice.Below(std::min(bounds.max_ranks, num_stages));
  schedule.ranks.resize(num_ranks);
  for (int stage = 0; stage < num_stages; ++stage) {
    // Every rank has a stage.
    const int first = stage < num_ranks ? stage : dice.Below(num_ranks);
    const int copies =
        !bounds.only_chains && dice.OneIn(5) ? 1 + dice.Below(num_ranks) : 1;
    std::set<RankId> holders = {RankId(first)};
    for (int i = 1; i < copies; ++i) {
      holders.insert(RankId(dice.Below(num_ranks)));
    }
    schedule.placement.emplace_back(holders.begin(), holders.end());
  }
  schedule.edges = bounds.only_chains ? ChainEdges(num_stages)
                                      : RandomEdges(num_stages, &dice);
  Worker(&schedule, &dice).WorkAll();
  return schedule;
}

}  // namespace penstock
