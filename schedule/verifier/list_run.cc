#include "schedule/verifier/list_run.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

// Edge, whether backward, sending rank, receiving rank.
using ChannelKey = std::tuple<int, bool, int, int>;

ChannelKey KeyOf(RankId rank, const Action& action) {
  const bool backward =
      action.op == Op::kSendBackward || action.op == Op::kReceiveBackward;
  const int here = rank.value(), there = action.peer.value();
  return IsSend(action.op)
             ? ChannelKey(action.edge.value(), backward, here, there)
             : ChannelKey(action.edge.value(), backward, there, here);
}

struct Channel {
  int sent = 0;
  int received = 0;
};

// The gradient of a stage that is reduced: stage, and the version that its
// update makes (0 where versions are not named).
using SumKey = std::pair<int, int64_t>;

// What a stage and microbatch have made: an activation, halves of a gradient.
constexpr uint8_t kActivationMade = 1;

uint8_t GradientsOf(Half half) {
  return half == Half::kWhole ? 6 : half == Half::kFirst ? 2 : 4;
}

struct RankState {
  int head = 0;
  int norms = 0;
  bool at_barrier = false;
};

class ListRun {
 public:
  explicit ListRun(const Subject& subject)
      : subject_(subject),
        schedule_(subject.schedule()),
        ranks_(schedule_.num_ranks()),
        made_(schedule_.num_stages(), schedule_.num_microbatches,
              subject.num_actions()) {
    for (const RankId rank : subject.ranks()) {
      const std::vector<Action>& actions = subject.actions(rank);
      communicates_ =
          communicates_ ||
          std::any_of(actions.begin(), actions.end(), [](const Action& a) {
            return IsSend(a.op) || IsReceive(a.op);
          });
    }
  }

  ListRunResult Run() {
    for (const RankId rank : subject_.ranks()) ready_.push_back(rank.value());
    while (!ready_.empty()) {
      const int rank = ready_.front();
      ready_.pop_front();
      while (Advance(RankId(rank))) {
      }
    }
    ListRunResult result;
    for (const RankId rank : subject_.ranks()) {
      if (!AtEnd(rank)) result.stuck.push_back(WaitOf(rank));
    }
    if (result.stuck.empty()) FindIncompleteSends(&result);
    return result;
  }

 private:
  RankState& StateOf(RankId rank) { return ranks_[rank.value()]; }
  const RankState& StateOf(RankId rank) const { return ranks_[rank.value()]; }
  bool AtEnd(RankId rank) const {
    return StateOf(rank).head ==
           static_cast<int>(subject_.actions(rank).size());
  }

  bool IsOnStage(const Action& action) const {
    return subject_.Exists(action.stage);
  }
  bool IsInRange(const Action& action) const {
    return IsOnStage(action) && action.microbatch.value() >= 0 &&
           action.microbatch.value() <=
               schedule_.num_microbatches - action.num_microbatches;
  }

  static SumKey SumOf(const Action& action) {
    return {action.stage.value(), action.version.value_or(0)};
  }

  // Whether the action needs its stage's gradients reduced.
  bool NeedsSum(const Action& action) const {
    if (!IsOnStage(action) || !subject_.IsShared(action.stage)) return false;
    return action.op == Op::kUpdate ? schedule_.is_continuous()
                                    : action.op == Op::kSendBackward &&
                                          action.microbatch == kWholeStep;
  }

  bool IsReduced(const Action& action) const {
    const auto it = reduced_.find(SumOf(action));
    const size_t done = it == reduced_.end() ? 0 : it->second.size();
    return done >= schedule_.placement[action.stage.value()].size();
  }

  // The stage whose product for `microbatch` the action lacks; -1 if none.
  StageId MissingStage(const Action& action, int microbatch) const {
    const bool forward = action.op == Op::kForward;
    if (!forward && !GivesGradient(action.op)) return StageId();
    const uint8_t wanted = forward ? kActivationMade : GradientsOf(action.half);
    for (const StageEdge& edge : forward ? subject_.takes(action.stage)
                                         : subject_.makes(action.stage)) {
      const uint8_t made = made_.Get(edge.other.value(), microbatch);
      if ((made & wanted) != wanted) return edge.other;
    }
    return StageId();
  }

  // Before lowering: the first product that the action lacks, as stage (-1:
  // none) and microbatch.
  std::pair<StageId, int> MissingProduct(const Action& action) const {
    if (communicates_ || !IsInRange(action) || !IsCompute(action.op)) return {};
    const int first = action.microbatch.value();
    for (int b = first; b < first + action.num_microbatches; ++b) {
      const StageId stage = MissingStage(action, b);
      if (stage.value() >= 0) return {stage, b};
    }
    return {};
  }

  bool IsReady(RankId rank, const Action& action) {
    if (action.op == Op::kAgreeNorm) return IsBarrierOpen(rank);
    if (IsReceive(action.op)) {
      // The send wakes the receiver.
      const Channel& channel = channels_[KeyOf(rank, action)];
      return channel.received < channel.sent;
    }
    if (NeedsSum(action)) {
      if (IsReduced(action)) return true;
      sum_waiters_[SumOf(action)].push_back(rank.value());
      return false;
    }
    const auto [stage, microbatch] = MissingProduct(action);
    if (stage.value() < 0) return true;
    product_waiters_[{stage.value(), microbatch}].push_back(rank.value());
    return false;
  }

  bool IsBarrierOpen(RankId rank) {
    RankState& state = StateOf(rank);
    if (static_cast<int>(arrived_.size()) == state.norms) arrived_.push_back(0);
    int& arrived = arrived_[state.norms];
    if (!state.at_barrier) {
      state.at_barrier = true;
      if (++arrived == schedule_.num_ranks()) {
        for (const RankId other : subject_.ranks()) {
          if (other != rank) ready_.push_back(other.value());
        }
      }
    }
    return arrived == schedule_.num_ranks();
  }

  template <typename Waiters, typename Key>
  void Wake(Waiters& waiters, const Key& key) {
    const auto it = waiters.find(key);
    if (it == waiters.end()) return;
    ready_.insert(ready_.end(), it->second.begin(), it->second.end());
    waiters.erase(it);
  }

  void Finish(RankId rank, const Action& action) {
    if (action.op == Op::kAgreeNorm) {
      ++StateOf(rank).norms;
      StateOf(rank).at_barrier = false;
    } else if (IsReceive(action.op)) {
      ++channels_[KeyOf(rank, action)].received;
    } else if (IsSend(action.op)) {
      ++channels_[KeyOf(rank, action)].sent;
      if (subject_.Exists(action.peer)) ready_.push_back(action.peer.value());
    } else if (action.op == Op::kReduceGradient) {
      std::vector<int>& ranks = reduced_[SumOf(action)];
      if (std::find(ranks.begin(), ranks.end(), rank.value()) == ranks.end()) {
        ranks.push_back(rank.value());
        Wake(sum_waiters_, SumOf(action));
      }
    } else if (!communicates_ && IsInRange(action)) {
      FinishCompute(action);
    }
  }

  void FinishCompute(const Action& action) {
    const bool forward = action.op == Op::kForward;
    if (!forward && !GivesGradient(action.op)) return;
    const int first = action.microbatch.value();
    for (int b = first; b < first + action.num_microbatches; ++b) {
      made_.At(action.stage.value(), b) |=
          forward ? kActivationMade : GradientsOf(action.half);
      Wake(product_waiters_, std::pair(action.stage.value(), b));
    }
  }

  // Runs the rank's next action if it can; false if not.
  bool Advance(RankId rank) {
    if (AtEnd(rank)) return false;
    const Action& action = subject_.actions(rank)[StateOf(rank).head];
    if (!IsReady(rank, action)) return false;
    Finish(rank, action);
    ++StateOf(rank).head;
    return true;
  }

  // Counts receives down from the ends of the lists: the last sends of a
  // channel are those that find none.
  void FindIncompleteSends(ListRunResult* result) {
    for (const RankId rank : subject_.ranks()) {
      const std::vector<Action>& actions = subject_.actions(rank);
      for (size_t i = actions.size(); i-- > 0;) {
        if (!IsSend(actions[i].op)) continue;
        Channel& channel = channels_[KeyOf(rank, actions[i])];
        for (const int capacity : {0, 1}) {
          if (channel.sent <= channel.received + capacity) continue;
          result->incomplete[capacity].push_back({rank, static_cast<int>(i)});
        }
        --channel.sent;
      }
    }
    for (auto& sends : result->incomplete)
      std::sort(sends.begin(), sends.end());
  }

  // Looks for what is waited for in the rest of the list of `wait->on`.
  template <typename Matches>
  bool FindInList(StuckRank* wait, Matches matches) const {
    const std::vector<Action>& actions = subject_.actions(wait->on);
    for (size_t i = StateOf(wait->on).head; i < actions.size(); ++i) {
      if (!matches(actions[i])) continue;
      wait->may_come = true;
      wait->what = subject_.TextOf(actions[i]);
      return true;
    }
    return false;
  }

  // Waits for the first of `ranks` of which something is left to come.
  template <typename Matches>
  void WaitForOneOf(const std::vector<RankId>& ranks, StuckRank* wait,
                    Matches matches) const {
    for (const RankId rank : ranks) {
      if (!subject_.Exists(rank)) continue;
      wait->on = rank;
      if (FindInList(wait, matches)) return;
    }
  }

  StuckRank WaitOf(RankId rank) const {
    StuckRank wait{.rank = rank, .position = StateOf(rank).head};
    const Action& action = subject_.actions(rank)[wait.position];
    if (action.op == Op::kAgreeNorm) {
      WaitForBarrier(&wait);
    } else if (IsReceive(action.op)) {
      wait.on = action.peer;
      wait.what = "a send";
      if (subject_.Exists(action.peer)) {
        FindInList(&wait, [&](const Action& a) {
          return IsSend(a.op) && KeyOf(action.peer, a) == KeyOf(rank, action);
        });
      }
    } else if (NeedsSum(action)) {
      WaitForSum(action, &wait);
    } else {
      WaitForProduct(action, &wait);
    }
    return wait;
  }

  void WaitForBarrier(StuckRank* wait) const {
    wait->what = "N";
    const int norms = StateOf(wait->rank).norms;
    for (const RankId other : subject_.ranks()) {
      const RankState& state = StateOf(other);
      if (state.norms > norms || (state.norms == norms && state.at_barrier)) {
        continue;
      }
      wait->on = other;
      FindInList(wait, [](const Action& a) { return a.op == Op::kAgreeNorm; });
      return;
    }
  }

  void WaitForSum(const Action& action, StuckRank* wait) const {
    wait->what = absl::StrCat(action.stage.value(), "G");
    std::vector<RankId> late;
    const auto it = reduced_.find(SumOf(action));
    for (const RankId holder : schedule_.placement[action.stage.value()]) {
      if (it == reduced_.end() ||
          std::find(it->second.begin(), it->second.end(), holder.value()) ==
              it->second.end()) {
        late.push_back(holder);
      }
    }
    WaitForOneOf(late, wait, [&](const Action& a) {
      return a.op == Op::kReduceGradient && SumOf(a) == SumOf(action);
    });
  }

  void WaitForProduct(const Action& action, StuckRank* wait) const {
    const auto [stage, b] = MissingProduct(action);
    const bool forward = action.op == Op::kForward;
    wait->what = absl::StrCat(stage.value(), forward ? "F" : "B", b);
    WaitForOneOf(
        schedule_.placement[stage.value()], wait,
        [stage = stage, b = b, forward](const Action& a) {
          return a.stage == stage && a.microbatch.value() <= b &&
                 b < a.microbatch.value() + a.num_microbatches &&
                 (forward ? a.op == Op::kForward : GivesGradient(a.op));
        });
  }

  const Subject& subject_;
  const Schedule& schedule_;
  bool communicates_ = false;
  std::vector<RankState> ranks_;
  CellTable<uint8_t> made_;
  absl::flat_hash_map<ChannelKey, Channel> channels_;
  absl::flat_hash_map<std::pair<int, int>, std::vector<int>> product_waiters_;
  // Which ranks have come to their G, and who waits for those that have not.
  absl::flat_hash_map<SumKey, std::vector<int>> reduced_;
  absl::flat_hash_map<SumKey, std::vector<int>> sum_waiters_;
  // Index is how often a rank has passed a barrier.
  std::vector<int> arrived_;
  std::deque<int> ready_;
};

}  // namespace

ListRunResult RunLists(const Subject& subject) {
  return ListRun(subject).Run();
}

}  // namespace penstock
