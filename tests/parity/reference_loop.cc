#include "tests/parity/reference_loop.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <utility>

#include "base/sha256.h"
#include "base/status_macros.h"
#include "models/data/data_source.h"
#include "models/graph/layer_kinds.h"
#include "models/layers/init.h"
#include "models/layers/layer.h"
#include "models/layers/torch_status.h"
#include "models/zoo/zoo.h"
#include "stage_server/engine/learning_rate.h"

namespace penstock {
namespace {

struct Parameter {
  ParameterSpec spec;
  // Float32; a tied parameter's is its owner's, the same memory.
  at::Tensor master;
  // What the layers read: the master, or a narrower copy made each step.
  at::Tensor weight;
  // Of a replay: what they read after so many updates.
  std::vector<at::Tensor> versions;
  // Of one update, by microbatch.
  std::vector<at::Tensor> parts;
  at::Tensor gradient;
  std::vector<float> first_moment;
  std::vector<float> second_moment;
};

at::ScalarType TypeOf(const Job& job) {
  return job.dtype() == "bfloat16"  ? at::kBFloat16
         : job.dtype() == "float16" ? at::kHalf
                                    : at::kFloat;
}

class Loop {
 public:
  static absl::StatusOr<Loop> Make(const Job& job,
                                   const SummationOrder& order) {
    ModelRequest request;
    request.preset = job.model().preset();
    request.overrides = {job.model().overrides().begin(),
                         job.model().overrides().end()};
    request.microbatch_size = job.batch_size() / job.schedule().microbatches();
    request.sequence_length = job.data().sequence_length();
    PENSTOCK_ASSIGN_OR_RETURN(Graph graph, MakeModel(request));
    const auto& lengths = job.data().sequence_lengths();
    const DataRequest data_request = {
        .token_path = job.data().tokens(),
        .batch_size = job.batch_size(),
        .seed = job.seed(),
        .step_lengths = {lengths.begin(), lengths.end()},
        .activation_type = TypeOf(job)};
    PENSTOCK_ASSIGN_OR_RETURN(std::unique_ptr<DataSource> data,
                              DataSource::Open(graph, data_request));
    Loop loop(job, order, std::move(graph), std::move(data));
    PENSTOCK_RETURN_IF_ERROR(loop.MakeParameters());
    return loop;
  }

  absl::Status Step(int64_t step, TrainingRecord* record) {
    CopyWeights();
    const int num_microbatches = job_.schedule().microbatches();
    double loss_sum = 0;
    for (int microbatch = 0; microbatch < num_microbatches; ++microbatch) {
      PENSTOCK_ASSIGN_OR_RETURN(const at::Tensor loss,
                                Forward(step, microbatch));
      loss_sum += loss.item<float>();
      Backward(loss, num_microbatches);
    }
    AddMicrobatches(all_layers_);
    AddTiedGradients(all_layers_);
    record->losses.push_back(loss_sum / num_microbatches);
    const double norm = GradientNorm(all_layers_) / loss_scale_;
    const bool skip = job_.dtype() == "float16" && !std::isfinite(norm);
    if (skip) {
      statistics_.clear();
      record->skipped_steps.push_back(step + 1);
    } else {
      PENSTOCK_RETURN_IF_ERROR(CommitStatistics());
      Update(all_layers_, {num_updates_++, job_.steps()}, norm);
      record->gradient_norms.push_back(norm);
    }
    StepLossScale(skip);
    return absl::OkStatus();
  }

  absl::Status Replay(int num_steps, const std::vector<VersionedStage>& stages,
                      int newest_only_after, TrainingRecord* record) {
    const int num_microbatches = job_.schedule().microbatches();
    for (const VersionedStage& stage : stages) KeepVersion(LayersOf(stage));
    int64_t b = 0;
    for (int step = 0; step < num_steps; ++step) {
      double loss_sum = 0;
      for (int microbatch = 0; microbatch < num_microbatches; ++microbatch) {
        const int64_t drained =
            step < newest_only_after ? 0 : newest_only_after * num_microbatches;
        for (const VersionedStage& stage : stages) {
          ReadVersion(stage, b, drained / stage.microbatches_per_update);
        }
        PENSTOCK_ASSIGN_OR_RETURN(const at::Tensor loss,
                                  Forward(step, microbatch));
        loss_sum += loss.item<float>();
        Backward(loss, stages.back().microbatches_per_update);
        PENSTOCK_RETURN_IF_ERROR(CommitStatistics());
        ++b;
        EndUpdates(stages, b);
      }
      record->losses.push_back(loss_sum / num_microbatches);
    }
    return absl::OkStatus();
  }

  // Of the step just made; those of owners.
  std::map<std::string, at::Tensor> Gradients() const {
    std::map<std::string, at::Tensor> gradients;
    for (const std::vector<Parameter>& layer : parameters_) {
      for (const Parameter& parameter : layer) {
        if (!parameter.spec.tied_to.empty()) continue;
        gradients[parameter.spec.name] = parameter.gradient;
      }
    }
    return gradients;
  }

  std::vector<std::string> LayerDigests() const {
    std::vector<std::string> digests;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      Sha256 hash;
      bool owns = false;
      for (const Parameter& parameter : parameters_[i]) {
        if (!parameter.spec.tied_to.empty()) continue;
        owns = true;
        hash.Update(parameter.master.const_data_ptr(),
                    parameter.master.nbytes());
      }
      for (const at::Tensor& statistic : running_statistics_[i]) {
        hash.Update(statistic.const_data_ptr(), statistic.nbytes());
      }
      if (owns) digests.push_back(hash.Finish());
    }
    return digests;
  }

 private:
  Loop(const Job& job, const SummationOrder& order, Graph graph,
       std::unique_ptr<DataSource> data)
      : job_(job),
        order_(order),
        graph_(std::move(graph)),
        data_(std::move(data)) {
    if (job.dtype() == "float16") loss_scale_ = job.loss_scale().initial();
  }

  absl::Status MakeParameters() {
    std::map<std::string, at::Tensor> masters;
    for (const LayerSpec& spec : graph_.layers) {
      all_layers_.push_back(static_cast<int>(all_layers_.size()));
      PENSTOCK_ASSIGN_OR_RETURN(Layer layer, Layer::Make(spec));
      layers_.push_back(std::move(layer));
      PENSTOCK_RETURN_IF_ERROR(MakeStatistics(spec));
      PENSTOCK_ASSIGN_OR_RETURN(const auto specs, ParametersOf(spec));
      std::vector<Parameter>& parameters = parameters_.emplace_back();
      for (const ParameterSpec& one : specs) {
        Parameter& parameter = parameters.emplace_back();
        parameter.spec = one;
        parameter.gradient = at::empty(one.shape, at::kFloat);
        if (!one.tied_to.empty()) {
          parameter.master = masters.at(one.tied_to);
          continue;
        }
        parameter.master = at::empty(one.shape, at::kFloat);
        PENSTOCK_RETURN_IF_ERROR(
            InitialValue(one, job_.seed(), parameter.master));
        masters[one.name] = parameter.master;
        const auto size = static_cast<size_t>(parameter.master.numel());
        parameter.first_moment.resize(size);
        parameter.second_moment.resize(size);
      }
    }
    return absl::OkStatus();
  }

  absl::Status MakeStatistics(const LayerSpec& layer) {
    PENSTOCK_ASSIGN_OR_RETURN(const auto specs, StatisticsOf(layer));
    std::vector<at::Tensor>& statistics = running_statistics_.emplace_back();
    for (const ParameterSpec& spec : specs) {
      statistics.push_back(at::empty(spec.shape, at::kFloat));
      PENSTOCK_RETURN_IF_ERROR(
          InitialValue(spec, job_.seed(), statistics.back()));
    }
    return absl::OkStatus();
  }

  void CopyWeights() {
    for (std::vector<Parameter>& layer : parameters_) {
      for (Parameter& parameter : layer) {
        const at::Tensor weight = TypeOf(job_) == at::kFloat
                                      ? parameter.master.detach()
                                      : parameter.master.to(TypeOf(job_));
        parameter.weight = weight.requires_grad_();
      }
    }
  }

  std::vector<int> LayersOf(const VersionedStage& stage) const {
    std::vector<int> layers;
    for (const int layer : all_layers_) {
      const std::string& name = graph_.layers[layer].name;
      if (std::count(stage.layers.begin(), stage.layers.end(), name) > 0) {
        layers.push_back(layer);
      }
    }
    return layers;
  }

  // What the masters are by now, as the next version.
  void KeepVersion(const std::vector<int>& layers) {
    for (const int layer : layers) {
      for (Parameter& parameter : parameters_[layer]) {
        parameter.versions.push_back(parameter.master.clone().to(TypeOf(job_)));
      }
    }
  }

  void ReadVersion(const VersionedStage& stage, int64_t b, int64_t least) {
    const int64_t version =
        std::max(least, b / stage.microbatches_per_update - stage.delay);
    for (const int layer : LayersOf(stage)) {
      for (Parameter& parameter : parameters_[layer]) {
        parameter.weight =
            parameter.versions[version].detach().requires_grad_();
      }
    }
  }

  // The updates that the microbatches before `b` end.
  void EndUpdates(const std::vector<VersionedStage>& stages, int64_t b) {
    std::vector<int> all_layers;
    for (const VersionedStage& stage : stages) {
      if (b % stage.microbatches_per_update != 0) continue;
      const std::vector<int> layers = LayersOf(stage);
      all_layers.insert(all_layers.end(), layers.begin(), layers.end());
      AddMicrobatches(layers, CopiesOf(stage, b));
    }
    AddTiedGradients(all_layers);
    for (const VersionedStage& stage : stages) {
      if (b % stage.microbatches_per_update != 0) continue;
      EndUpdate(stage, b,
                static_cast<double>(stages.back().microbatches_per_update) /
                    stage.microbatches_per_update);
    }
  }

  // By replica: the microbatches of the update, from 0, that are summed there.
  static std::vector<std::vector<int>> CopiesOf(const VersionedStage& stage,
                                                int64_t b) {
    const int64_t per_update = stage.microbatches_per_update;
    std::vector<std::vector<int>> copies(stage.replicas);
    for (int64_t i = 0; i < per_update; ++i) {
      const int64_t replica = (b - per_update + i) % stage.replicas;
      copies[replica].push_back(static_cast<int>(i));
    }
    return copies;
  }

  // The stage's update of the microbatches before `b`, whose gradients are
  // times `share`.
  void EndUpdate(const VersionedStage& stage, int64_t b, double share) {
    const std::vector<int> layers = LayersOf(stage);
    const int64_t per_update = stage.microbatches_per_update;
    const int64_t all = job_.steps() * job_.schedule().microbatches();
    Update(layers,
           {b / per_update - 1, all / per_update, stage.rate_factor, share},
           share * GradientNorm(layers));
    KeepVersion(layers);
  }

  absl::StatusOr<at::Tensor> Forward(int64_t step, int64_t microbatch) {
    std::map<std::string, at::Tensor> values;
    for (const auto& [input, shape] : graph_.inputs) {
      PENSTOCK_ASSIGN_OR_RETURN(values[input],
                                data_->Read(input, step, microbatch));
    }
    auto& statistics = statistics_.emplace_back(layers_.size());
    at::Tensor output;
    for (size_t i = 0; i < layers_.size(); ++i) {
      std::vector<at::Tensor> weights, inputs;
      for (const Parameter& parameter : parameters_[i]) {
        weights.push_back(parameter.weight);
      }
      for (const std::string& input : graph_.layers[i].inputs) {
        inputs.push_back(values.at(input));
      }
      PENSTOCK_ASSIGN_OR_RETURN(
          output, layers_[i].Forward(weights, inputs,
                                     {job_.seed(), step, microbatch, true},
                                     {.statistics = &statistics[i]}));
      values[graph_.layers[i].name] = output;
    }
    return output;
  }

  void Backward(const at::Tensor& loss, int num_microbatches) {
    const at::Tensor share =
        at::full({}, static_cast<float>(loss_scale_) /
                         static_cast<float>(num_microbatches));
    torch::autograd::backward({loss}, {share});
    for (std::vector<Parameter>& layer : parameters_) {
      for (Parameter& parameter : layer) {
        parameter.parts.push_back(parameter.weight.grad().to(at::kFloat));
        parameter.weight.mutable_grad().reset();
      }
    }
  }

  absl::Status CommitStatistics() {
    for (const auto& of_microbatch : statistics_) {
      for (size_t layer = 0; layer < layers_.size(); ++layer) {
        if (of_microbatch[layer].empty()) continue;
        PENSTOCK_RETURN_IF_ERROR(layers_[layer].CommitStatistics(
            of_microbatch[layer], running_statistics_[layer]));
      }
    }
    statistics_.clear();
    return absl::OkStatus();
  }

  static at::Tensor SumOf(const Parameter& parameter,
                          const std::vector<int>& microbatches) {
    if (microbatches.empty()) return at::zeros(parameter.spec.shape);
    at::Tensor sum = parameter.parts[microbatches[0]].clone();
    for (size_t i = 1; i < microbatches.size(); ++i) {
      sum = sum.add(parameter.parts[microbatches[i]]);
    }
    return sum;
  }

  // `all_copies`: of a stage; else as `order_` has it.
  void AddMicrobatches(const std::vector<int>& layers,
                       const std::vector<std::vector<int>>& all_copies = {}) {
    for (const int layer : layers) {
      for (Parameter& parameter : parameters_[layer]) {
        std::vector<int> ascending(parameter.parts.size());
        std::iota(ascending.begin(), ascending.end(), 0);
        std::vector<std::vector<int>> copies = {ascending};
        if (!order_.empty()) copies = order_[layer];
        if (!all_copies.empty()) copies = all_copies;
        parameter.gradient = SumOf(parameter, copies[0]);
        for (size_t copy = 1; copy < copies.size(); ++copy) {
          parameter.gradient =
              parameter.gradient.add(SumOf(parameter, copies[copy]));
        }
        parameter.parts.clear();
      }
    }
  }

  void AddTiedGradients(const std::vector<int>& layers) {
    std::map<std::string, Parameter*> owners;
    for (const int layer : layers) {
      for (Parameter& parameter : parameters_[layer]) {
        if (parameter.spec.tied_to.empty()) {
          owners[parameter.spec.name] = &parameter;
        } else {
          Parameter* const owner = owners.at(parameter.spec.tied_to);
          owner->gradient = owner->gradient.add(parameter.gradient);
        }
      }
    }
  }

  void StepLossScale(bool skipped) {
    if (job_.dtype() != "float16") return;
    const LossScaleSpec& spec = job_.loss_scale();
    steps_at_scale_ = skipped ? 0 : steps_at_scale_ + 1;
    if (skipped) {
      loss_scale_ = std::max(spec.minimum(), loss_scale_ * spec.backoff());
    } else if (steps_at_scale_ == spec.growth_interval()) {
      loss_scale_ *= spec.growth();
      steps_at_scale_ = 0;
    }
  }

  double GradientNorm(const std::vector<int>& layers) const {
    double sum = 0;
    for (const int layer : layers) {
      double squares = 0;
      for (const Parameter& parameter : parameters_[layer]) {
        if (!parameter.spec.tied_to.empty()) continue;
        const at::Tensor gradient = parameter.gradient.contiguous();
        const float* const values = gradient.const_data_ptr<float>();
        double s[8] = {};
        for (int64_t i = 0; i < gradient.numel(); ++i) {
          s[i % 8] += static_cast<double>(values[i]) * values[i];
        }
        squares +=
            ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
      }
      sum += squares;
    }
    return std::sqrt(sum);
  }

  // Which update it is, from 0, of how many.
  struct UpdateNumber {
    int64_t number = 0;
    int64_t of = 0;
    // Of the learning rate, and of the gradients.
    double rate_factor = 1;
    double share = 1;
  };

  void Update(const std::vector<int>& layers, const UpdateNumber& update,
              double norm) {
    const OptimizerSpec& spec = job_.optimizer();
    const double rate =
        LearningRate(job_.learning_rate_schedule(), spec.learning_rate(),
                     update.of, update.number) *
        update.rate_factor;
    const float clip = spec.clip_norm() > 0
                           ? static_cast<float>(std::min(
                                 1.0, spec.clip_norm() / (norm + 1e-6)))
                           : 1.0f;
    const float scale = clip * static_cast<float>(1 / loss_scale_) *
                        static_cast<float>(update.share);
    for (const int layer : layers) {
      for (Parameter& parameter : parameters_[layer]) {
        if (!parameter.spec.tied_to.empty()) continue;
        const at::Tensor gradient = parameter.gradient.contiguous();
        const float* const g = gradient.const_data_ptr<float>();
        float* const p = parameter.master.data_ptr<float>();
        for (int64_t i = 0; i < gradient.numel(); ++i) {
          if (spec.kind() == "sgd") {
            UpdateSgd(rate, parameter, g[i] * scale, i, p);
          } else {
            UpdateAdamW(rate, update.number, parameter, g[i] * scale, i, p);
          }
        }
      }
    }
  }

  void UpdateSgd(double rate, Parameter& parameter, float g, int64_t i,
                 float* p) const {
    const OptimizerSpec& spec = job_.optimizer();
    const double decay = parameter.spec.decay ? spec.weight_decay() : 0;
    g = g + static_cast<float>(decay) * p[i];
    float& v = parameter.first_moment[i];
    v = static_cast<float>(spec.momentum()) * v + g;
    p[i] = p[i] - static_cast<float>(rate) * v;
  }

  void UpdateAdamW(double rate, int64_t step, Parameter& parameter, float g,
                   int64_t i, float* p) const {
    const OptimizerSpec& spec = job_.optimizer();
    const double decay = parameter.spec.decay ? spec.weight_decay() : 0;
    const double count = static_cast<double>(step + 1);
    const auto step_size =
        static_cast<float>(rate / (1 - std::pow(spec.beta1(), count)));
    const auto correction =
        static_cast<float>(1 / std::sqrt(1 - std::pow(spec.beta2(), count)));
    float& m = parameter.first_moment[i];
    float& v = parameter.second_moment[i];
    m = static_cast<float>(spec.beta1()) * m +
        static_cast<float>(1 - spec.beta1()) * g;
    v = static_cast<float>(spec.beta2()) * v +
        static_cast<float>(1 - spec.beta2()) * (g * g);
    const float root = std::sqrt(v) * correction;
    p[i] = p[i] * static_cast<float>(1 - rate * decay) -
           step_size * (m / (root + static_cast<float>(spec.epsilon())));
  }

  const Job job_;
  const SummationOrder order_;
  const Graph graph_;
  std::unique_ptr<DataSource> data_;
  double loss_scale_ = 1;
  int steps_at_scale_ = 0;
  int64_t num_updates_ = 0;
  std::vector<Layer> layers_;
  // 0, 1, ...
  std::vector<int> all_layers_;
  // By layer.
  std::vector<std::vector<Parameter>> parameters_;
  std::vector<std::vector<at::Tensor>> running_statistics_;
  // Of one step, by microbatch and layer.
  std::vector<std::vector<std::vector<at::Tensor>>> statistics_;
};

}  // namespace

absl::StatusOr<TrainingRecord> TrainInOneLoop(const Job& job, int num_steps,
                                              const SummationOrder& order) {
  return CatchTorch("single loop", [&]() -> absl::StatusOr<TrainingRecord> {
    at::set_num_threads(job.threads());
    PENSTOCK_ASSIGN_OR_RETURN(Loop loop, Loop::Make(job, order));
    TrainingRecord record;
    for (int step = 0; step < num_steps; ++step) {
      PENSTOCK_RETURN_IF_ERROR(loop.Step(step, &record));
    }
    record.layer_digests = loop.LayerDigests();
    return record;
  });
}

std::vector<VersionedStage> RulesOf(
    const Plan& plan, const std::function<VersionedStage(int)>& rule) {
  std::vector<VersionedStage> stages;
  for (int stage = 0; stage < plan.stages_size(); ++stage) {
    const auto& layers = plan.stages(stage).layers();
    stages.push_back(rule(stage));
    stages.back().layers.assign(layers.begin(), layers.end());
  }
  return stages;
}

absl::StatusOr<TrainingRecord> ReplayVersions(
    const Job& job, int num_steps, const std::vector<VersionedStage>& stages,
    int newest_only_after) {
  return CatchTorch("version replay", [&]() -> absl::StatusOr<TrainingRecord> {
    at::set_num_threads(job.threads());
    PENSTOCK_ASSIGN_OR_RETURN(Loop loop, Loop::Make(job, {}));
    TrainingRecord record;
    PENSTOCK_RETURN_IF_ERROR(
        loop.Replay(num_steps, stages, newest_only_after, &record));
    record.layer_digests = loop.LayerDigests();
    return record;
  });
}

absl::StatusOr<std::map<std::string, at::Tensor>> FirstGradients(
    const Job& job) {
  using Gradients = std::map<std::string, at::Tensor>;
  return CatchTorch("first gradients", [&]() -> absl::StatusOr<Gradients> {
    at::set_num_threads(job.threads());
    PENSTOCK_ASSIGN_OR_RETURN(Loop loop, Loop::Make(job, {}));
    TrainingRecord record;
    PENSTOCK_RETURN_IF_ERROR(loop.Step(0, &record));
    return loop.Gradients();
  });
}

}  // namespace penstock
