#include "stage_server/engine/rank_plan.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "models/graph/layer_kinds.h"
#include "models/zoo/job_model.h"
#include "models/zoo/zoo.h"
#include "schedule/ir/gradient_slots.h"
#include "stage_server/engine/list_check.h"

namespace penstock {
namespace {

// The stage of each layer of the graph; index is the layer.
using StageOfLayer = std::vector<StageId>;

StepLengths StepLengthsOf(const Job& job) {
  const auto& lengths = job.data().sequence_lengths();
  if (lengths.empty()) {
    return StepLengths(job.seed(), {job.data().sequence_length()});
  }
  return StepLengths(job.seed(), {lengths.begin(), lengths.end()});
}

absl::StatusOr<Graph> GraphOf(const Job& job, int num_microbatches,
                              int pieces_per_microbatch,
                              int64_t sequence_length) {
  const int64_t num_pieces = int64_t{num_microbatches} * pieces_per_microbatch;
  if (num_microbatches < 1 || pieces_per_microbatch < 1 ||
      pieces_per_microbatch > 2 || job.batch_size() < 1 ||
      job.batch_size() % num_pieces != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "plan: a batch of ", job.batch_size(), " in ", num_microbatches,
        " microbatches of ", pieces_per_microbatch,
        " pieces, want a multiple of at least one"));
  }
  ModelRequest request = RequestOf(job);
  request.microbatch_size = job.batch_size() / num_pieces;
  request.sequence_length = static_cast<int32_t>(sequence_length);
  return MakeModel(request);
}

// Every layer in exactly one stage, in graph order there.
absl::StatusOr<StageOfLayer> StagesOfLayers(const Plan& plan,
                                            const Graph& graph) {
  std::map<std::string, int> index;
  for (size_t i = 0; i < graph.layers.size(); ++i) {
    index[graph.layers[i].name] = static_cast<int>(i);
  }
  StageOfLayer stages(graph.layers.size());
  for (int stage = 0; stage < plan.stages_size(); ++stage) {
    int last = -1;
    for (const std::string& name : plan.stages(stage).layers()) {
      const auto found = index.find(name);
      const std::string where =
          absl::StrCat("plan: stage ", stage, ", layer \"", name, "\": ");
      if (found == index.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat(where, "model ", graph.name, " has no such layer"));
      }
      if (stages[found->second] != StageId()) {
        return absl::InvalidArgumentError(
            absl::StrCat(where, "it is in stage ",
                         stages[found->second].value(), " already"));
      }
      if (found->second < last) {
        return absl::InvalidArgumentError(
            absl::StrCat(where, "it comes before \"", graph.layers[last].name,
                         "\" in the model"));
      }
      last = found->second;
      stages[last] = StageId(stage);
    }
  }
  for (size_t i = 0; i < stages.size(); ++i) {
    if (stages[i] != StageId()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "plan: layer \"", graph.layers[i].name, "\" is in no stage"));
  }
  return stages;
}

// What is fixed while stages are resolved.
struct Context {
  const RankPlan& plan;
  const StageOfLayer& stage_of;
  const std::map<std::string, TensorShape>& shapes;
};

absl::Status CheckEdgeTensor(const Context& context, EdgeId id) {
  const Edge& edge = context.plan.schedule.edges[id.value()];
  const TensorSpec& got = context.plan.edge_tensors[id.value()];
  const std::string where =
      absl::StrCat("plan: edge ", id.value(), " (", edge.tensor, "): ");
  const auto found = context.shapes.find(edge.tensor);
  if (found == context.shapes.end()) {
    return absl::InvalidArgumentError(absl::StrCat(where, "no layer makes it"));
  }
  TensorShape want = found->second;
  if (!want.shape.empty()) {
    want.shape[0] *= context.plan.pieces_per_microbatch;
  }
  const std::string& of_job = context.plan.job.dtype();
  const DType activation = of_job == "bfloat16"  ? DTYPE_BFLOAT16
                           : of_job == "float16" ? DTYPE_FLOAT16
                                                 : DTYPE_FLOAT32;
  const DType dtype =
      want.element_type == ElementType::kInt64 ? DTYPE_INT64 : activation;
  const std::vector<int64_t> shape(got.shape().begin(), got.shape().end());
  if (got.dtype() == dtype && shape == want.shape) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      where, "is ", DType_Name(got.dtype()), " [", absl::StrJoin(shape, ", "),
      "], the layer makes ", DType_Name(dtype), " [",
      absl::StrJoin(want.shape, ", "), "]"));
}

absl::StatusOr<InputSource> SourceOf(const Context& context,
                                     const RankStage& stage,
                                     const std::string& input) {
  const auto read =
      std::find(stage.data_inputs.begin(), stage.data_inputs.end(), input);
  if (read != stage.data_inputs.end()) {
    return InputSource{InputSource::Kind::kData,
                       static_cast<int>(read - stage.data_inputs.begin())};
  }
  for (size_t i = 0; i < stage.layers.size(); ++i) {
    if (context.plan.graph.layers[stage.layers[i].layer].name == input) {
      return InputSource{InputSource::Kind::kLayer, static_cast<int>(i)};
    }
  }
  for (size_t i = 0; i < stage.in_edges.size(); ++i) {
    const EdgeId edge = stage.in_edges[i].edge;
    if (context.plan.schedule.edges[edge.value()].tensor == input) {
      return InputSource{InputSource::Kind::kEdge, static_cast<int>(i)};
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("its input \"", input, "\" is neither made in stage ",
                   stage.id.value(), " nor on an edge to it"));
}

void AddDataInput(const std::string& input, RankStage* stage) {
  std::vector<std::string>& inputs = stage->data_inputs;
  if (std::find(inputs.begin(), inputs.end(), input) == inputs.end()) {
    inputs.push_back(input);
  }
}

absl::Status AddLayers(const Context& context, RankStage* stage) {
  const Graph& graph = context.plan.graph;
  for (size_t i = 0; i < graph.layers.size(); ++i) {
    if (context.stage_of[i] != stage->id) continue;
    const LayerSpec& spec = graph.layers[i];
    StageLayer layer;
    layer.layer = static_cast<int>(i);
    PENSTOCK_ASSIGN_OR_RETURN(layer.parameters, ParametersOf(spec));
    for (const std::string& input : spec.inputs) {
      if (graph.inputs.count(input) > 0) AddDataInput(input, stage);
      absl::StatusOr<InputSource> source = SourceOf(context, *stage, input);
      if (!source.ok()) {
        return WithContext(source.status(),
                           absl::StrCat("plan: layer \"", spec.name, "\""));
      }
      layer.inputs.push_back(*source);
    }
    if (i + 1 == graph.layers.size()) {
      stage->loss_position = static_cast<int>(stage->layers.size());
    }
    stage->layers.push_back(std::move(layer));
  }
  if (stage->layers.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("plan: stage ", stage->id.value(), " has no layers"));
  }
  return absl::OkStatus();
}

absl::StatusOr<RankStage> ResolveStage(const Context& context, StageId id) {
  RankStage stage;
  stage.id = id;
  stage.is_shared = context.plan.IsShared(id);
  const std::vector<Edge>& edges = context.plan.schedule.edges;
  for (int i = 0; i < static_cast<int>(edges.size()); ++i) {
    if (edges[i].kind != EdgeKind::kActivation || edges[i].to != id) continue;
    PENSTOCK_RETURN_IF_ERROR(CheckEdgeTensor(context, EdgeId(i)));
    stage.in_edges.push_back({EdgeId(i), 0, edges[i].from});
  }
  PENSTOCK_RETURN_IF_ERROR(AddLayers(context, &stage));
  for (int i = 0; i < static_cast<int>(edges.size()); ++i) {
    if (edges[i].kind != EdgeKind::kActivation || edges[i].from != id) continue;
    PENSTOCK_RETURN_IF_ERROR(CheckEdgeTensor(context, EdgeId(i)));
    absl::StatusOr<InputSource> source =
        SourceOf(context, stage, edges[i].tensor);
    if (!source.ok() || source->kind != InputSource::Kind::kLayer) {
      return absl::InvalidArgumentError(
          absl::StrCat("plan: edge ", i, " (", edges[i].tensor, "): stage ",
                       id.value(), " does not make it"));
    }
    stage.out_edges.push_back({EdgeId(i), source->index, edges[i].to});
  }
  return stage;
}

// Of a schedule that never drains: whether the lists have an R for each F of
// the stage.
absl::StatusOr<bool> RecomputesAll(const RankPlan& plan, StageId stage) {
  bool all = true, any = false;
  for (const RankLists* lists :
       {&plan.schedule.ranks, &plan.schedule.period, &plan.schedule.epilogue}) {
    int num_backwards = 0, num_recomputed = 0;
    for (const Action& action : (*lists)[plan.rank.value()]) {
      if (action.stage != stage) continue;
      num_recomputed += action.op == Op::kRecompute ? 1 : 0;
      num_backwards +=
          action.op == Op::kBackward || action.op == Op::kBackwardInput ? 1 : 0;
    }
    any = any || num_recomputed > 0;
    all = all && num_recomputed == num_backwards;
  }
  if (!any || all) return any;
  return absl::InvalidArgumentError(absl::StrCat(
      "plan: stage ", stage.value(),
      " recomputes some of its microbatches; a "
      "schedule that never drains recomputes all of a stage or none"));
}

// What the edges carry in steps that are not of the longest length.
absl::Status AddShorterTensors(RankPlan* plan) {
  for (const int64_t length : plan->step_lengths.Distinct()) {
    if (length == plan->step_lengths.longest()) continue;
    PENSTOCK_ASSIGN_OR_RETURN(
        const Graph graph, GraphOf(plan->job, plan->schedule.num_microbatches,
                                   plan->pieces_per_microbatch, length));
    PENSTOCK_ASSIGN_OR_RETURN(const auto shapes, InferShapes(graph));
    std::vector<TensorSpec>& tensors = plan->shorter_edge_tensors[length];
    tensors = plan->edge_tensors;
    for (size_t i = 0; i < tensors.size(); ++i) {
      const Edge& edge = plan->schedule.edges[i];
      const auto found = shapes.find(edge.tensor);
      // Those of this rank's stages have been checked to be there.
      if (edge.kind != EdgeKind::kActivation || found == shapes.end()) continue;
      std::vector<int64_t> shape = found->second.shape;
      if (!shape.empty()) shape[0] *= plan->pieces_per_microbatch;
      tensors[i].mutable_shape()->Assign(shape.begin(), shape.end());
    }
  }
  return absl::OkStatus();
}

// After the list was checked.
absl::Status FindRecomputed(RankPlan* plan) {
  for (RankStage& stage : plan->stages) {
    if (plan->schedule.is_continuous()) {
      PENSTOCK_ASSIGN_OR_RETURN(stage.recomputes_all,
                                RecomputesAll(*plan, stage.id));
      continue;
    }
    for (const Action& action : plan->actions()) {
      if (action.op != Op::kRecompute || action.stage != stage.id) continue;
      stage.recomputed.resize(plan->num_pieces());
      const int pieces = plan->pieces_per_microbatch;
      std::fill_n(stage.recomputed.begin() + action.microbatch.value() * pieces,
                  pieces, true);
    }
  }
  return absl::OkStatus();
}

// Of a schedule that never drains its period has each microbatch of a step
// once.
void CountOwnPieces(RankPlan* plan) {
  const bool runs_on = plan->schedule.is_continuous();
  const int pieces = plan->pieces_per_microbatch;
  for (RankStage& stage : plan->stages) {
    const int per_update = plan->PiecesPerUpdate(stage.id) / pieces;
    const int m = plan->schedule.num_microbatches;
    stage.own_pieces.assign(m / per_update, 0);
    stage.num_gradients = GradientSlots(plan->schedule, plan->rank, stage.id);
    for (const Action& action : runs_on
                                    ? plan->schedule.period[plan->rank.value()]
                                    : plan->actions()) {
      if (action.op != Op::kForward || action.stage != stage.id) continue;
      for (int i = 0; i < action.num_microbatches; ++i) {
        const int in_step = (action.microbatch.value() + i) % m;
        stage.own_pieces[in_step / per_update] += pieces;
      }
    }
  }
}

// The n-th of equal edges is for the n-th use that the user's stage makes of
// the parameter.
absl::StatusOr<EdgeId> TiedEdge(const RankPlan& plan, const TiedSite& site,
                                int use) {
  const std::vector<Edge>& edges = plan.schedule.edges;
  const Edge want = {EdgeKind::kTiedWeight, site.owner_parameter,
                     site.owner_stage, site.user_stage};
  for (int i = 0; i < static_cast<int>(edges.size()); ++i) {
    if (edges[i] == want && use-- == 0) return EdgeId(i);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("plan: no edge for \"", site.owner_parameter,
                   "\" from stage ", site.owner_stage.value(),
                   ", which owns it, to stage ", site.user_stage.value(),
                   ", where \"", site.user_parameter, "\" is tied to it"));
}

absl::Status AddTiedSites(const StageOfLayer& stage_of, RankPlan* plan) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<TiedUse> uses,
                            TiedUses(plan->graph));
  std::map<std::pair<std::string, StageId>, int> count;
  for (const TiedUse& use : uses) {
    TiedSite site = {use.owner_parameter,
                     use.user_parameter,
                     use.owner_layer,
                     use.user_layer,
                     stage_of[use.owner_layer],
                     stage_of[use.user_layer],
                     std::nullopt,
                     /*is_local=*/false};
    site.is_local =
        plan->Holds(site.owner_stage) && plan->Holds(site.user_stage);
    const bool same_rank = !plan->IsShared(site.owner_stage) &&
                           !plan->IsShared(site.user_stage) &&
                           plan->FirstRankOf(site.owner_stage) ==
                               plan->FirstRankOf(site.user_stage);
    if (site.owner_stage != site.user_stage && !same_rank) {
      const int index = count[{site.owner_parameter, site.user_stage}]++;
      PENSTOCK_ASSIGN_OR_RETURN(site.edge, TiedEdge(*plan, site, index));
    }
    plan->tied_sites.push_back(std::move(site));
  }
  return absl::OkStatus();
}

absl::Status CheckContinuous(const RankPlan& plan) {
  const Schedule& schedule = plan.schedule;
  if (!schedule.is_continuous()) return absl::OkStatus();
  const std::string where =
      absl::StrCat("plan: schedule ", schedule.name, " never drains: ");
  for (const TiedSite& site : plan.tied_sites) {
    if (site.owner_stage == site.user_stage) continue;
    const bool is_alike = schedule.versions[site.owner_stage.value()] ==
                          schedule.versions[site.user_stage.value()];
    if (is_alike && site.edge.has_value() && !site.is_local) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        where, "\"", site.user_parameter, "\" in stage ",
        site.user_stage.value(), " is tied to \"", site.owner_parameter,
        "\" in stage ", site.owner_stage.value(),
        is_alike ? " on the same rank" : ", which is of other versions",
        "; want both in one stage, on different ranks with the same version "
        "rule, or untied"));
  }
  if (plan.job.dtype() == "float16") {
    return absl::InvalidArgumentError(absl::StrCat(
        where,
        "a step of dtype float16 may be skipped, for which all ranks "
        "have to meet; want bfloat16 or float32"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RankPlan> ResolveRank(const Plan& plan, RankId rank) {
  RankPlan resolved;
  resolved.rank = rank;
  resolved.job = plan.job();
  if (const std::string& dtype = plan.job().dtype();
      dtype != "float32" && dtype != "bfloat16" && dtype != "float16") {
    return absl::InvalidArgumentError(absl::StrCat(
        "plan: dtype is \"", dtype, "\", want float32, bfloat16 or float16"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(resolved.schedule, PlannedSchedule(plan, rank));
  resolved.edge_tensors = {plan.edge_tensors().begin(),
                           plan.edge_tensors().end()};
  resolved.pieces_per_microbatch = std::max(1, plan.pieces_per_microbatch());
  resolved.step_lengths = StepLengthsOf(plan.job());
  PENSTOCK_ASSIGN_OR_RETURN(
      resolved.graph,
      GraphOf(plan.job(), resolved.schedule.num_microbatches,
              resolved.pieces_per_microbatch, resolved.step_lengths.longest()));
  PENSTOCK_ASSIGN_OR_RETURN(const StageOfLayer stage_of,
                            StagesOfLayers(plan, resolved.graph));
  PENSTOCK_ASSIGN_OR_RETURN(const auto shapes, InferShapes(resolved.graph));
  const Context context = {resolved, stage_of, shapes};
  for (int stage = 0; stage < resolved.schedule.num_stages(); ++stage) {
    if (!resolved.Holds(StageId(stage))) continue;
    PENSTOCK_ASSIGN_OR_RETURN(RankStage one,
                              ResolveStage(context, StageId(stage)));
    resolved.stages.push_back(std::move(one));
  }
  PENSTOCK_RETURN_IF_ERROR(AddShorterTensors(&resolved));
  PENSTOCK_RETURN_IF_ERROR(AddTiedSites(stage_of, &resolved));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<int64_t> counts,
                            ParameterCounts(resolved.graph));
  resolved.owned_layers.resize(resolved.schedule.num_ranks());
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    resolved.owned_layers[resolved.FirstRankOf(stage_of[i]).value()].push_back(
        static_cast<int>(i));
  }
  resolved.loss_stage = stage_of.back();
  resolved.loss_places.resize(resolved.schedule.num_ranks());
  if (resolved.IsShared(stage_of.back())) {
    for (const RankId holder :
         resolved.schedule.placement[stage_of.back().value()]) {
      resolved.loss_places[holder.value()] = resolved.num_pieces();
    }
  }
  PENSTOCK_RETURN_IF_ERROR(
      CheckList(resolved.schedule, rank, resolved.pieces_per_microbatch));
  PENSTOCK_RETURN_IF_ERROR(CheckContinuous(resolved));
  PENSTOCK_RETURN_IF_ERROR(FindRecomputed(&resolved));
  CountOwnPieces(&resolved);
  return resolved;
}

}  // namespace penstock
