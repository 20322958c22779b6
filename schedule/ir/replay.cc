#include "schedule/ir/replay.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

// What a compute action makes: stage, microbatch, whether it is a gradient.
using Product = std::tuple<int, int, bool>;
// Edge, whether backward, sending rank, receiving rank.
using ChannelKey = std::tuple<int, bool, int, int>;

struct Channel {
  // Index is the message: when it was posted, and by which action.
  std::vector<std::pair<int64_t, int>> sent;
  int posted_receives = 0;
  int received = 0;
};

struct Barrier {
  int arrived = 0;
  int64_t time = 0;
};

struct RankState {
  int head = 0;
  int posted_until = 0;
  int64_t clock = 0;
  int norms = 0;
  bool at_barrier = false;
};

class Replayer {
 public:
  Replayer(const Schedule& schedule, const ReplayOptions& options)
      : schedule_(schedule),
        options_(options),
        ranks_(schedule.num_ranks()),
        feeders_(schedule.num_stages()),
        takers_(schedule.num_stages()) {
    for (const auto& actions : schedule.ranks) {
      result_.starts.emplace_back(actions.size(), -1);
      for (const Action& action : actions) {
        if (IsSend(action.op) || IsReceive(action.op)) communicates_ = true;
      }
    }
    for (const Edge& edge : schedule.edges) {
      if (edge.kind != EdgeKind::kActivation || !HasStage(edge.from) ||
          !HasStage(edge.to)) {
        continue;
      }
      takers_[edge.from.value()].push_back(edge.to.value());
      feeders_[edge.to.value()].push_back(edge.from.value());
    }
  }

  ReplayResult Run() {
    std::deque<int>& ready = ready_;
    for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
      ready.push_back(rank);
    }
    while (!ready.empty()) {
      const int rank = ready.front();
      ready.pop_front();
      while (Advance(rank)) {
      }
    }
    for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
      if (ranks_[rank].head < Size(rank)) result_.waits.push_back(WaitOf(rank));
    }
    for (const auto& [key, channel] : channels_) {
      const size_t done = static_cast<size_t>(channel.posted_receives) +
                          static_cast<size_t>(options_.capacity);
      for (size_t i = done; i < channel.sent.size(); ++i) {
        result_.incomplete_sends.push_back(
            {RankId(std::get<2>(key)), channel.sent[i].second});
      }
    }
    std::sort(result_.incomplete_sends.begin(), result_.incomplete_sends.end());
    return std::move(result_);
  }

 private:
  int Size(int rank) const {
    return static_cast<int>(schedule_.ranks[rank].size());
  }
  bool HasStage(StageId stage) const {
    return 0 <= stage.value() && stage.value() < schedule_.num_stages();
  }
  bool HasPeer(const Action& action) const {
    return 0 <= action.peer.value() &&
           action.peer.value() < schedule_.num_ranks();
  }

  static ChannelKey KeyOf(int rank, const Action& action) {
    const bool backward =
        action.op == Op::kSendBackward || action.op == Op::kReceiveBackward;
    return IsSend(action.op) ? ChannelKey(action.edge.value(), backward, rank,
                                          action.peer.value())
                             : ChannelKey(action.edge.value(), backward,
                                          action.peer.value(), rank);
  }

  // Posts the receives that the rank's place in its list allows.
  void PostReceives(int rank) {
    RankState& state = ranks_[rank];
    const int64_t until = std::min<int64_t>(
        Size(rank), static_cast<int64_t>(state.head) + options_.lookahead + 1);
    for (; state.posted_until < until; ++state.posted_until) {
      const Action& action = schedule_.ranks[rank][state.posted_until];
      if (IsReceive(action.op)) {
        ++channels_[KeyOf(rank, action)].posted_receives;
      }
    }
  }

  // What the action at hand waits for and nobody has made yet.
  std::optional<Product> MissingProduct(const Action& action) const {
    if (communicates_ || !HasStage(action.stage)) return std::nullopt;
    const bool forward = action.op == Op::kForward;
    if (!forward && action.op != Op::kBackward &&
        action.op != Op::kBackwardInput) {
      return std::nullopt;
    }
    for (const int stage :
         (forward ? feeders_ : takers_)[action.stage.value()]) {
      const Product product(stage, action.microbatch.value(), !forward);
      if (!made_.contains(product)) return product;
    }
    return std::nullopt;
  }

  int64_t ProductsTime(const Action& action) const {
    int64_t time = 0;
    if (communicates_ || !HasStage(action.stage)) return time;
    const bool forward = action.op == Op::kForward;
    if (!forward && action.op != Op::kBackward &&
        action.op != Op::kBackwardInput) {
      return time;
    }
    for (const int stage :
         (forward ? feeders_ : takers_)[action.stage.value()]) {
      time = std::max(
          time, made_.at(Product(stage, action.microbatch.value(), !forward)));
    }
    return time;
  }

  // When everything that the rank's next action needs is there; nullopt while
  // it is not, and then the rank is woken when it may be.
  std::optional<int64_t> ReadyTime(int rank, const Action& action) {
    if (action.op == Op::kAgreeNorm) return BarrierTime(rank);
    if (IsReceive(action.op)) {
      const Channel& channel = channels_[KeyOf(rank, action)];
      if (channel.received == static_cast<int>(channel.sent.size())) {
        return std::nullopt;  // the send wakes the receiver
      }
      return channel.sent[channel.received].first;
    }
    if (const std::optional<Product> missing = MissingProduct(action)) {
      waiting_[*missing].push_back(rank);
      return std::nullopt;
    }
    return ProductsTime(action);
  }

  std::optional<int64_t> BarrierTime(int rank) {
    RankState& state = ranks_[rank];
    if (static_cast<int>(barriers_.size()) == state.norms) {
      barriers_.emplace_back();
    }
    Barrier& barrier = barriers_[state.norms];
    if (!state.at_barrier) {
      state.at_barrier = true;
      ++barrier.arrived;
      barrier.time = std::max(barrier.time, state.clock);
      if (barrier.arrived == schedule_.num_ranks()) {
        for (int other = 0; other < schedule_.num_ranks(); ++other) {
          if (other != rank) ready_.push_back(other);
        }
      }
    }
    if (barrier.arrived < schedule_.num_ranks()) return std::nullopt;
    return barrier.time;
  }

  // Makes what the action makes, at `time`.
  void Finish(int rank, const Action& action, int64_t time) {
    if (action.op == Op::kAgreeNorm) {
      ++ranks_[rank].norms;
      ranks_[rank].at_barrier = false;
    } else if (IsReceive(action.op)) {
      ++channels_[KeyOf(rank, action)].received;
    } else if (IsSend(action.op)) {
      channels_[KeyOf(rank, action)].sent.push_back({time, ranks_[rank].head});
      if (HasPeer(action)) ready_.push_back(action.peer.value());
    } else if (!communicates_ &&
               (action.op == Op::kForward || action.op == Op::kBackward ||
                action.op == Op::kBackwardInput)) {
      const Product product(action.stage.value(), action.microbatch.value(),
                            action.op != Op::kForward);
      made_.insert({product, time});
      const auto waiting = waiting_.find(product);
      if (waiting == waiting_.end()) return;
      ready_.insert(ready_.end(), waiting->second.begin(),
                    waiting->second.end());
      waiting_.erase(waiting);
    }
  }

  // Runs the rank's next action if it can; false if not.
  bool Advance(int rank) {
    RankState& state = ranks_[rank];
    PostReceives(rank);
    if (state.head == Size(rank)) return false;
    const Action& action = schedule_.ranks[rank][state.head];
    const std::optional<int64_t> ready = ReadyTime(rank, action);
    if (!ready) return false;
    const int64_t start = std::max(state.clock, *ready);
    const int64_t end = start + (options_.cost ? options_.cost(action) : 1);
    result_.starts[rank][state.head] = start;
    result_.makespan = std::max(result_.makespan, end);
    Finish(rank, action, end);
    state.clock = end;
    ++state.head;
    return true;
  }

  // Looks for what `wait` waits for in the list of `wait.on`.
  template <typename Matches>
  void FindInList(Wait* wait, Matches matches) const {
    const std::vector<Action>& actions = schedule_.ranks[wait->on.value()];
    for (int i = ranks_[wait->on.value()].head;
         i < static_cast<int>(actions.size()); ++i) {
      if (!matches(actions[i])) continue;
      wait->may_come = true;
      wait->what = ToString(actions[i], schedule_.edges);
      return;
    }
  }

  Wait WaitOf(int rank) const {
    Wait wait{.rank = RankId(rank), .position = ranks_[rank].head};
    const Action& action = schedule_.ranks[rank][wait.position];
    if (action.op == Op::kAgreeNorm) {
      wait.what = "N";
      for (int other = 0; other < schedule_.num_ranks(); ++other) {
        if (ranks_[other].norms > ranks_[rank].norms ||
            (ranks_[other].norms == ranks_[rank].norms &&
             ranks_[other].at_barrier)) {
          continue;
        }
        wait.on = RankId(other);
        FindInList(&wait,
                   [](const Action& a) { return a.op == Op::kAgreeNorm; });
        break;
      }
    } else if (IsReceive(action.op)) {
      wait.on = action.peer;
      wait.what = "a send";
      if (HasPeer(action)) {
        const ChannelKey key = KeyOf(rank, action);
        FindInList(&wait, [&](const Action& a) {
          return IsSend(a.op) && KeyOf(action.peer.value(), a) == key;
        });
      }
    } else if (const std::optional<Product> missing = MissingProduct(action)) {
      const auto [stage, microbatch, gradient] = *missing;
      wait.what = absl::StrCat(stage, gradient ? "B" : "F", microbatch);
      for (const RankId holder : schedule_.placement[stage]) {
        if (holder.value() < 0 || holder.value() >= schedule_.num_ranks()) {
          continue;
        }
        wait.on = holder;
        FindInList(
            &wait, [s = stage, b = microbatch, g = gradient](const Action& a) {
              return a.stage.value() == s && a.microbatch.value() == b &&
                     (g ? a.op == Op::kBackward || a.op == Op::kBackwardInput
                        : a.op == Op::kForward);
            });
        if (wait.may_come) break;
      }
    }
    return wait;
  }

  const Schedule& schedule_;
  const ReplayOptions& options_;
  bool communicates_ = false;
  std::vector<RankState> ranks_;
  // Index is the stage: those that feed it, and those that take from it.
  std::vector<std::vector<int>> feeders_, takers_;
  absl::flat_hash_map<ChannelKey, Channel> channels_;
  absl::flat_hash_map<Product, int64_t> made_;
  absl::flat_hash_map<Product, std::vector<int>> waiting_;
  std::vector<Barrier> barriers_;
  std::deque<int> ready_;
  ReplayResult result_;
};

}  // namespace

ReplayResult Replay(const Schedule& schedule, const ReplayOptions& options) {
  return Replayer(schedule, options).Run();
}

}  // namespace penstock
