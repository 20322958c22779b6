// The promise of layer.h: equal bits in, equal bits out, at any cut, in any
// thread, at any aligned address. Forward and backward.

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "models/graph/layer_kinds.h"
#include "models/layers/init.h"
#include "models/layers/layer.h"
#include "models/zoo/zoo.h"

namespace penstock {
namespace {

using Tensors = std::map<std::string, at::Tensor>;

constexpr LayerContext kContext = {.seed = 1, .step = 2, .microbatch = 3};

struct Case {
  std::string preset;
  std::map<std::string, std::string> overrides;
  at::ScalarType type = at::kFloat;
};

Graph Model(const Case& test_case) {
  return *MakeModel({.preset = test_case.preset,
                     .overrides = test_case.overrides,
                     .microbatch_size = 3,
                     .sequence_length = 33});
}

at::Tensor Tokens(const Graph& graph, int64_t factor) {
  return at::arange(3 * 33)
      .mul(factor)
      .remainder(VocabularyOf(graph))
      .reshape({3, 33});
}

// The loss (under its layer's name) and the gradient of every parameter.
struct Result {
  at::Tensor loss;
  Tensors gradients;
};

// Leaves for one layer, each a view into one flat buffer. `first_offset` moves
// them all, by a multiple of the alignment.
std::vector<at::Tensor> FlatLeaves(const LayerSpec& layer, at::ScalarType type,
                                   int64_t first_offset) {
  const std::vector<ParameterSpec> specs = *ParametersOf(layer);
  const int64_t step = Layer::kAlignmentBytes;  // elements; bytes or more
  int64_t size = first_offset * step;
  for (const ParameterSpec& spec : specs) {
    size += (spec.num_elements() + step - 1) / step * step;
  }
  const at::Tensor flat = at::zeros({size + 1}, type);
  std::vector<at::Tensor> leaves;
  int64_t offset = first_offset * step;
  for (const ParameterSpec& spec : specs) {
    const at::Tensor value = at::empty(spec.shape);
    EXPECT_TRUE(InitialValue(spec, 9, value).ok());
    at::Tensor view =
        flat.slice(0, offset, offset + spec.num_elements()).view(spec.shape);
    view.copy_(value);
    leaves.push_back(view.requires_grad_());
    offset += (spec.num_elements() + step - 1) / step * step;
  }
  return leaves;
}

// One autograd graph over the whole model.
Result RunWhole(const Graph& graph, at::ScalarType type) {
  Tensors outputs = {{"tokens", Tokens(graph, 7)},
                     {"labels", Tokens(graph, 11)}};
  std::vector<std::vector<at::Tensor>> leaves;
  for (const LayerSpec& layer : graph.layers) {
    leaves.push_back(FlatLeaves(layer, type, 0));
    std::vector<at::Tensor> inputs;
    for (const std::string& input : layer.inputs) {
      inputs.push_back(outputs[input]);
    }
    const auto output =
        Layer::Make(layer)->Forward(leaves.back(), inputs, kContext);
    EXPECT_TRUE(output.ok()) << output.status();
    outputs[layer.name] = *output;
  }
  Result result{.loss = outputs[graph.layers.back().name]};
  result.loss.backward();
  for (size_t i = 0; i < graph.layers.size(); ++i) {
    const std::vector<ParameterSpec> specs = *ParametersOf(graph.layers[i]);
    for (size_t k = 0; k < specs.size(); ++k) {
      result.gradients[specs[k].name] = leaves[i][k].grad();
    }
  }
  return result;
}

// Runs `function` in a new thread with one intra-op thread.
template <typename Function>
void InNewThread(Function function) {
  std::thread([&] {
    at::set_num_threads(1);
    function();
  }).join();
}

// Each layer is a stage: its own thread, its own graph, copies of what others
// send it.
Result RunCut(const Graph& graph, at::ScalarType type) {
  Tensors outputs = {{"tokens", Tokens(graph, 7)},
                     {"labels", Tokens(graph, 11)}};
  std::vector<std::vector<at::Tensor>> leaves;
  std::vector<at::Tensor> inputs;
  for (const LayerSpec& layer : graph.layers) {
    InNewThread([&] {
      leaves.push_back(FlatLeaves(layer, type, 3));
      at::Tensor x = outputs[layer.inputs[0]].detach().clone();
      if (x.is_floating_point()) x.requires_grad_();
      inputs.push_back(x);
      std::vector<at::Tensor> all = {x};
      if (layer.inputs.size() > 1) all.push_back(outputs[layer.inputs[1]]);
      outputs[layer.name] =
          *Layer::Make(layer)->Forward(leaves.back(), all, kContext);
    });
  }
  Result result{.loss = outputs[graph.layers.back().name]};
  at::Tensor gradient;
  for (size_t i = graph.layers.size(); i-- > 0;) {
    InNewThread([&] {
      outputs[graph.layers[i].name].backward(gradient);
      if (inputs[i].grad().defined()) gradient = inputs[i].grad().clone();
    });
    const std::vector<ParameterSpec> specs = *ParametersOf(graph.layers[i]);
    for (size_t k = 0; k < specs.size(); ++k) {
      result.gradients[specs[k].name] = leaves[i][k].grad();
    }
  }
  return result;
}

class BitEqualityTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override { at::set_num_threads(1); }
};

TEST_P(BitEqualityTest, AModelCutAtEveryLayerGivesTheBitsOfTheWhole) {
  const Graph graph = Model(GetParam());
  const Result whole = RunWhole(graph, GetParam().type);
  const Result cut = RunCut(graph, GetParam().type);
  EXPECT_TRUE(at::equal(whole.loss, cut.loss));
  ASSERT_EQ(whole.gradients.size(), cut.gradients.size());
  for (const auto& [name, gradient] : whole.gradients) {
    ASSERT_TRUE(gradient.defined()) << name;
    EXPECT_TRUE(at::equal(gradient, cut.gradients.at(name))) << name;
  }
}

TEST_P(BitEqualityTest, EveryParameterGetsAGradientThatIsNotZero) {
  const Result whole = RunWhole(Model(GetParam()), GetParam().type);
  for (const auto& [name, gradient] : whole.gradients) {
    EXPECT_GT(gradient.abs().max().item<double>(), 0) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, BitEqualityTest,
    ::testing::Values(Case{"gpt-nano", {{"dropout", "0.2"}, {"tied", "true"}}},
                      Case{"gpt-nano",
                           {{"hidden", "36"}, {"vocabulary", "101"}}},
                      Case{"gpt-nano", {{"dropout", "0.2"}}, at::kBFloat16},
                      Case{"llama-nano", {{"hidden", "64"}}}, Case{"mlp", {}},
                      Case{"mlp", {{"window", "1"}}, at::kBFloat16}),
    [](const ::testing::TestParamInfo<Case>& info) {
      std::string name = info.param.preset + std::to_string(info.index);
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

}  // namespace
}  // namespace penstock
