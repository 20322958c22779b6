#include "coordinator/core/plan_builder.h"

#include <map>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sha256.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "coordinator/core/emulation.h"
#include "coordinator/core/given_schedule.h"
#include "coordinator/core/job_check.h"
#include "coordinator/core/memory_forecast.h"
#include "coordinator/core/weight_policy.h"
#include "models/graph/layer_kinds.h"
#include "models/zoo/job_model.h"
#include "models/zoo/zoo.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/grid.h"
#include "schedule/ir/schedule_proto.h"
#include "schedule/ir/text_format.h"
#include "schedule/lowering/lower.h"
#include "schedule/planner/partition.h"

namespace penstock {
namespace {

// Receives posted early hide the latency of a message behind compute; each
// costs one tensor of memory.
constexpr int kReceiveLookahead = 2;

// What one message to a client or a server holds, with room for the rest of it.
constexpr size_t kMaxPlanBytes = 3 << 20;
constexpr size_t kMaxGridBytes = 512 << 10;

// Largest tensor that a channel carries as one message.
constexpr int64_t kMaxMessageBytes = int64_t{2} << 30;

// The model cut into stages.
struct Cut {
  Graph graph;
  std::vector<int64_t> parameter_counts;
  // Index is the layer.
  std::vector<int> stage_of;
  int num_stages = 0;
  // What each layer's output is on the wire, by the layer's name.
  std::map<std::string, TensorSpec> tensors;
};

absl::Status BadPartition(const std::string& problem) {
  return absl::InvalidArgumentError(absl::StrCat("partition: ", problem));
}

// The stages that the job names, each layer once.
absl::StatusOr<std::vector<int>> ExplicitStages(const Job& job,
                                                const Graph& graph) {
  const PartitionSpec& partition = job.partition();
  if (partition.explicit_layers_size() != partition.stages()) {
    return BadPartition(absl::StrCat(
        "layers names ", partition.explicit_layers_size(),
        " stages, and stages says ", partition.stages(), "; make them equal"));
  }
  std::map<std::string, int> index;
  std::vector<std::string> names;
  for (const LayerSpec& layer : graph.layers) {
    index.emplace(layer.name, names.size());
    names.push_back(layer.name);
  }
  std::vector<int> stage_of(names.size(), -1);
  for (int stage = 0; stage < partition.stages(); ++stage) {
    if (partition.explicit_layers(stage).layers().empty()) {
      return BadPartition(absl::StrCat("stage ", stage, " has no layers"));
    }
    for (const std::string& name : partition.explicit_layers(stage).layers()) {
      const auto found = index.find(name);
      if (found == index.end()) {
        return BadPartition(
            absl::StrCat("stage ", stage, ": ", NoSuch("layer", name, names)));
      }
      int& taken = stage_of[found->second];
      if (taken >= 0) {
        return BadPartition(absl::StrCat("layer \"", name, "\" is in stage ",
                                         taken, " and again in stage ", stage));
      }
      taken = stage;
    }
  }
  std::vector<std::string> missing;
  for (size_t layer = 0; layer < names.size(); ++layer) {
    if (stage_of[layer] < 0) missing.push_back(names[layer]);
  }
  if (missing.empty()) return stage_of;
  return BadPartition(
      absl::StrCat("in no stage: ", absl::StrJoin(missing, ", "),
                   "; every layer must be in one"));
}

// Data may only go from a stage to itself or a later one.
absl::Status CheckDirection(const Cut& cut) {
  std::map<std::string, int> stage_of_tensor;
  for (size_t i = 0; i < cut.graph.layers.size(); ++i) {
    const LayerSpec& layer = cut.graph.layers[i];
    for (const std::string& input : layer.inputs) {
      const auto made = stage_of_tensor.find(input);
      if (made == stage_of_tensor.end() || made->second <= cut.stage_of[i]) {
        continue;
      }
      return BadPartition(absl::StrCat(
          "layer \"", layer.name, "\" of stage ", cut.stage_of[i],
          " takes the output of \"", input, "\" of the later stage ",
          made->second, "; stages must follow the model's order"));
    }
    stage_of_tensor[layer.name] = cut.stage_of[i];
  }
  return absl::OkStatus();
}

TensorSpec SpecOf(const TensorShape& shape, const Job& job) {
  TensorSpec spec;
  if (shape.element_type == ElementType::kInt64) {
    spec.set_dtype(DTYPE_INT64);
  } else {
    spec.set_dtype(job.dtype() == kBfloat16  ? DTYPE_BFLOAT16
                   : job.dtype() == kFloat16 ? DTYPE_FLOAT16
                                             : DTYPE_FLOAT32);
  }
  spec.mutable_shape()->Add(shape.shape.begin(), shape.shape.end());
  return spec;
}

// Whether one microbatch's tensor fits a channel.
absl::Status CheckMessage(const std::string& tensor, int from, int to,
                          const TensorSpec& spec, const Job& job) {
  double bytes = spec.dtype() == DTYPE_INT64     ? 8
                 : spec.dtype() == DTYPE_FLOAT32 ? 4
                                                 : 2;
  for (const int64_t size : spec.shape()) bytes *= static_cast<double>(size);
  if (bytes <= static_cast<double>(kMaxMessageBytes)) return absl::OkStatus();
  return BadPartition(absl::StrCat(
      "the output of \"", tensor, "\", from stage ", from, " to stage ", to,
      ", has ", bytes, " bytes in one microbatch, [",
      absl::StrJoin(spec.shape(), ", "), "]; a channel carries at most ",
      kMaxMessageBytes, "; use more than ", job.schedule().microbatches(),
      " microbatches, or cut the model elsewhere"));
}

// The model, not cut yet.
absl::StatusOr<Cut> WholeModel(const Job& job) {
  Cut cut;
  if (job.has_emulate()) {
    cut.graph = EmulatedGraph(job.emulate());
    cut.parameter_counts = EmulatedParameterCounts(job.emulate());
    cut.tensors = EmulatedTensors(job.emulate());
    return cut;
  }
  PENSTOCK_ASSIGN_OR_RETURN(cut.graph, MakeModel(RequestOf(job)));
  if (!job.data().sequence_lengths().empty() &&
      cut.graph.data_kind != "tokens") {
    return absl::InvalidArgumentError(absl::StrCat(
        "data.sequence_lengths: model ", cut.graph.name, " reads ",
        cut.graph.data_kind,
        ", and only tokens have steps of several lengths; leave it out"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(cut.parameter_counts, ParameterCounts(cut.graph));
  PENSTOCK_ASSIGN_OR_RETURN(const auto shapes, InferShapes(cut.graph));
  for (const auto& [name, shape] : shapes) {
    cut.tensors[name] = SpecOf(shape, job);
  }
  return cut;
}

absl::StatusOr<Cut> CutModel(const Job& job) {
  PENSTOCK_ASSIGN_OR_RETURN(Cut cut, WholeModel(job));
  cut.num_stages = job.partition().stages();
  const int num_layers = static_cast<int>(cut.graph.layers.size());
  if (cut.num_stages > num_layers) {
    return BadPartition(absl::StrCat(
        cut.num_stages, " stages, but ",
        job.has_emulate() ? "the profile"
                          : absl::StrCat("model ", job.model().preset()),
        " has only ", num_layers, " layers; use at most ", num_layers,
        " stages"));
  }
  if (job.partition().explicit_layers_size() > 0) {
    PENSTOCK_ASSIGN_OR_RETURN(cut.stage_of, ExplicitStages(job, cut.graph));
    PENSTOCK_RETURN_IF_ERROR(CheckDirection(cut));
    return cut;
  }
  if (job.has_emulate()) {
    PENSTOCK_ASSIGN_OR_RETURN(cut.stage_of,
                              EmulatedStages(job.emulate(), cut.num_stages));
    return cut;
  }
  PENSTOCK_ASSIGN_OR_RETURN(
      const std::vector<LayerRange> ranges,
      PartitionEvenly(cut.parameter_counts, cut.num_stages));
  for (size_t stage = 0; stage < ranges.size(); ++stage) {
    cut.stage_of.resize(ranges[stage].end, static_cast<int>(stage));
  }
  return cut;
}

// One edge for each tensor and later stage that takes it, in layer order.
absl::Status AddActivationEdges(const Cut& cut, std::vector<Edge>& edges,
                                Plan& plan) {
  std::map<std::string, int> stage_of_tensor;
  std::set<std::pair<std::string, int>> seen;
  for (size_t i = 0; i < cut.graph.layers.size(); ++i) {
    const LayerSpec& layer = cut.graph.layers[i];
    const int to = cut.stage_of[i];
    for (const std::string& input : layer.inputs) {
      const auto made = stage_of_tensor.find(input);
      // The model's own inputs are read from the data where they are used.
      if (made == stage_of_tensor.end() || made->second == to) continue;
      if (!seen.emplace(input, to).second) continue;
      edges.push_back(
          {EdgeKind::kActivation, input, StageId(made->second), StageId(to)});
      const auto tensor = cut.tensors.find(input);
      if (tensor == cut.tensors.end()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "emulate: the profile has no size of tensor \"", input,
            "\", which goes from stage ", made->second, " to ", to,
            "; add it to `tensors`, or cut elsewhere with partition.layers"));
      }
      PENSTOCK_RETURN_IF_ERROR(
          CheckMessage(input, made->second, to, tensor->second, plan.job()));
      *plan.add_edge_tensors() = tensor->second;
    }
    stage_of_tensor[layer.name] = to;
  }
  return absl::OkStatus();
}

// One edge for each use of a parameter in another stage than its owner's. What
// travels are float32 masters and main gradients, whatever the job's dtype.
absl::Status AddTiedEdges(const Cut& cut, std::vector<Edge>& edges,
                          Plan& plan) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<TiedUse> uses,
                            TiedUses(cut.graph));
  for (const TiedUse& use : uses) {
    const int from = cut.stage_of[use.owner_layer];
    const int to = cut.stage_of[use.user_layer];
    if (from == to) continue;
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<ParameterSpec> parameters,
                              ParametersOf(cut.graph.layers[use.owner_layer]));
    for (const ParameterSpec& parameter : parameters) {
      if (parameter.name != use.owner_parameter) continue;
      edges.push_back({EdgeKind::kTiedWeight, use.owner_parameter,
                       StageId(from), StageId(to)});
      TensorSpec* spec = plan.add_edge_tensors();
      spec->set_dtype(DTYPE_FLOAT32);
      spec->mutable_shape()->Add(parameter.shape.begin(),
                                 parameter.shape.end());
    }
  }
  return absl::OkStatus();
}

void AddStages(const Cut& cut, Plan& plan) {
  for (int stage = 0; stage < cut.num_stages; ++stage) plan.add_stages();
  for (size_t i = 0; i < cut.graph.layers.size(); ++i) {
    StagePlan* stage = plan.mutable_stages(cut.stage_of[i]);
    stage->add_layers(cut.graph.layers[i].name);
    stage->set_parameter_count(stage->parameter_count() +
                               cut.parameter_counts[i]);
  }
}

absl::StatusOr<int> RanksOf(const Job& job) {
  if (job.partition().ranks() > 0) return job.partition().ranks();
  GeneratorRequest request;
  request.num_stages = job.partition().stages();
  request.num_microbatches = job.schedule().microbatches();
  request.parameters = {job.schedule().parameters().begin(),
                        job.schedule().parameters().end()};
  absl::StatusOr<int> ranks = CountRanks(job.schedule().name(), request);
  if (ranks.ok()) return ranks;
  return WithContext(ranks.status(),
                     "schedule for partition.stages without partition.ranks");
}

absl::StatusOr<Schedule> ScheduleOf(const Job& job, const Cut& cut,
                                    std::vector<Edge> edges) {
  if (!job.schedule().text().empty()) {
    return GivenSchedule(job, cut.num_stages, std::move(edges));
  }
  ScheduleRequest request;
  request.generator = job.schedule().name();
  request.parameters = {job.schedule().parameters().begin(),
                        job.schedule().parameters().end()};
  PENSTOCK_ASSIGN_OR_RETURN(request.num_ranks, RanksOf(job));
  request.replicas = {job.partition().replicas().begin(),
                      job.partition().replicas().end()};
  if (job.partition().rank_order() == kDataMajor) {
    request.rank_order = RankOrder::kDataMajor;
  }
  request.num_stages = cut.num_stages;
  request.num_microbatches = job.schedule().microbatches();
  request.edges = std::move(edges);
  if (!job.schedule().recompute().empty()) {
    request.recompute = job.schedule().recompute();
  }
  // It verifies what it made.
  absl::StatusOr<Schedule> schedule = MakeSchedule(request);
  if (!schedule.ok()) return WithContext(schedule.status(), "schedule");
  return schedule;
}

bool HasHalves(const Schedule& schedule) {
  for (const std::vector<Action>& list : schedule.ranks) {
    for (const Action& action : list) {
      if (action.half != Half::kWhole) return true;
    }
  }
  return false;
}

// 2 for a schedule with backwards of half a microbatch.
absl::StatusOr<int> PiecesPerMicrobatch(const Job& job,
                                        const Schedule& schedule) {
  if (!HasHalves(schedule)) return 1;
  const int microbatches = job.schedule().microbatches();
  if (job.batch_size() % (2 * microbatches) == 0) return 2;
  return absl::InvalidArgumentError(absl::StrCat(
      "schedule ", schedule.name, " halves microbatches: batch_size ",
      job.batch_size(), " in ", microbatches, " microbatches is ",
      job.batch_size() / microbatches, " samples each, want an even number"));
}

absl::Status CheckSize(const Plan& plan) {
  const size_t bytes = plan.ByteSizeLong();
  if (bytes <= kMaxPlanBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "schedule: the plan has ", bytes, " bytes, want at most ", kMaxPlanBytes,
      ", which is what a message holds; use fewer than ",
      plan.job().schedule().microbatches(), " microbatches or fewer stages"));
}

// Whether the job, which can be planned, can also have `stages` stages, as it
// says with `bound` that it may.
absl::Status CheckOtherSize(const Job& job, const char* bound, int stages) {
  if (stages == 0 || stages == job.partition().stages()) {
    return absl::OkStatus();
  }
  if (job.weights().policy() != "flush") {
    return absl::InvalidArgumentError(absl::StrCat(
        bound, " is ", stages, ", and weights.policy is ",
        job.weights().policy(),
        ", whose results depend on the number of stages; leave one of them "
        "out"));
  }
  Job sized = job;
  sized.mutable_partition()->set_stages(stages);
  sized.mutable_partition()->clear_ranks();
  sized.clear_elastic();
  return WithContext(BuildPlan(sized).status(),
                     absl::StrCat(bound, ": with ", stages,
                                  stages == 1 ? " stage" : " stages"));
}

absl::Status CheckSizes(const Job& job) {
  const ElasticSpec& elastic = job.elastic();
  PENSTOCK_RETURN_IF_ERROR(
      CheckOtherSize(job, "elastic.min_stages", elastic.min_stages()));
  return CheckOtherSize(job, "elastic.max_stages", elastic.max_stages());
}

// No layer's name has a line's end in it (models/graph).
std::string ShapeHashOf(const Plan& plan) {
  std::string text = absl::StrCat(plan.schedule_hash(), "\n");
  for (const StagePlan& stage : plan.stages()) {
    absl::StrAppend(&text, "stage\n");
    for (const std::string& layer : stage.layers()) {
      absl::StrAppend(&text, layer, "\n");
    }
  }
  return Sha256HexOf(text);
}

// Whole lines, as many as a message holds.
std::string CutGrid(std::string grid) {
  if (grid.size() <= kMaxGridBytes) return grid;
  grid.resize(grid.rfind('\n', kMaxGridBytes) + 1);
  return absl::StrCat(grid,
                      "(cut here; `penstock schedule show` prints it all)\n");
}

}  // namespace

absl::StatusOr<BuiltPlan> BuildPlan(const Job& submitted) {
  PENSTOCK_RETURN_IF_ERROR(CheckJob(submitted));
  PENSTOCK_ASSIGN_OR_RETURN(const Job job, WithWeightPolicy(submitted));
  PENSTOCK_ASSIGN_OR_RETURN(const Cut cut, CutModel(job));
  BuiltPlan built;
  *built.plan.mutable_job() = job;
  built.plan.set_receive_lookahead(kReceiveLookahead);
  AddStages(cut, built.plan);
  std::vector<Edge> edges;
  PENSTOCK_RETURN_IF_ERROR(AddActivationEdges(cut, edges, built.plan));
  if (!job.has_emulate()) {
    PENSTOCK_RETURN_IF_ERROR(AddTiedEdges(cut, edges, built.plan));
  }
  PENSTOCK_RETURN_IF_ERROR(CheckWeightPolicy(job, edges));
  PENSTOCK_ASSIGN_OR_RETURN(const Schedule schedule,
                            ScheduleOf(job, cut, std::move(edges)));
  PENSTOCK_RETURN_IF_ERROR(CheckRunLength(job, schedule));
  PENSTOCK_ASSIGN_OR_RETURN(const int pieces,
                            PiecesPerMicrobatch(job, schedule));
  built.plan.set_pieces_per_microbatch(pieces);
  // Of an emulated layer only what it says itself is known.
  if (!job.has_emulate()) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<MemoryUse> memory,
                              ForecastMemory(built.plan, schedule, cut.graph));
    built.plan.mutable_predicted_memory()->Assign(memory.begin(), memory.end());
  }
  *built.plan.mutable_schedule() = ToProto(schedule);
  built.plan.set_schedule_hash(Sha256HexOf(PrintSchedule(schedule)));
  built.plan.set_shape_hash(ShapeHashOf(built.plan));
  PENSTOCK_RETURN_IF_ERROR(CheckSize(built.plan));
  PENSTOCK_RETURN_IF_ERROR(CheckSizes(job));
  built.grid = CutGrid(PrintGrid(schedule));
  for (size_t i = 0; i < cut.parameter_counts.size(); ++i) {
    // An emulated layer has no weights whose digest could be told.
    if (cut.parameter_counts[i] > 0 && !job.has_emulate()) {
      built.parameter_layers.push_back(static_cast<int>(i));
    }
  }
  return built;
}

}  // namespace penstock
