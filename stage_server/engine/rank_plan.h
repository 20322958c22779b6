#ifndef PENSTOCK_STAGE_SERVER_ENGINE_RANK_PLAN_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_RANK_PLAN_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "models/graph/graph.h"
#include "models/graph/step_lengths.h"
#include "proto/plan.pb.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// What one rank's engine is made of, resolved from plan and model: names are
// indices here, and everything fits. Plain values; no tensor.

// Where a layer finds one of its inputs.
struct InputSource {
  enum class Kind {
    kData,   // index: of RankStage::data_inputs
    kLayer,  // index: position of an earlier layer in the same stage
    kEdge,   // index: of RankStage::in_edges
  };
  Kind kind = Kind::kData;
  int index = 0;

  friend bool operator==(const InputSource&, const InputSource&) = default;
};

struct StageLayer {
  // Index in the graph.
  int layer = 0;
  std::vector<ParameterSpec> parameters;
  std::vector<InputSource> inputs;
};

// An activation edge as one of its two stages sees it.
struct EdgeEnd {
  EdgeId edge;
  // Of an outgoing edge: position, in the stage, of the layer that makes it.
  int layer_position = 0;
  // At the other end.
  StageId other;
};

struct RankStage {
  StageId id;
  // In graph order.
  std::vector<StageLayer> layers;
  // The graph's inputs that the stage reads from the data, by name, each once,
  // in the order of their first use.
  std::vector<std::string> data_inputs;
  // By edge index.
  std::vector<EdgeEnd> in_edges;
  std::vector<EdgeEnd> out_edges;
  // Position of the loss in `layers`.
  std::optional<int> loss_position;
  // Whether other ranks hold it too.
  bool is_shared = false;
  // By the number of an update, modulo those of a step: its pieces that this
  // rank runs.
  std::vector<int> own_pieces;
  // Updates whose gradients there are at once (schedule/ir/gradient_slots.h).
  int num_gradients = 1;
  // Index is the piece: whether the list recomputes it. Empty: none.
  std::vector<bool> recomputed;
  // Of a schedule that never drains, which recomputes all or none.
  bool recomputes_all = false;

  int OwnPieces(int64_t update) const {
    return own_pieces[static_cast<size_t>(update) % own_pieces.size()];
  }
  bool IsRecomputed(MicrobatchId piece) const {
    return recomputes_all || (!recomputed.empty() && recomputed[piece.value()]);
  }
};

// A use of a parameter by a layer that does not own it.
struct TiedSite {
  std::string owner_parameter;
  std::string user_parameter;
  int owner_layer = 0;
  int user_layer = 0;
  StageId owner_stage;
  StageId user_stage;
  // Between the two stages; without a value where they are one, or are both on
  // one rank, the same.
  std::optional<EdgeId> edge;
  // Whether this rank holds both stages: it makes the sum by itself.
  bool is_local = false;
};

struct RankPlan {
  RankId rank;
  Job job;
  // Made for one piece of a microbatch of the longest steps.
  Graph graph;
  // Each microbatch is computed in so many pieces, one after the other: 2 where
  // the schedule has halves, so that each can be differentiated alone. Bits are
  // those of a job with `num_pieces()` microbatches.
  int pieces_per_microbatch = 1;
  // With only this rank's list; the others' are empty.
  Schedule schedule;
  // Of whole microbatches, in the longest steps.
  std::vector<TensorSpec> edge_tensors;
  StepLengths step_lengths;
  // By length: `edge_tensors` of the other steps.
  std::map<int64_t, std::vector<TensorSpec>> shorter_edge_tensors;
  // This rank's, ascending.
  std::vector<RankStage> stages;
  // Of the whole model, in layer order of the users.
  std::vector<TiedSite> tied_sites;
  StageId loss_stage;
  // Index is the rank: the layers with parameters that it speaks for,
  // ascending. Of a stage on several ranks that is the first one.
  std::vector<std::vector<int>> owned_layers;
  // Index is the rank: pieces whose losses it may have, where several ranks
  // compute the loss; else 0.
  std::vector<int> loss_places;

  // Of a step, or of the prologue.
  const std::vector<Action>& actions() const {
    return schedule.ranks[rank.value()];
  }
  // The first rank of a stage, which speaks for it.
  RankId FirstRankOf(StageId stage) const {
    return schedule.placement[stage.value()][0];
  }
  // Whether this rank holds the stage.
  bool Holds(StageId stage) const {
    const std::vector<RankId>& holders = schedule.placement[stage.value()];
    return std::find(holders.begin(), holders.end(), rank) != holders.end();
  }
  bool IsShared(StageId stage) const {
    return schedule.placement[stage.value()].size() > 1;
  }
  // What is on the edge in a step, of whole microbatches; steps count from 0.
  const TensorSpec& EdgeTensor(EdgeId edge, int64_t step) const {
    const auto shorter = shorter_edge_tensors.find(step_lengths.LengthOf(step));
    return shorter == shorter_edge_tensors.end()
               ? edge_tensors[edge.value()]
               : shorter->second[edge.value()];
  }
  // Of a step.
  int num_pieces() const {
    return schedule.num_microbatches * pieces_per_microbatch;
  }
  // On all ranks.
  int PiecesPerUpdate(StageId stage) const {
    if (!schedule.is_continuous()) return num_pieces();
    return schedule.versions[stage.value()].microbatches_per_update *
           pieces_per_microbatch;
  }
  // What the stage's gradients are times, to be those of the mean over the
  // microbatches of its update: the loss counts by those of its own stage's.
  double GradientShare(StageId stage) const {
    return static_cast<double>(PiecesPerUpdate(loss_stage)) /
           PiecesPerUpdate(stage);
  }
  // What the stage's learning rate is the job's times: as much more as an
  // update of it absorbs more microbatches than one of the first stage
  // (Narayanan et al., PipeDream, 2019, section 4).
  double RateFactor(StageId stage) const {
    return static_cast<double>(PiecesPerUpdate(stage)) /
           PiecesPerUpdate(StageId(0));
  }
  // Versions of the stage's weights that are kept at most.
  int MaxVersions(StageId stage) const {
    if (!schedule.is_continuous()) return 1;
    return schedule.versions[stage.value()].delay + 1;
  }
};

// Pure: no file is read.
//   INVALID_ARGUMENT  plan, model and rank do not fit together, or the list is
//                     not sound (list_check.h); says where. Of a schedule that
//                     never drains also what it cannot have: float16, and a
//                     weight that is tied between stages of other version
//                     rules, or of one rank.
absl::StatusOr<RankPlan> ResolveRank(const Plan& plan, RankId rank);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_RANK_PLAN_H_
