#include "schedule/verifier/symbolic_step.h"

#include <deque>
#include <initializer_list>
#include <map>
#include <tuple>
#include <utility>

#include "base/random.h"

namespace penstock {
namespace {

enum Kind : uint64_t { kF, kGradient, kTensor, kUpdated, kTiedIn, kNorm };

uint64_t Expression(Kind kind, std::initializer_list<uint64_t> parts) {
  return RandomKey(kind, parts);
}

class SymbolicRun {
 public:
  explicit SymbolicRun(const Schedule& schedule)
      : schedule_(schedule),
        heads_(schedule.num_ranks()),
        weights_(schedule.num_stages()),
        sums_(schedule.num_stages()),
        updated_(schedule.num_stages()) {
    for (int s = 0; s < schedule.num_stages(); ++s) {
      weights_[s] = static_cast<uint64_t>(s) + 1;
    }
  }

  std::optional<std::vector<uint64_t>> Run() {
    bool progress = true;
    while (progress && !failed_) {
      progress = PassBarrier();
      for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
        while (!failed_ && !AtEnd(rank) && Step(rank, Next(rank))) {
          ++heads_[rank];
          progress = true;
        }
      }
    }
    for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
      if (!AtEnd(rank)) return std::nullopt;
    }
    for (const auto& [key, channel] : channels_) {
      if (!channel.empty()) return std::nullopt;
    }
    for (const bool updated : updated_) {
      if (!updated) return std::nullopt;
    }
    if (failed_ || !norm_) return std::nullopt;
    return weights_;
  }

 private:
  using CellKey = std::pair<int, int>;  // stage or edge, microbatch
  using Message = std::pair<int, uint64_t>;

  bool AtEnd(int rank) const {
    return heads_[rank] == schedule_.ranks[rank].size();
  }
  const Action& Next(int rank) const {
    return schedule_.ranks[rank][heads_[rank]];
  }

  bool Fail() {
    failed_ = true;
    return false;
  }

  // Puts `value` where none may be.
  bool Put(std::map<CellKey, uint64_t>& cells, CellKey key, uint64_t value) {
    return cells.insert({key, value}).second || Fail();
  }

  bool PassBarrier() {
    for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
      if (AtEnd(rank) || Next(rank).op != Op::kAgreeNorm) return false;
    }
    if (norm_) return Fail();
    uint64_t sum = 0;
    for (const uint64_t part : sums_) sum += part;
    for (const auto& [edge, gradient] : tied_gradients_) sum += gradient;
    norm_ = Expression(kNorm, {sum});
    for (size_t& head : heads_) ++head;
    return true;
  }

  // Whether the edge's tensor comes through a channel.
  bool Crosses(const Edge& edge) const {
    return schedule_.placement[edge.from.value()] !=
           schedule_.placement[edge.to.value()];
  }

  // False if the action waits, and on failure.
  bool Step(int rank, const Action& action) {
    if (action.op == Op::kAgreeNorm) return false;
    const int stage = action.stage.value();
    if (stage < 0 || stage >= schedule_.num_stages()) return Fail();
    const std::vector<RankId>& holders = schedule_.placement[stage];
    if (holders.size() != 1 || holders[0].value() != rank) return Fail();
    if (action.op == Op::kForward) return RunForward(action);
    if (action.op == Op::kBackward) return RunBackward(action);
    if (action.op == Op::kUpdate) return RunUpdate(action.stage.value());
    if (IsSend(action.op)) return Send(rank, action);
    if (IsReceive(action.op)) return Receive(rank, action);
    return Fail();
  }

  bool RunForward(const Action& action) {
    const int s = action.stage.value(), b = action.microbatch.value();
    uint64_t value = Expression(
        kF, {static_cast<uint64_t>(s), static_cast<uint64_t>(b), weights_[s]});
    for (size_t e = 0; e < schedule_.edges.size(); ++e) {
      const Edge& edge = schedule_.edges[e];
      if (edge.kind != EdgeKind::kActivation || edge.to.value() != s) continue;
      const std::optional<uint64_t> input =
          Crosses(edge) ? Find(received_, {static_cast<int>(e), b})
                        : Find(forwards_, {edge.from.value(), b});
      if (!input) return Fail();
      value =
          Expression(kF, {value, Crosses(edge) ? *input : TensorOf(*input, e)});
    }
    return Put(forwards_, {s, b}, value);
  }

  bool RunBackward(const Action& action) {
    const int s = action.stage.value(), b = action.microbatch.value();
    const std::optional<uint64_t> forward = Find(forwards_, {s, b});
    if (!forward) return Fail();
    uint64_t value = Expression(kGradient, {*forward, weights_[s]});
    for (size_t e = 0; e < schedule_.edges.size(); ++e) {
      const Edge& edge = schedule_.edges[e];
      if (edge.kind != EdgeKind::kActivation || edge.from.value() != s) {
        continue;
      }
      const std::optional<uint64_t> input =
          Crosses(edge) ? Find(gradients_received_, {static_cast<int>(e), b})
                        : Find(backwards_, {edge.to.value(), b});
      if (!input) return Fail();
      value = Expression(kGradient,
                         {value, Crosses(edge) ? *input : TensorOf(*input, e)});
    }
    sums_[s] += value;
    return Put(backwards_, {s, b}, value);
  }

  bool RunUpdate(int s) {
    if (!norm_ || updated_[s]) return Fail();
    updated_[s] = true;
    uint64_t value = Expression(kUpdated, {weights_[s], sums_[s], *norm_});
    for (const auto& [edge, gradient] : tied_gradients_) {
      if (schedule_.edges[edge].from.value() != s) continue;
      value = Expression(kUpdated, {value, gradient});
    }
    weights_[s] = value;
    return true;
  }

  bool Send(int rank, const Action& action) {
    const int e = action.edge.value(), b = action.microbatch.value();
    const int s = action.stage.value();
    const bool forward = action.op == Op::kSendForward;
    std::optional<uint64_t> value;
    if (action.microbatch == kWholeStep) {
      value = forward ? weights_[s] : sums_[s];
    } else {
      value = Find(forward ? forwards_ : backwards_, {s, b});
    }
    if (!value) return Fail();
    channels_[{e, forward, rank, action.peer.value()}].push_back(
        {b, TensorOf(*value, e)});
    return true;
  }

  bool Receive(int rank, const Action& action) {
    const int e = action.edge.value();
    const bool forward = action.op == Op::kReceiveForward;
    std::deque<Message>& channel =
        channels_[{e, forward, action.peer.value(), rank}];
    if (channel.empty()) return false;
    const auto [b, value] = channel.front();
    channel.pop_front();
    if (b != action.microbatch.value()) return Fail();
    if (action.microbatch != kWholeStep) {
      return Put(forward ? received_ : gradients_received_, {e, b}, value);
    }
    if (!forward) return tied_gradients_.insert({e, value}).second || Fail();
    const int s = action.stage.value();
    if (!updated_[s]) return Fail();
    weights_[s] = Expression(kTiedIn, {weights_[s], value});
    return true;
  }

  static uint64_t TensorOf(uint64_t value, size_t edge) {
    return Expression(kTensor, {value, edge});
  }
  static std::optional<uint64_t> Find(const std::map<CellKey, uint64_t>& cells,
                                      CellKey key) {
    const auto it = cells.find(key);
    if (it == cells.end()) return std::nullopt;
    return it->second;
  }

  const Schedule& schedule_;
  std::vector<size_t> heads_;
  std::vector<uint64_t> weights_, sums_;
  std::vector<bool> updated_;
  std::optional<uint64_t> norm_;
  std::map<CellKey, uint64_t> forwards_, backwards_;
  std::map<CellKey, uint64_t> received_, gradients_received_;
  std::map<int, uint64_t> tied_gradients_;
  std::map<std::tuple<int, bool, int, int>, std::deque<Message>> channels_;
  bool failed_ = false;
};

}  // namespace

std::optional<std::vector<uint64_t>> RunSymbolicStep(const Schedule& schedule) {
  return SymbolicRun(schedule).Run();
}

}  // namespace penstock
