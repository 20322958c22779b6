// The split backward of whole layers against autograd's: the same bits.

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "models/graph/graph.h"
#include "models/graph/layer_kinds.h"
#include "models/layers/init.h"
#include "models/layers/layer.h"
#include "models/layers/weight_queue.h"
#include "models/zoo/zoo.h"

namespace penstock {
namespace {

struct LayerCase {
  LayerSpec spec;
  // Of the activation that it takes; empty: tokens [2, 8].
  std::vector<int64_t> input;
};

LayerSpec Spec(const std::string& kind,
               std::map<std::string, double> attributes) {
  return {.name = "x",
          .kind = kind,
          .attributes = std::move(attributes),
          .inputs = {"a"}};
}

std::vector<LayerCase> Cases() {
  return {
      {Spec("token_embedding", {{"vocabulary", 11},
                                {"hidden", 16},
                                {"positions", 9},
                                {"dropout", 0.2}}),
       {}},
      {Spec("window_embedding",
            {{"vocabulary", 11}, {"hidden", 4}, {"window", 3}}),
       {}},
      {Spec("attention",
            {{"hidden", 16}, {"heads", 4}, {"depth", 1}, {"dropout", 0.2}}),
       {2, 8, 16}},
      {Spec("mlp_block",
            {{"hidden", 16}, {"inner", 32}, {"depth", 1}, {"dropout", 0.2}}),
       {2, 8, 16}},
      {Spec("layer_norm", {{"hidden", 16}}), {2, 8, 16}},
      {Spec("lm_head", {{"hidden", 16}, {"vocabulary", 11}}), {2, 8, 16}},
      {Spec("linear", {{"in", 16}, {"out", 5}}), {2, 8, 16}},
      {Spec("convolution", {{"in", 4},
                            {"out", 6},
                            {"kernel", 3},
                            {"stride", 2},
                            {"padding", 1},
                            {"groups", 2},
                            {"bias", 1}}),
       {2, 4, 6, 5}},
      {Spec("embedding", {{"vocabulary", 11}, {"hidden", 16}}), {}},
      {Spec("rms_norm", {{"hidden", 16}}), {2, 8, 16}},
      {Spec("rotary_attention",
            {{"hidden", 16}, {"heads", 4}, {"key_heads", 2}, {"depth", 1}}),
       {2, 8, 16}},
      {Spec("swiglu_block", {{"hidden", 16}, {"inner", 24}, {"depth", 1}}),
       {2, 8, 16}},
      {Spec("lstm", {{"in", 16}, {"hidden", 8}}), {2, 8, 16}},
  };
}

at::Tensor Drawn(const std::vector<int64_t>& shape, uint64_t seed) {
  const at::Tensor value = at::empty(shape);
  EXPECT_TRUE(InitialValue({.name = "drawn",
                            .shape = shape,
                            .init = InitKind::kNormal,
                            .init_scale = 1},
                           seed, value)
                  .ok());
  return value;
}

class SplitBackwardTest
    : public ::testing::TestWithParam<std::tuple<LayerCase, at::ScalarType>> {
 protected:
  SplitBackwardTest() {
    at::set_num_threads(1);
    uint64_t seed = 1;
    const std::vector<ParameterSpec> parameters = *ParametersOf(spec());
    for (const ParameterSpec& parameter : parameters) {
      weights_.push_back(
          Drawn(parameter.shape, seed++).to(type()).requires_grad_());
      memory_.push_back(at::full(parameter.shape, 99.0f, at::kFloat));
      sums_.emplace_back(memory_.back());
    }
  }

  const LayerSpec& spec() const { return std::get<0>(GetParam()).spec; }
  at::ScalarType type() const { return std::get<1>(GetParam()); }

  // A new leaf with the input of a microbatch.
  at::Tensor Input(int microbatch) const {
    const std::vector<int64_t>& shape = std::get<0>(GetParam()).input;
    if (shape.empty()) {
      return at::arange(16).mul(3 + microbatch).remainder(11).reshape({2, 8});
    }
    return Drawn(shape, 100 + microbatch).to(type()).requires_grad_();
  }

  at::Tensor Forward(const at::Tensor& input, int microbatch,
                     const LayerSinks& sinks) const {
    const auto output = Layer::Make(spec())->Forward(
        weights_, {input}, {.seed = 1, .step = 2, .microbatch = microbatch},
        sinks);
    EXPECT_TRUE(output.ok()) << output.status();
    return *output;
  }

  static void Backward(const at::Tensor& output, int microbatch) {
    output.backward(
        Drawn(output.sizes().vec(), 50 + microbatch).to(output.scalar_type()));
  }

  std::vector<at::Tensor> weights_;
  std::vector<at::Tensor> memory_;
  std::vector<GradientSum> sums_;
};

TEST_P(SplitBackwardTest, HasTheBitsOfAutogradsWhateverTheOrderOfI) {
  // Autograd's, added in the order of the microbatches.
  std::vector<at::Tensor> want, want_input;
  for (int microbatch : {0, 1}) {
    const at::Tensor input = Input(microbatch);
    Backward(Forward(input, microbatch, {}), microbatch);
    want_input.push_back(input.grad());
    for (size_t i = 0; i < weights_.size(); ++i) {
      const at::Tensor gradient = weights_[i].grad().to(at::kFloat);
      weights_[i].mutable_grad().reset();
      if (microbatch == 0) want.push_back(gradient.clone());
      if (microbatch == 1) want[i].add_(gradient);
    }
  }
  // I of 1 and 0, then W of 0 and 1.
  WeightQueue queues[2];
  at::Tensor inputs[2] = {Input(0), Input(1)};
  for (int microbatch : {1, 0}) {
    Backward(Forward(inputs[microbatch], microbatch,
                     {&queues[microbatch], absl::MakeSpan(sums_)}),
             microbatch);
  }
  for (const at::Tensor& weight : weights_) {
    EXPECT_FALSE(weight.grad().defined());
  }
  for (WeightQueue& queue : queues) queue.Run();
  for (int microbatch : {0, 1}) {
    if (!inputs[microbatch].requires_grad()) continue;
    EXPECT_TRUE(at::equal(inputs[microbatch].grad(), want_input[microbatch]));
  }
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_TRUE(at::equal(memory_[i], want[i])) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, SplitBackwardTest,
    ::testing::Combine(::testing::ValuesIn(Cases()),
                       ::testing::Values(at::kFloat, at::kBFloat16)),
    [](const auto& info) {
      return std::get<0>(info.param).spec.kind +
             (std::get<1>(info.param) == at::kFloat ? "_float32" : "_bfloat16");
    });

// A tensor of a graph, filled with what a layer takes: class and token numbers
// of 1, or numbers that autograd follows.
at::Tensor InputOf(const TensorShape& shape) {
  if (shape.element_type == ElementType::kInt64) {
    return at::full(shape.shape, 1, at::kLong);
  }
  return Drawn(shape.shape, 3).requires_grad_();
}

TEST(SplitsBackwardTest, KindsSayWhetherWLeavesThemTheirGradients) {
  std::set<std::string> kinds;
  for (const PresetInfo& preset : Presets()) {
    const Graph graph = *MakeModel(
        {.preset = preset.name,
         .microbatch_size = 2,
         .sequence_length = std::min(preset.default_sequence_length, 16)});
    const auto shapes = InferShapes(graph);
    ASSERT_TRUE(shapes.ok()) << shapes.status();
    for (const LayerSpec& layer : graph.layers) {
      const std::vector<ParameterSpec> parameters = *ParametersOf(layer);
      if (parameters.empty() || !kinds.insert(layer.kind).second) continue;
      std::vector<at::Tensor> weights, inputs;
      std::vector<GradientSum> sums;
      for (const ParameterSpec& parameter : parameters) {
        weights.push_back(Drawn(parameter.shape, 7).requires_grad_());
        sums.emplace_back(at::empty(parameter.shape));
      }
      for (const std::string& input : layer.inputs) {
        inputs.push_back(InputOf(shapes->at(input)));
      }
      WeightQueue queue;
      const auto output = Layer::Make(layer)->Forward(
          weights, inputs, {}, {&queue, absl::MakeSpan(sums)});
      ASSERT_TRUE(output.ok()) << output.status();
      output->sum().backward();
      EXPECT_EQ(queue.size() > 0, SplitsBackward(layer)) << layer.kind;
      for (const at::Tensor& weight : weights) {
        EXPECT_EQ(weight.grad().defined(), !SplitsBackward(layer))
            << layer.kind;
      }
    }
  }
  EXPECT_GE(kinds.size(), 10u);
}

}  // namespace
}  // namespace penstock
