#include "coordinator/core/memory_forecast.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/status_macros.h"
#include "coordinator/core/job_check.h"
#include "coordinator/core/stage_account.h"
#include "models/graph/layer_kinds.h"
#include "schedule/ir/gradient_slots.h"
#include "schedule/ir/unroll.h"

namespace penstock {
namespace {

// Flat buffers begin each parameter at a multiple of so many numbers.
constexpr int64_t kParameterAlignment = 32;
constexpr int64_t kFloatBytes = 4;

bool Holds(const Schedule& schedule, int stage, RankId rank) {
  const std::vector<RankId>& holders = schedule.placement[stage];
  return std::find(holders.begin(), holders.end(), rank) != holders.end();
}

// A run of a continuous schedule holds the most by its second period at the
// latest, since every period holds what the one before it did.
constexpr int kWalkedPeriods = 2;

// Copies of a stage's weights: one for each version that is read, or one alone.
int64_t VersionsOf(const Schedule& schedule, int stage) {
  return schedule.is_continuous() ? schedule.versions[stage].delay + 1 : 1;
}

// Walks one rank's list with what is in memory.
class RankWalk {
 public:
  RankWalk(const Plan& plan, const Schedule& schedule, RankId rank,
           StageAccounts* accounts)
      : plan_(plan),
        schedule_(schedule),
        actions_(schedule.ranks[rank.value()]),
        accounts_(*accounts) {
    for (const Action& action : actions_) {
      if (action.op == Op::kRecompute) {
        recomputed_.emplace(action.stage, action.microbatch);
      }
      if (action.op != Op::kReceiveForward) continue;
      came_.emplace(action.edge, action.microbatch);
    }
  }

  // Adds the highest points to `use`.
  void Run(MemoryUse* use) {
    size_t posted = 0;
    for (size_t i = 0; i < actions_.size(); ++i) {
      const size_t ahead = i + plan_.receive_lookahead() + 1;
      for (; posted < std::min(ahead, actions_.size()); ++posted) {
        Post(actions_[posted]);
      }
      Note();
      Take(actions_[i]);
    }
    Note();
    use->set_activation_bytes(most_activation_);
    use->set_weight_queue_bytes(most_queue_);
    use->set_peak_bytes(most_);
  }

 private:
  void Note() {
    most_ = std::max(most_, live_);
    most_activation_ = std::max(most_activation_, live_ - queue_);
    most_queue_ = std::max(most_queue_, queue_);
  }

  void Hold(const HeldTensor& tensor, int piece) {
    int& holders = holders_[Place(tensor, piece)];
    if (holders++ == 0) live_ += tensor.bytes;
  }
  void LetGo(const HeldTensor& tensor, int piece) {
    const auto found = holders_.find(Place(tensor, piece));
    if (found == holders_.end()) return;
    if (--found->second > 0) return;
    live_ -= tensor.bytes;
    holders_.erase(found);
  }
  void HoldAll(const std::vector<HeldTensor>& tensors, int piece) {
    for (const HeldTensor& tensor : tensors) Hold(tensor, piece);
  }
  void LetGoAll(const std::vector<HeldTensor>& tensors, int piece) {
    for (const HeldTensor& tensor : tensors) LetGo(tensor, piece);
  }
  int64_t Place(const HeldTensor& tensor, int piece) const {
    return int64_t{tensor.id} * schedule_.num_microbatches *
               accounts_.pieces() +
           piece;
  }

  std::vector<int> PiecesOf(MicrobatchId microbatch, Half half) const {
    std::vector<int> pieces;
    for (int i = 0; i < accounts_.pieces(); ++i) {
      if (half == Half::kFirst && i != 0) continue;
      if (half == Half::kSecond && i != 1) continue;
      pieces.push_back(microbatch.value() * accounts_.pieces() + i);
    }
    return pieces;
  }

  const StageAccount& AccountOf(StageId stage, MicrobatchId microbatch,
                                bool again) {
    std::vector<bool> came;
    for (const EdgeId edge : accounts_.InEdges(stage)) {
      came.push_back(came_.count({edge, microbatch}) > 0);
    }
    return accounts_.Of(stage, came, again);
  }

  bool IsActivation(EdgeId edge) const {
    return schedule_.edges[edge.value()].kind == EdgeKind::kActivation;
  }

  int64_t TiedBytes(EdgeId edge) const {
    int64_t bytes = kFloatBytes;
    for (const int64_t size : plan_.edge_tensors(edge.value()).shape()) {
      bytes *= size;
    }
    return bytes;
  }

  // A receive gets its memory.
  void Post(const Action& action) {
    if (!IsReceive(action.op)) return;
    if (!IsActivation(action.edge)) {
      live_ += TiedBytes(action.edge);
      return;
    }
    for (const int piece : PiecesOf(action.microbatch, action.half)) {
      Hold(action.op == Op::kReceiveForward ? accounts_.Received(action.edge)
                                            : accounts_.Gradient(action.edge),
           piece);
    }
  }

  void Take(const Action& action) {
    switch (action.op) {
      case Op::kForward:
        for (int i = 0; i < action.num_microbatches; ++i) {
          TakeForward(action.stage,
                      MicrobatchId(action.microbatch.value() + i));
        }
        return;
      case Op::kRecompute:
        return TakeRecompute(action.stage, action.microbatch);
      case Op::kBackward:
        TakeInputGradient(action);
        return TakeWeightGradient(action);
      case Op::kBackwardInput:
        return TakeInputGradient(action);
      case Op::kBackwardWeight:
        return TakeWeightGradient(action);
      case Op::kSendForward:
      case Op::kSendBackward:
        return TakeSend(action);
      case Op::kReceiveForward:
      case Op::kReceiveBackward:
        if (!IsActivation(action.edge)) live_ -= TiedBytes(action.edge);
        return;
      default:
        return;
    }
  }

  void TakeForward(StageId stage, MicrobatchId microbatch) {
    const bool again = recomputed_.count({stage, microbatch}) > 0;
    const StageAccount& account = AccountOf(stage, microbatch, false);
    for (const int piece : PiecesOf(microbatch, Half::kWhole)) {
      if (again) {
        HoldAll(account.inputs, piece);
        HoldAll(account.data, piece);
      } else {
        Record(account, piece);
      }
      HoldAll(account.outputs, piece);
      // Taken from where it waited.
      LetGoAll(account.inputs, piece);
    }
  }

  void TakeRecompute(StageId stage, MicrobatchId microbatch) {
    const StageAccount& account = AccountOf(stage, microbatch, true);
    for (const int piece : PiecesOf(microbatch, Half::kWhole)) {
      Record(account, piece);
      LetGoAll(account.inputs, piece);
      LetGoAll(account.data, piece);
    }
  }

  void Record(const StageAccount& account, int piece) {
    HoldAll(account.until_input_gradient, piece);
    HoldAll(account.until_weight_gradient, piece);
    live_ +=
        account.own_until_input_gradient + account.own_until_weight_gradient;
  }

  void TakeInputGradient(const Action& action) {
    const StageAccount& account =
        AccountOf(action.stage, action.microbatch, IsAgain(action));
    for (const int piece : PiecesOf(action.microbatch, action.half)) {
      LetGoAll(account.until_input_gradient, piece);
      live_ -= account.own_until_input_gradient;
      live_ += account.gradients_until_weight_gradient;
      queue_ += account.weight_queue_bytes();
      for (const EdgeId edge : account.out_edges) {
        LetGo(accounts_.Gradient(edge), piece);
      }
      for (const EdgeId edge : account.in_edges) {
        Hold(accounts_.Gradient(edge), piece);
      }
    }
  }

  void TakeWeightGradient(const Action& action) {
    const StageAccount& account =
        AccountOf(action.stage, action.microbatch, IsAgain(action));
    for (const int piece : PiecesOf(action.microbatch, action.half)) {
      LetGoAll(account.until_weight_gradient, piece);
      live_ -= account.own_until_weight_gradient +
               account.gradients_until_weight_gradient;
      queue_ -= account.weight_queue_bytes();
    }
  }

  void TakeSend(const Action& action) {
    if (!IsActivation(action.edge)) return;
    for (const int piece : PiecesOf(action.microbatch, action.half)) {
      if (action.op == Op::kSendBackward) {
        LetGo(accounts_.Gradient(action.edge), piece);
        continue;
      }
      const StageAccount& account =
          AccountOf(action.stage, action.microbatch, false);
      for (size_t i = 0; i < account.out_edges.size(); ++i) {
        if (account.out_edges[i] != action.edge) continue;
        LetGo(account.outputs[i], piece);
      }
    }
  }

  bool IsAgain(const Action& action) const {
    return recomputed_.count({action.stage, action.microbatch}) > 0;
  }

  const Plan& plan_;
  const Schedule& schedule_;
  const std::vector<Action>& actions_;
  StageAccounts& accounts_;
  std::set<std::pair<StageId, MicrobatchId>> recomputed_;
  std::set<std::pair<EdgeId, MicrobatchId>> came_;
  // By tensor and piece: how many hold it.
  std::unordered_map<int64_t, int> holders_;
  int64_t live_ = 0;
  int64_t queue_ = 0;
  int64_t most_ = 0;
  int64_t most_activation_ = 0;
  int64_t most_queue_ = 0;
};

int64_t AlignedElements(const ParameterSpec& parameter) {
  return (parameter.num_elements() + kParameterAlignment - 1) /
         kParameterAlignment * kParameterAlignment;
}

// Weights, gradients and optimizer state of the rank's stages. In float32 the
// newest version is the master. Gradients are as many as there are updates
// whose sums are under way. A tied use has a gradient of its own, and a copy of
// each version of the weight where its owner is elsewhere.
absl::Status AddStatic(const Plan& plan, const Schedule& schedule,
                       const Graph& graph, RankId rank, MemoryUse* use) {
  const Job& job = plan.job();
  std::map<std::string, int> stage_of;
  for (int stage = 0; stage < plan.stages_size(); ++stage) {
    for (const std::string& layer : plan.stages(stage).layers()) {
      stage_of[layer] = stage;
    }
  }
  const bool has_masters = job.dtype() != kFloat32;
  const int64_t version_bytes = has_masters ? 2 : kFloatBytes;
  const int64_t moments = job.optimizer().kind() == "sgd" ? 1 : 2;
  std::set<std::string> owned;
  // With the bytes of a copy.
  std::vector<std::pair<ParameterSpec, int64_t>> tied;
  int64_t elements = 0;
  int64_t weight_bytes = 0;
  int64_t gradient_bytes = 0;
  for (const LayerSpec& layer : graph.layers) {
    const int stage = stage_of.at(layer.name);
    if (!Holds(schedule, stage, rank)) continue;
    const int64_t bytes_each = VersionsOf(schedule, stage) * version_bytes +
                               (has_masters ? kFloatBytes : 0);
    const int64_t gradient_bytes_each =
        kFloatBytes * GradientSlots(schedule, rank, StageId(stage));
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<ParameterSpec> parameters,
                              ParametersOf(layer));
    for (const ParameterSpec& parameter : parameters) {
      if (!parameter.tied_to.empty()) {
        tied.push_back({parameter, parameter.num_elements() * version_bytes *
                                       VersionsOf(schedule, stage)});
        gradient_bytes += parameter.num_elements() * gradient_bytes_each;
        continue;
      }
      owned.insert(parameter.name);
      elements += AlignedElements(parameter);
      weight_bytes += AlignedElements(parameter) * bytes_each;
      gradient_bytes += AlignedElements(parameter) * gradient_bytes_each;
    }
  }
  use->set_weight_bytes(weight_bytes);
  use->set_gradient_bytes(gradient_bytes);
  use->set_optimizer_bytes(elements * kFloatBytes * moments);
  for (const auto& [parameter, bytes] : tied) {
    if (owned.count(parameter.tied_to) > 0) continue;
    use->set_weight_bytes(use->weight_bytes() + bytes);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<MemoryUse>> ForecastMemory(const Plan& plan,
                                                      const Schedule& schedule,
                                                      const Graph& graph) {
  PENSTOCK_ASSIGN_OR_RETURN(StageAccounts accounts,
                            StageAccounts::Make(plan, schedule, graph));
  // A flush is its own.
  PENSTOCK_ASSIGN_OR_RETURN(const Schedule run,
                            Unroll(schedule, kWalkedPeriods));
  std::vector<MemoryUse> uses;
  for (int i = 0; i < schedule.num_ranks(); ++i) {
    MemoryUse& use = uses.emplace_back();
    RankWalk(plan, run, RankId(i), &accounts).Run(&use);
    PENSTOCK_RETURN_IF_ERROR(AddStatic(plan, schedule, graph, RankId(i), &use));
    use.set_peak_bytes(use.peak_bytes() + use.weight_bytes() +
                       use.gradient_bytes() + use.optimizer_bytes());
  }
  return uses;
}

}  // namespace penstock
