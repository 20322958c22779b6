#include "schedule/verifier/symbolic_step.h"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <initializer_list>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/random.h"

namespace penstock {
namespace {

enum Kind : uint64_t {
  kF,
  kInputGradient,
  kWeightGradient,
  kTensor,
  kSum,
  kReduced,
  kUpdated,
  kTiedIn,
  kNorm
};

uint64_t Expression(Kind kind, std::initializer_list<uint64_t> parts) {
  return RandomKey(kind, parts);
}

using Value = std::optional<uint64_t>;
// Stage or edge, microbatch, half (0 for what has none).
using Key = std::tuple<int, int, int>;
using Values = std::map<Key, uint64_t>;

struct Message {
  int microbatch;
  Half half;
  // Of a tied weight in a continuous schedule.
  std::optional<int32_t> version;
  // By half; the same twice for what has none.
  uint64_t values[2];
};

// One stage on one rank.
struct Copy {
  // Those that are kept.
  std::map<int64_t, uint64_t> versions;
  int64_t newest = 0;
  uint64_t sum = 0;
};

struct Rank {
  size_t head = 0;
  std::map<int, Copy> copies;
  Values forwards, backwards, recomputed;
  // Received, and how often used.
  Values activations, gradients;
  std::set<Key> unused;
  std::set<Key> summed;
  std::map<int, uint64_t> tied_gradients;
  // Of a continuous schedule: by edge and version, those that are kept.
  std::map<int, std::map<int64_t, uint64_t>> tied_weights;
};

Value Find(const Values& values, Key key) {
  const auto it = values.find(key);
  return it == values.end() ? std::nullopt : Value(it->second);
}

// The halves of an action: [first, end).
int FirstHalf(const Action& a) { return a.half == Half::kSecond ? 1 : 0; }
int EndHalf(const Action& a) { return a.half == Half::kFirst ? 1 : 2; }

class SymbolicRun {
 public:
  explicit SymbolicRun(const Schedule& schedule)
      : schedule_(schedule), ranks_(schedule.num_ranks()) {
    for (int s = 0; s < schedule.num_stages(); ++s) {
      for (const RankId holder : schedule.placement[s]) {
        ranks_[holder.value()].copies[s].versions[0] =
            static_cast<uint64_t>(s) + 1;
      }
    }
  }

  std::optional<std::vector<uint64_t>> Run() {
    for (const auto& actions : schedule_.ranks) {
      if (!PairsCanOverlap(actions)) return std::nullopt;
    }
    bool progress = true;
    while (progress && !failed_) {
      progress = PassBarrier();
      for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
        while (!failed_ && !AtEnd(rank) && Step(rank, Next(rank))) {
          ++ranks_[rank].head;
          progress = true;
        }
      }
    }
    if (failed_ || !EndsClean()) return std::nullopt;
    return Answer();
  }

 private:
  bool AtEnd(int rank) const {
    return ranks_[rank].head == schedule_.ranks[rank].size();
  }
  const Action& Next(int rank) const {
    return schedule_.ranks[rank][ranks_[rank].head];
  }
  bool IsShared(int stage) const {
    return schedule_.placement[stage].size() > 1;
  }
  bool Fail() {
    failed_ = true;
    return false;
  }
  // Puts `value` where none may be.
  bool Put(Values& values, Key key, uint64_t value) {
    return values.insert({key, value}).second || Fail();
  }

  bool EndsClean() const {
    for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
      if (!AtEnd(rank) || !ranks_[rank].unused.empty()) return false;
      // Everything that ran forward has run its whole backward.
      if (2 * ranks_[rank].forwards.size() != ranks_[rank].summed.size()) {
        return false;
      }
      for (const auto& [stage, copy] : ranks_[rank].copies) {
        if (copy.sum != 0) return false;
        if (copy.newest == 0 && schedule_.num_microbatches > 0) return false;
      }
    }
    for (const auto& [key, channel] : channels_) {
      if (!channel.empty()) return false;
    }
    for (const auto& [key, parts] : reductions_) {
      if (parts.size() != schedule_.placement[key.first].size()) return false;
    }
    return schedule_.is_continuous() != norm_.has_value();
  }

  std::vector<uint64_t> Answer() const {
    std::vector<uint64_t> answer;
    for (const Rank& rank : ranks_) {
      for (const auto& [stage, copy] : rank.copies) {
        answer.push_back(copy.versions.at(copy.newest));
        answer.push_back(static_cast<uint64_t>(copy.newest));
      }
    }
    return answer;
  }

  // Both of a pair may run at once: nothing but the first's sends, and
  // receives, may stand between, and the second may not take what the first
  // makes.
  bool PairsCanOverlap(const std::vector<Action>& actions) const {
    for (size_t i = 0; i < actions.size(); ++i) {
      const Action& first = actions[i];
      if (!first.overlaps_next) continue;
      size_t next = i + 1;
      while (next < actions.size() && (IsReceive(actions[next].op) ||
                                       (IsSend(actions[next].op) &&
                                        actions[next].stage == first.stage))) {
        ++next;
      }
      if (next == actions.size()) return false;
      const Action& second = actions[next];
      if (!IsCompute(second.op) || second.overlaps_next) return false;
      if (first.microbatch != second.microbatch) continue;
      if (first.stage == second.stage) return false;
      for (const Edge& edge : schedule_.edges) {
        if ((edge.from == first.stage && edge.to == second.stage) ||
            (edge.to == first.stage && edge.from == second.stage)) {
          return false;
        }
      }
    }
    return true;
  }

  // A stage's whole gradient on a rank; nullopt while it is not reduced.
  Value GradientOf(int rank, int stage, int64_t version) const {
    if (!IsShared(stage)) return ranks_[rank].copies.at(stage).sum;
    const auto it = reductions_.find({stage, version});
    if (it == reductions_.end() ||
        it->second.size() != schedule_.placement[stage].size()) {
      return std::nullopt;
    }
    uint64_t total = 0;
    for (const auto& [holder, part] : it->second) {
      total = Expression(kReduced, {total, part});
    }
    return total;
  }

  bool PassBarrier() {
    for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
      if (AtEnd(rank) || Next(rank).op != Op::kAgreeNorm) return false;
    }
    if (norm_) return Fail();
    uint64_t sum = 0;
    for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
      for (const auto& [stage, copy] : ranks_[rank].copies) {
        const Value gradient = GradientOf(rank, stage, 0);
        if (!gradient) return Fail();
        sum += *gradient;
      }
      for (const auto& [edge, gradient] : ranks_[rank].tied_gradients) {
        sum += gradient;
      }
      ++ranks_[rank].head;
    }
    norm_ = Expression(kNorm, {sum});
    return true;
  }

  // False if the action waits, and on failure.
  bool Step(int rank, const Action& action) {
    if (action.op == Op::kAgreeNorm) {
      return schedule_.is_continuous() ? Fail() : false;
    }
    if (!ranks_[rank].copies.contains(action.stage.value())) return Fail();
    switch (action.op) {
      case Op::kForward:
        return RunForward(rank, action);
      case Op::kRecompute:
        return RunRecompute(rank, action);
      case Op::kBackward:
        return RunInput(rank, action) && RunWeight(rank, action);
      case Op::kBackwardInput:
        return RunInput(rank, action);
      case Op::kBackwardWeight:
        return RunWeight(rank, action);
      case Op::kReduceGradient:
        return RunReduce(rank, action);
      case Op::kUpdate:
        return RunUpdate(rank, action);
      default:
        return IsSend(action.op) ? Send(rank, action) : Receive(rank, action);
    }
  }

  // The weights that the action reads.
  Value WeightsOf(int rank, const Action& action) const {
    if (schedule_.is_continuous() && !action.version) return std::nullopt;
    const Copy& copy = ranks_[rank].copies.at(action.stage.value());
    const auto it = copy.versions.find(action.version.value_or(copy.newest));
    if (it == copy.versions.end()) return std::nullopt;
    return schedule_.is_continuous() ? WithTied(rank, action, it->second)
                                     : Value(it->second);
  }

  // With what the stage uses of other ranks' stages, which is its own at first.
  Value WithTied(int rank, const Action& action, uint64_t weights) const {
    if (*action.version == 0) return weights;
    for (size_t e = 0; e < schedule_.edges.size(); ++e) {
      const Edge& edge = schedule_.edges[e];
      if (edge.kind != EdgeKind::kTiedWeight || edge.to != action.stage) {
        continue;
      }
      const auto kept = ranks_[rank].tied_weights.find(static_cast<int>(e));
      if (kept == ranks_[rank].tied_weights.end()) return std::nullopt;
      const auto it = kept->second.find(*action.version);
      if (it == kept->second.end()) return std::nullopt;
      weights = Expression(kTiedIn, {weights, it->second});
    }
    return weights;
  }

  // What came for an edge whose other end is not on this rank.
  Value Use(int rank, const Values& received, Key key) {
    ranks_[rank].unused.erase(key);
    return Find(received, key);
  }

  bool RunForward(int rank, const Action& action) {
    const int s = action.stage.value();
    const Value weights = WeightsOf(rank, action);
    if (!weights) return Fail();
    for (int k = 0; k < action.num_microbatches; ++k) {
      const int b = action.microbatch.value() + k;
      if (b < 0 || b >= schedule_.num_microbatches) return Fail();
      uint64_t value = Expression(
          kF, {static_cast<uint64_t>(s), static_cast<uint64_t>(b), *weights});
      for (size_t e = 0; e < schedule_.edges.size(); ++e) {
        const Edge& edge = schedule_.edges[e];
        if (edge.kind != EdgeKind::kActivation || edge.to.value() != s)
          continue;
        const Value local =
            Find(ranks_[rank].forwards, {edge.from.value(), b, 0});
        const Value input = local ? Value(TensorOf(*local, e))
                                  : Use(rank, ranks_[rank].activations,
                                        {static_cast<int>(e), b, 0});
        if (!input) return Fail();
        value = Expression(kF, {value, *input});
      }
      if (!forward_done_.insert({s, b}).second) return Fail();
      Put(ranks_[rank].forwards, {s, b, 0}, value);
    }
    return !failed_;
  }

  bool RunRecompute(int rank, const Action& action) {
    Rank& at = ranks_[rank];
    const int s = action.stage.value(), b = action.microbatch.value();
    const Value weights = WeightsOf(rank, action);
    if (!weights || action.half != Half::kWhole ||
        !Find(at.forwards, {s, b, 0}) || Find(at.backwards, {s, b, 0}) ||
        Find(at.backwards, {s, b, 1})) {
      return Fail();
    }
    return Put(at.recomputed, {s, b, 0}, *weights);
  }

  bool RunInput(int rank, const Action& action) {
    Rank& at = ranks_[rank];
    const int s = action.stage.value(), b = action.microbatch.value();
    const Value forward = Find(at.forwards, {s, b, 0});
    const Value weights = WeightsOf(rank, action);
    if (!forward || !weights) return Fail();
    const Value again = Find(at.recomputed, {s, b, 0});
    if (again && *again != *weights) return Fail();
    for (int h = FirstHalf(action); h < EndHalf(action); ++h) {
      uint64_t value = Expression(
          kInputGradient, {*forward, *weights, static_cast<uint64_t>(h)});
      for (size_t e = 0; e < schedule_.edges.size(); ++e) {
        const Edge& edge = schedule_.edges[e];
        if (edge.kind != EdgeKind::kActivation || edge.from.value() != s) {
          continue;
        }
        const int to = edge.to.value();
        const Value local = Find(at.backwards, {to, b, h});
        // Where the taker is on this rank, its gradient has to come from there.
        const bool here = Find(at.forwards, {to, b, 0}).has_value();
        // Gradients are told from activations by a negative edge.
        const Value input =
            here ? (local ? Value(TensorOf(*local, e)) : std::nullopt)
                 : Use(rank, at.gradients, {-1 - static_cast<int>(e), b, h});
        if (!input) return Fail();
        value = Expression(kInputGradient, {value, *input});
      }
      Put(at.backwards, {s, b, h}, value);
    }
    return !failed_;
  }

  bool RunWeight(int rank, const Action& action) {
    Rank& at = ranks_[rank];
    const int s = action.stage.value(), b = action.microbatch.value();
    const Value weights = WeightsOf(rank, action);
    if (!weights) return Fail();
    Copy& copy = at.copies[s];
    for (int h = FirstHalf(action); h < EndHalf(action); ++h) {
      const Value input = Find(at.backwards, {s, b, h});
      if (!input || !at.summed.insert({s, b, h}).second) return Fail();
      const uint64_t value = Expression(kWeightGradient, {*input, *weights});
      copy.sum = schedule_.accumulation == AccumulationOrder::kAsListed
                     ? copy.sum + value
                     : Expression(kSum, {copy.sum, value});
    }
    return true;
  }

  bool RunReduce(int rank, const Action& action) {
    const int s = action.stage.value();
    const int64_t version =
        schedule_.is_continuous() ? action.version.value_or(-1) : 0;
    if (!IsShared(s) || version < 0 ||
        (!schedule_.is_continuous() && action.version.value_or(1) != 1)) {
      return Fail();
    }
    Copy& copy = ranks_[rank].copies[s];
    if (!reductions_[{s, version}].insert({rank, copy.sum}).second) {
      return Fail();
    }
    copy.sum = 0;
    return true;
  }

  bool RunUpdate(int rank, const Action& action) {
    const int s = action.stage.value();
    Copy& copy = ranks_[rank].copies[s];
    const int64_t version = action.version.value_or(1);
    if (version != copy.newest + 1) return Fail();
    int kept = 1;
    if (schedule_.is_continuous()) {
      kept += schedule_.versions[s].delay;
    } else if (!norm_) {
      return Fail();
    }
    const Value gradient =
        GradientOf(rank, s, schedule_.is_continuous() ? version : 0);
    if (!gradient) return schedule_.is_continuous() ? false : Fail();
    uint64_t value = Expression(kUpdated, {copy.versions.at(copy.newest),
                                           *gradient, norm_.value_or(0)});
    for (size_t e = 0; e < schedule_.edges.size(); ++e) {
      const Edge& edge = schedule_.edges[e];
      if (edge.kind != EdgeKind::kTiedWeight || edge.from.value() != s)
        continue;
      const Value tied = TiedGradient(rank, static_cast<int>(e));
      if (!tied) return Fail();
      value = Expression(kUpdated, {value, *tied});
      if (schedule_.is_continuous()) {
        ranks_[rank].tied_gradients.erase(static_cast<int>(e));
      }
    }
    copy.newest = version;
    copy.versions[version] = value;
    copy.versions.erase(version - kept);
    if (!IsShared(s)) copy.sum = 0;
    return true;
  }

  // What the user of a tied weight gives its owner on a rank.
  Value TiedGradient(int rank, int edge) const {
    const int user = schedule_.edges[edge].to.value();
    const auto received = ranks_[rank].tied_gradients.find(edge);
    if (received != ranks_[rank].tied_gradients.end()) return received->second;
    // On the same rank: whole since N, whichever of the two updates first.
    if (ranks_[rank].copies.contains(user)) return 0;
    return std::nullopt;
  }

  bool Send(int rank, const Action& action) {
    Rank& at = ranks_[rank];
    const int e = action.edge.value(), b = action.microbatch.value();
    const int s = action.stage.value();
    if (e < 0 || e >= static_cast<int>(schedule_.edges.size())) return Fail();
    const Edge& edge = schedule_.edges[e];
    const bool forward = action.op == Op::kSendForward;
    if ((forward ? edge.from : edge.to) != action.stage) return Fail();
    Message message{b, action.half, action.version, {0, 0}};
    if (action.microbatch == kWholeStep) {
      if (edge.kind != EdgeKind::kTiedWeight) return Fail();
      const Copy& copy = at.copies[s];
      const int64_t version = action.version.value_or(0);
      if (action.version.has_value() != schedule_.is_continuous()) {
        return Fail();
      }
      // A gradient that is reduced is kept until its U, by its version.
      const bool is_kept = !forward && IsShared(s);
      if (schedule_.is_continuous() && !is_kept &&
          version != copy.newest + (forward ? 0 : 1)) {
        return Fail();
      }
      const Value value = forward ? Value(copy.versions.at(copy.newest))
                                  : GradientOf(rank, s, version);
      if (!value) return false;
      message.values[0] = TensorOf(*value, e);
    } else {
      if (edge.kind != EdgeKind::kActivation) return Fail();
      for (int h = FirstHalf(action); h < EndHalf(action); ++h) {
        const Value value = forward ? Find(at.forwards, {s, b, 0})
                                    : Find(at.backwards, {s, b, h});
        if (!value) return Fail();
        message.values[h] = TensorOf(*value, e);
      }
    }
    channels_[{e, forward, rank, action.peer.value()}].push_back(message);
    return true;
  }

  bool Receive(int rank, const Action& action) {
    Rank& at = ranks_[rank];
    const int e = action.edge.value(), b = action.microbatch.value();
    if (e < 0 || e >= static_cast<int>(schedule_.edges.size())) return Fail();
    const Edge& edge = schedule_.edges[e];
    const bool forward = action.op == Op::kReceiveForward;
    if ((forward ? edge.to : edge.from) != action.stage) return Fail();
    auto& channel = channels_[{e, forward, action.peer.value(), rank}];
    if (channel.empty()) return false;
    const Message message = channel.front();
    channel.pop_front();
    if (b != message.microbatch || action.half != message.half ||
        action.version != message.version) {
      return Fail();
    }
    if (action.microbatch == kWholeStep) {
      return ReceiveTied(rank, action, message.values[0]);
    }
    for (int h = FirstHalf(action); h < EndHalf(action); ++h) {
      if (forward && h == 1) continue;
      const Key key{forward ? e : -1 - e, b, h};
      at.unused.insert(key);
      Put(forward ? at.activations : at.gradients, key, message.values[h]);
    }
    return !failed_;
  }

  bool ReceiveTied(int rank, const Action& action, uint64_t value) {
    Rank& at = ranks_[rank];
    if (action.op == Op::kReceiveBackward) {
      // A sum that is still to be reduced would count it on every rank.
      const int s = action.stage.value();
      if (!schedule_.is_continuous() && IsShared(s) &&
          !reductions_[{s, 0}].contains(rank)) {
        return Fail();
      }
      return at.tied_gradients.insert({action.edge.value(), value}).second ||
             Fail();
    }
    Copy& copy = at.copies[action.stage.value()];
    if (schedule_.is_continuous()) {
      std::map<int64_t, uint64_t>& kept = at.tied_weights[action.edge.value()];
      const int64_t newest = kept.empty() ? -1 : kept.rbegin()->first;
      if (action.version.value_or(-1) != newest + 1) return Fail();
      kept[newest + 1] = value;
      kept.erase(newest - schedule_.versions[action.stage.value()].delay);
      return true;
    }
    if (copy.newest == 0) return Fail();
    uint64_t& weights = copy.versions[copy.newest];
    weights = Expression(kTiedIn, {weights, value});
    return true;
  }

  static uint64_t TensorOf(uint64_t value, size_t edge) {
    return Expression(kTensor, {value, edge});
  }

  const Schedule& schedule_;
  std::vector<Rank> ranks_;
  Value norm_;
  std::set<std::pair<int, int>> forward_done_;
  // Stage and version: the parts of the ranks that have come to their G.
  std::map<std::pair<int, int64_t>, std::map<int, uint64_t>> reductions_;
  std::map<std::tuple<int, bool, int, int>, std::deque<Message>> channels_;
  bool failed_ = false;
};

}  // namespace

std::optional<std::vector<uint64_t>> RunSymbolicStep(const Schedule& schedule) {
  return SymbolicRun(schedule).Run();
}

}  // namespace penstock
