#include "models/graph/flops.h"

#include <cmath>
#include <map>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/graph/flops_of_layers.h"
#include "models/graph/layer_kinds.h"
#include "models/zoo/zoo.h"

namespace penstock {
namespace {

constexpr ElementType kActivation = ElementType::kActivation;

// Of the layer "x" alone, between one that passes "a" on and its output.
LayerFlops FlopsOf(const std::string& kind,
                   std::map<std::string, double> attributes,
                   const std::vector<TensorShape>& inputs) {
  Graph graph;
  graph.microbatch_size = inputs[0].shape[0];
  graph.inputs["a"] = inputs[0];
  graph.layers.push_back({.name = "first", .kind = "copy", .inputs = {"a"}});
  LayerSpec layer = {.name = "x",
                     .kind = kind,
                     .attributes = std::move(attributes),
                     .inputs = {"first"}};
  for (size_t i = 1; i < inputs.size(); ++i) {
    layer.inputs.push_back(std::string(1, static_cast<char>('a' + i)));
    graph.inputs[layer.inputs.back()] = inputs[i];
  }
  graph.layers.push_back(layer);
  const auto flops = FlopsOfLayers(graph);
  EXPECT_TRUE(flops.ok()) << flops.status();
  return flops.ok() ? flops->at(1) : LayerFlops();
}

TEST(FlopsTest, AProductHasTwoForEachMultiplyAddThreeTimes) {
  const LayerFlops flops =
      FlopsOf("linear", {{"in", 5}, {"out", 7}}, {{kActivation, {2, 3, 5}}});
  EXPECT_EQ(flops.forward, 2 * (2 * 3) * 5 * 7);
  EXPECT_EQ(flops.input_gradient, flops.forward);
  EXPECT_EQ(flops.weight_gradient, flops.forward);
}

TEST(FlopsTest, AConvolutionHasItsWindowForEachNumberOfItsOutput) {
  const LayerFlops flops = FlopsOf("convolution",
                                   {{"in", 4},
                                    {"out", 6},
                                    {"kernel", 3},
                                    {"stride", 2},
                                    {"padding", 1},
                                    {"groups", 2},
                                    {"bias", 1}},
                                   {{kActivation, {2, 4, 8, 8}}});
  EXPECT_EQ(flops.forward, 2.0 * (2 * 6 * 4 * 4) * (4 / 2 * 3 * 3));
}

TEST(FlopsTest, AttentionLooksAtHalfOfTheSquare) {
  const LayerFlops flops = FlopsOf(
      "attention", {{"hidden", 8}, {"heads", 2}, {"depth", 1}, {"dropout", 0}},
      {{kActivation, {2, 4, 8}}});
  const double matrices = 2 * (2 * 4) * (3 * 8 * 8 + 8 * 8);
  const double scores = 2 * (2 * 2 * (1 + 2 + 3 + 4) * 8);
  EXPECT_EQ(flops.forward, matrices + scores);
  EXPECT_EQ(flops.input_gradient, matrices + 2 * scores);
  EXPECT_EQ(flops.weight_gradient, matrices);
}

TEST(FlopsTest, FewerKeyHeadsHaveSmallerMatrices) {
  const std::map<std::string, double> attributes = {
      {"hidden", 8}, {"heads", 4}, {"key_heads", 1}, {"depth", 1}};
  const LayerFlops flops =
      FlopsOf("rotary_attention", attributes, {{kActivation, {2, 4, 8}}});
  EXPECT_EQ(flops.weight_gradient, 2 * (2 * 4) * (2 * 8 * 8 + 2 * 8 * 2));
}

TEST(FlopsTest, CrossAttentionLooksAtTheWholeSource) {
  const LayerFlops flops =
      FlopsOf("cross_attention", {{"hidden", 8}, {"heads", 2}},
              {{kActivation, {2, 4, 8}},
               {kActivation, {2, 6, 8}},
               {ElementType::kInt64, {2, 6}}});
  const double matrices = 2 * (2 * 4 * 2 * 64 + 2 * 6 * 2 * 64);
  EXPECT_EQ(flops.weight_gradient, matrices);
  EXPECT_EQ(flops.forward, matrices + 2 * (2 * 2 * 4 * 6 * 8));
}

TEST(FlopsTest, LayersWithoutProductsHaveNone) {
  const LayerFlops flops = FlopsOf("relu", {}, {{kActivation, {2, 4, 8}}});
  EXPECT_EQ(flops.forward + flops.input_gradient + flops.weight_gradient, 0);
}

// Every matrix parameter is used once for each row, but for lookups.
TEST(FlopsTest, WeightGradientsOfLanguageModelsFollowTheirMatrices) {
  for (const std::string preset : {"gpt-nano", "llama-nano", "mlp"}) {
    const Graph graph = *MakeModel(
        {.preset = preset, .microbatch_size = 3, .sequence_length = 16});
    const auto flops = FlopsOfLayers(graph);
    ASSERT_TRUE(flops.ok()) << flops.status();
    for (size_t i = 0; i < graph.layers.size(); ++i) {
      const LayerSpec& layer = graph.layers[i];
      double elements = 0;
      if (layer.kind.find("embedding") == std::string::npos) {
        const std::vector<ParameterSpec> parameters = *ParametersOf(layer);
        for (const ParameterSpec& parameter : parameters) {
          if (parameter.shape.size() < 2) continue;
          elements += static_cast<double>(parameter.num_elements());
        }
      }
      EXPECT_EQ((*flops)[i].weight_gradient, 2 * (3 * 16) * elements)
          << preset << " " << layer.name;
      EXPECT_GE((*flops)[i].forward, (*flops)[i].weight_gradient);
      EXPECT_GE((*flops)[i].input_gradient, (*flops)[i].weight_gradient);
    }
  }
}

TEST(FlopsTest, ALayerThatReadsDataMakesNoGradientOfIt) {
  const Graph graph =
      *MakeModel({.preset = "cnn", .microbatch_size = 4, .sequence_length = 1});
  const auto flops = FlopsOfLayers(graph);
  ASSERT_TRUE(flops.ok()) << flops.status();
  ASSERT_EQ(graph.layers[0].kind, "convolution");
  EXPECT_GT((*flops)[0].weight_gradient, 0);
  EXPECT_EQ((*flops)[0].input_gradient, 0);
}

TEST(FlopsTest, EveryKindWithMatricesButLookupsHasProducts) {
  for (const PresetInfo& preset : Presets()) {
    const Graph graph =
        *MakeModel({.preset = preset.name,
                    .microbatch_size = 4,
                    .sequence_length = preset.default_sequence_length});
    const auto flops = FlopsOfLayers(graph);
    ASSERT_TRUE(flops.ok()) << flops.status();
    for (size_t i = 0; i < graph.layers.size(); ++i) {
      const LayerSpec& layer = graph.layers[i];
      bool has_matrix = false;
      const std::vector<ParameterSpec> parameters = *ParametersOf(layer);
      for (const ParameterSpec& parameter : parameters) {
        has_matrix = has_matrix || parameter.shape.size() >= 2;
      }
      const bool looks_up = layer.kind.find("embedding") != std::string::npos;
      EXPECT_EQ((*flops)[i].weight_gradient > 0, has_matrix && !looks_up)
          << preset.name << " " << layer.name;
    }
  }
}

}  // namespace
}  // namespace penstock
