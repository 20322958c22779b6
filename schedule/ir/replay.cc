#include "schedule/ir/replay.h"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/ids.h"
#include "schedule/ir/cell_table.h"

namespace penstock {
namespace {

// What a compute action makes of one microbatch: an activation, or the first or
// the second half of a gradient.
enum Part { kActivation, kFirstHalf, kSecondHalf, kNumParts };

// Part and stage as a row of a table, and microbatch.
struct Product {
  int64_t row = 0;
  int64_t microbatch = 0;

  friend bool operator==(const Product&, const Product&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Product& product) {
    return H::combine(std::move(h), product.row, product.microbatch);
  }
};

struct Time {
  int64_t value = -1;  // -1: not yet
};

// When activations and gradients are made, where communication is free.
class Products {
 public:
  explicit Products(const Schedule& schedule)
      : feeders_(schedule.num_stages()), takers_(schedule.num_stages()) {
    int64_t columns = 0;
    size_t actions = 0;
    for (const std::vector<Action>& list : schedule.ranks) {
      actions += list.size();
      for (const Action& action : list) {
        columns = std::max(columns, int64_t{action.microbatch.value()} +
                                        action.num_microbatches);
      }
    }
    columns_ = columns;
    times_.emplace(int64_t{kNumParts} * schedule.num_stages(), columns,
                   actions);
    for (const Edge& edge : schedule.edges) {
      if (edge.kind != EdgeKind::kActivation || !HasStage(edge.from) ||
          !HasStage(edge.to)) {
        continue;
      }
      takers_[edge.from.value()].push_back(edge.to.value());
      feeders_[edge.to.value()].push_back(edge.from.value());
    }
  }

  // When all that the action takes in is made; or the first that is not yet.
  struct Inputs {
    int64_t time = 0;
    std::optional<Product> missing;
  };
  Inputs InputsOf(const Action& action) const {
    Inputs inputs;
    const auto [first, end] = PartsOf(action);
    if (first == end || !HasStage(action.stage)) return inputs;
    const bool forward = action.op == Op::kForward;
    for (const int stage :
         (forward ? feeders_ : takers_)[action.stage.value()]) {
      for (int part = first; part < end; ++part) {
        for (int i = 0; i < action.num_microbatches; ++i) {
          const Product product = Cell(stage, part, action, i);
          const int64_t time = TimeOf(product);
          if (time < 0) return {.missing = product};
          inputs.time = std::max(inputs.time, time);
        }
      }
    }
    return inputs;
  }

  // Notes what the action makes, at `time`, and calls `made` with each.
  template <typename Made>
  void Make(const Action& action, int64_t time, Made made) {
    const auto [first, end] = PartsOf(action);
    if (!HasStage(action.stage)) return;
    for (int part = first; part < end; ++part) {
      for (int i = 0; i < action.num_microbatches; ++i) {
        const Product product = Cell(action.stage.value(), part, action, i);
        if (!Has(product) || TimeOf(product) >= 0) continue;
        times_->At(product.row, product.microbatch).value = time;
        made(product);
      }
    }
  }

 private:
  // Half-open: what the action makes, and takes in from other stages.
  static std::pair<int, int> PartsOf(const Action& action) {
    if (action.op == Op::kForward) return {kActivation, kActivation + 1};
    if (action.op != Op::kBackward && action.op != Op::kBackwardInput) {
      return {0, 0};
    }
    return {action.half == Half::kSecond ? kSecondHalf : kFirstHalf,
            action.half == Half::kFirst ? kFirstHalf + 1 : kSecondHalf + 1};
  }

  bool HasStage(StageId stage) const {
    return 0 <= stage.value() &&
           stage.value() < static_cast<int>(feeders_.size());
  }
  Product Cell(int stage, int part, const Action& action, int i) const {
    return {int64_t{kNumParts} * stage + part,
            int64_t{action.microbatch.value()} + i};
  }
  bool Has(const Product& product) const {
    return 0 <= product.microbatch && product.microbatch < columns_;
  }
  int64_t TimeOf(const Product& product) const {
    return Has(product) ? times_->Get(product.row, product.microbatch).value
                        : -1;
  }

  // Index is the stage: those that feed it, and those that take from it.
  std::vector<std::vector<int>> feeders_, takers_;
  int64_t columns_ = 0;
  std::optional<CellTable<Time>> times_;
};

// Edge, whether backward, sending rank, receiving rank.
using ChannelKey = std::tuple<int, bool, int, int>;

struct Channel {
  // Index is the message: when it was posted.
  std::vector<int64_t> sent;
  size_t received = 0;
};

// Ranks that meet, and when the last of them came.
struct Meeting {
  int arrived = 0;
  int64_t time = 0;
};

struct RankState {
  size_t head = 0;
  int64_t clock = 0;
  int norms = 0;
  bool at_norm = false;
  bool is_ready = false;
  // When the overlapping actions began of which the next is one.
  std::optional<int64_t> chain_start;
  // Of those that begin with the next: the inputs of all before this one are
  // there, the last at that time.
  size_t chain_checked = 0;
  int64_t chain_inputs = 0;
};

class Replayer {
 public:
  Replayer(const Schedule& schedule, const ReplayOptions& options)
      : schedule_(schedule), options_(options), ranks_(schedule.num_ranks()) {
    bool communicates = false;
    for (const std::vector<Action>& actions : schedule.ranks) {
      result_.starts.emplace_back(actions.size(), -1);
      communicates = communicates ||
                     std::any_of(actions.begin(), actions.end(), [](auto& a) {
                       return IsSend(a.op) || IsReceive(a.op);
                     });
    }
    if (!communicates) products_.emplace(schedule);
    for (const std::vector<RankId>& holders : schedule.placement) {
      const std::set<RankId> distinct(holders.begin(), holders.end());
      num_holders_.push_back(static_cast<int>(distinct.size()));
    }
  }

  ReplayResult Run() {
    for (int rank = 0; rank < schedule_.num_ranks(); ++rank) Wake(rank);
    while (!ready_.empty()) {
      const int rank = ready_.front();
      ready_.pop_front();
      ranks_[rank].is_ready = false;
      while (Advance(rank)) {
      }
    }
    for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
      if (ranks_[rank].head < schedule_.ranks[rank].size()) {
        result_.complete = false;
      }
    }
    return std::move(result_);
  }

 private:
  void Wake(int rank) {
    if (rank < 0 || rank >= schedule_.num_ranks() || ranks_[rank].is_ready) {
      return;
    }
    ranks_[rank].is_ready = true;
    ready_.push_back(rank);
  }

  Channel& ChannelOf(int rank, const Action& action) {
    const bool backward =
        action.op == Op::kSendBackward || action.op == Op::kReceiveBackward;
    const int peer = action.peer.value();
    return channels_[IsSend(action.op)
                         ? ChannelKey(action.edge.value(), backward, rank, peer)
                         : ChannelKey(action.edge.value(), backward, peer,
                                      rank)];
  }

  // How many ranks hold the action's stage; 1 for one that does not exist.
  int NumHolders(const Action& action) const {
    const int stage = action.stage.value();
    return 0 <= stage && stage < schedule_.num_stages() ? num_holders_[stage]
                                                        : 1;
  }

  // The reductions of a stage before one update.
  Meeting& ReductionOf(const Action& action) {
    return reductions_[{action.stage.value(), action.version.value_or(-1)}];
  }

  bool NeedsReduction(const Action& action) const {
    const bool uses_sum =
        (action.op == Op::kUpdate && schedule_.is_continuous()) ||
        (action.op == Op::kSendBackward && action.microbatch == kWholeStep);
    return uses_sum && NumHolders(action) > 1;
  }

  // When everything that the rank's next action needs is there; nullopt while
  // it is not, and then the rank is woken when it may be.
  std::optional<int64_t> ReadyTime(int rank, const Action& action) {
    if (action.op == Op::kAgreeNorm) return NormTime(rank);
    if (IsReceive(action.op)) {
      const Channel& channel = ChannelOf(rank, action);
      if (channel.received == channel.sent.size()) return std::nullopt;
      return channel.sent[channel.received];
    }
    if (NeedsReduction(action)) {
      const Meeting& reduction = ReductionOf(action);
      if (reduction.arrived >= NumHolders(action)) return reduction.time;
      waiting_for_reduction_[action.stage.value()].push_back(rank);
      return std::nullopt;
    }
    if (!IsCompute(action.op)) return 0;
    return options_.overlap_pairs ? ChainTime(rank) : InputsTime(rank, action);
  }

  std::optional<int64_t> InputsTime(int rank, const Action& action) {
    if (!products_) return 0;
    const Products::Inputs inputs = products_->InputsOf(action);
    if (!inputs.missing) return inputs.time;
    waiting_[*inputs.missing].push_back(rank);
    return std::nullopt;
  }

  // `InputsTime` of all the actions that overlap with the rank's next one.
  std::optional<int64_t> ChainTime(int rank) {
    RankState& state = ranks_[rank];
    if (state.chain_start) return state.chain_start;
    const std::vector<Action>& actions = schedule_.ranks[rank];
    if (state.chain_checked <= state.head) {
      state.chain_checked = state.head;
      state.chain_inputs = 0;
    }
    for (size_t& i = state.chain_checked; i < actions.size(); ++i) {
      if (!IsCompute(actions[i].op)) continue;
      const std::optional<int64_t> inputs = InputsTime(rank, actions[i]);
      if (!inputs) return std::nullopt;
      state.chain_inputs = std::max(state.chain_inputs, *inputs);
      if (!actions[i].overlaps_next) break;
    }
    return state.chain_inputs;
  }

  std::optional<int64_t> NormTime(int rank) {
    RankState& state = ranks_[rank];
    if (static_cast<int>(norms_.size()) == state.norms) norms_.emplace_back();
    Meeting& norm = norms_[state.norms];
    if (!state.at_norm) {
      state.at_norm = true;
      ++norm.arrived;
      norm.time = std::max(norm.time, state.clock);
      if (norm.arrived == schedule_.num_ranks()) {
        for (int other = 0; other < schedule_.num_ranks(); ++other) {
          if (other != rank) Wake(other);
        }
      }
    }
    if (norm.arrived < schedule_.num_ranks()) return std::nullopt;
    return norm.time;
  }

  template <typename Map, typename Key>
  void WakeAll(Map& waiting, const Key& key) {
    const auto it = waiting.find(key);
    if (it == waiting.end()) return;
    for (const int rank : it->second) Wake(rank);
    waiting.erase(it);
  }

  // Makes what the action makes, at `time`.
  void Finish(int rank, const Action& action, int64_t time) {
    if (action.op == Op::kAgreeNorm) {
      ++ranks_[rank].norms;
      ranks_[rank].at_norm = false;
    } else if (IsReceive(action.op)) {
      ++ChannelOf(rank, action).received;
    } else if (IsSend(action.op)) {
      ChannelOf(rank, action).sent.push_back(time);
      Wake(action.peer.value());
    } else if (action.op == Op::kReduceGradient) {
      Meeting& reduction = ReductionOf(action);
      ++reduction.arrived;
      reduction.time = std::max(reduction.time, time);
      WakeAll(waiting_for_reduction_, action.stage.value());
    } else if (products_) {
      products_->Make(action, time, [this](const Product& product) {
        WakeAll(waiting_, product);
      });
    }
  }

  // Runs the rank's next action if it can; false if not.
  bool Advance(int rank) {
    RankState& state = ranks_[rank];
    if (state.head == schedule_.ranks[rank].size()) return false;
    const Action& action = schedule_.ranks[rank][state.head];
    const std::optional<int64_t> ready = ReadyTime(rank, action);
    if (!ready) return false;
    const bool overlaps = options_.overlap_pairs && IsCompute(action.op);
    int64_t start = std::max(state.clock, *ready);
    if (overlaps && state.chain_start) start = *state.chain_start;
    const int64_t end = start + (options_.cost ? options_.cost(action) : 1);
    result_.starts[rank][state.head] = start;
    result_.makespan = std::max(result_.makespan, end);
    Finish(rank, action, end);
    state.clock = std::max(state.clock, end);
    if (overlaps) {
      state.chain_start =
          action.overlaps_next ? std::optional(start) : std::nullopt;
    }
    ++state.head;
    return true;
  }

  const Schedule& schedule_;
  const ReplayOptions& options_;
  std::vector<RankState> ranks_;
  std::deque<int> ready_;
  // Unset where the lists communicate.
  std::optional<Products> products_;
  absl::flat_hash_map<Product, std::vector<int>> waiting_;
  absl::flat_hash_map<ChannelKey, Channel> channels_;
  std::vector<Meeting> norms_;
  // Index is the stage.
  std::vector<int> num_holders_;
  absl::flat_hash_map<std::pair<int, int>, Meeting> reductions_;
  absl::flat_hash_map<int, std::vector<int>> waiting_for_reduction_;
  ReplayResult result_;
};

}  // namespace

ReplayResult Replay(const Schedule& schedule, const ReplayOptions& options) {
  return Replayer(schedule, options).Run();
}

}  // namespace penstock
