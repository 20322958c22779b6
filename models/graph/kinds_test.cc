// The kinds beyond a language model's: shapes, parameters and refusals.

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/graph/layer_kinds.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr ElementType kInt = ElementType::kInt64;
constexpr ElementType kFloat = ElementType::kActivation;

// The layer "x" alone, on inputs "a", "b" and so on.
absl::StatusOr<TensorShape> OutputOf(const std::string& kind,
                                     std::map<std::string, double> attributes,
                                     const std::vector<TensorShape>& inputs) {
  Graph graph;
  graph.microbatch_size = inputs[0].shape[0];
  LayerSpec layer = {
      .name = "x", .kind = kind, .attributes = std::move(attributes)};
  for (size_t i = 0; i < inputs.size(); ++i) {
    layer.inputs.push_back(std::string(1, static_cast<char>('a' + i)));
    graph.inputs[layer.inputs.back()] = inputs[i];
  }
  graph.layers = {layer};
  const auto shapes = InferShapes(graph);
  if (!shapes.ok()) return shapes.status();
  return shapes->at("x");
}

std::vector<int64_t> ShapeOf(const std::string& kind,
                             std::map<std::string, double> attributes,
                             const std::vector<TensorShape>& inputs) {
  const auto output = OutputOf(kind, std::move(attributes), inputs);
  EXPECT_TRUE(output.ok()) << output.status();
  return output.ok() ? output->shape : std::vector<int64_t>{-1};
}

std::string Refusal(const std::string& kind,
                    std::map<std::string, double> attributes,
                    const std::vector<TensorShape>& inputs) {
  const auto output = OutputOf(kind, std::move(attributes), inputs);
  return output.ok() ? "accepted" : output.status().ToString();
}

std::map<std::string, double> Window(double kernel, double stride,
                                     double padding) {
  return {{"kernel", kernel}, {"stride", stride}, {"padding", padding}};
}

std::map<std::string, double> Convolution(double in, double out, double kernel,
                                          double stride, double padding) {
  std::map<std::string, double> attributes = Window(kernel, stride, padding);
  attributes.insert({{"in", in}, {"out", out}, {"groups", 1}, {"bias", 1}});
  return attributes;
}

const TensorShape kImages = {kFloat, {2, 4, 8, 6}};

TEST(KindsTest, WindowsMoveOverHeightAndWidth) {
  EXPECT_THAT(ShapeOf("convolution", Convolution(4, 5, 3, 1, 1), {kImages}),
              ElementsAre(2, 5, 8, 6));
  EXPECT_THAT(ShapeOf("convolution", Convolution(4, 5, 3, 2, 0), {kImages}),
              ElementsAre(2, 5, 3, 2));
  EXPECT_THAT(ShapeOf("max_pool", Window(2, 2, 0), {kImages}),
              ElementsAre(2, 4, 4, 3));
  EXPECT_THAT(ShapeOf("average_pool", Window(3, 1, 1), {kImages}),
              ElementsAre(2, 4, 8, 6));
  EXPECT_THAT(ShapeOf("upsample", {{"factor", 2}}, {kImages}),
              ElementsAre(2, 4, 16, 12));
  EXPECT_THAT(ShapeOf("global_average_pool", {}, {kImages}), ElementsAre(2, 4));
  EXPECT_THAT(ShapeOf("flatten", {}, {kImages}), ElementsAre(2, 192));
}

TEST(KindsTest, RefusesAWindowThatDoesNotFit) {
  EXPECT_THAT(Refusal("convolution", Convolution(3, 5, 3, 1, 1), {kImages}),
              HasSubstr("layer \"x\" (convolution): wants activations [batch, "
                        "3, height, width], got [2, 4, 8, 6]; its inputs are "
                        "\"a\" [2, 4, 8, 6]"));
  EXPECT_THAT(Refusal("convolution", Convolution(4, 5, 9, 1, 1), {kImages}),
              HasSubstr("its kernel of 9 does not fit into [2, 4, 8, 6] with "
                        "padding 1"));
  EXPECT_THAT(Refusal("max_pool", Window(2, 2, 2), {kImages}),
              HasSubstr("padding 2 is more than half of its kernel of 2"));
  EXPECT_THAT(Refusal("max_pool", Window(2, 2, 0), {{kFloat, {2, 4}}}),
              HasSubstr("wants activations [batch, channels, height, width]"));
  EXPECT_THAT(Refusal("upsample", {{"factor", 1 << 20}}, {kImages}),
              HasSubstr("want sizes up to"));
}

TEST(KindsTest, ConvolutionWeightsFollowItsGroups) {
  LayerSpec layer = {.name = "c",
                     .kind = "convolution",
                     .attributes = Convolution(4, 6, 3, 1, 1)};
  layer.attributes["groups"] = 2;
  const auto parameters = ParametersOf(layer);
  ASSERT_TRUE(parameters.ok()) << parameters.status();
  EXPECT_THAT((*parameters)[0].shape, ElementsAre(6, 2, 3, 3));
  EXPECT_THAT((*parameters)[1].shape, ElementsAre(6));
  layer.attributes["bias"] = 0;
  EXPECT_EQ(ParametersOf(layer)->size(), 1u);
  layer.attributes["groups"] = 3;
  EXPECT_THAT(std::string(ParametersOf(layer).status().message()),
              HasSubstr("groups 3 does not divide in 4 and out 6"));
  layer.attributes["groups"] = 1;
  layer.attributes["kernel"] = 1025;
  EXPECT_THAT(std::string(ParametersOf(layer).status().message()),
              HasSubstr("kernel is 1025, want at most 1024"));
  layer.attributes["bias"] = 2;
  EXPECT_THAT(std::string(ParametersOf(layer).status().message()),
              HasSubstr("bias is 2, want 0 or 1"));
  layer.attributes["padding"] = -1;
  layer.attributes["bias"] = 1;
  EXPECT_THAT(std::string(ParametersOf(layer).status().message()),
              HasSubstr("padding is -1, want an integer in 0.."));
}

TEST(KindsTest, BatchNormKeepsStatisticsThatAreNoParameters) {
  const LayerSpec norm = {.name = "n",
                          .kind = "batch_norm",
                          .attributes = {{"channels", 4}, {"momentum", 0.1}}};
  EXPECT_EQ(ParametersOf(norm)->size(), 2u);
  const auto statistics = StatisticsOf(norm);
  ASSERT_TRUE(statistics.ok()) << statistics.status();
  ASSERT_EQ(statistics->size(), 2u);
  EXPECT_EQ((*statistics)[0].name, "n.mean");
  EXPECT_EQ((*statistics)[0].init, InitKind::kZeros);
  EXPECT_EQ((*statistics)[1].name, "n.variance");
  EXPECT_EQ((*statistics)[1].init, InitKind::kOnes);
  EXPECT_TRUE(StatisticsOf({.name = "r", .kind = "relu"})->empty());
}

TEST(KindsTest, BatchNormNeedsTwoValuesOfAChannel) {
  const std::map<std::string, double> attributes = {{"channels", 4},
                                                    {"momentum", 0.1}};
  EXPECT_THAT(ShapeOf("batch_norm", attributes, {kImages}),
              ElementsAre(2, 4, 8, 6));
  EXPECT_THAT(Refusal("batch_norm", attributes, {{kFloat, {1, 4, 1, 1}}}),
              HasSubstr("wants at least two values of a channel"));
}

TEST(KindsTest, AddWantsOneShape) {
  EXPECT_THAT(ShapeOf("add", {}, {kImages, kImages, kImages}),
              ElementsAre(2, 4, 8, 6));
  EXPECT_THAT(Refusal("add", {}, {kImages}),
              HasSubstr("a add takes 2 inputs or more, got 1"));
  EXPECT_THAT(Refusal("add", {}, {kImages, {kFloat, {2, 4, 8, 7}}}),
              HasSubstr("wants inputs of one shape, got [2, 4, 8, 6] and [2, "
                        "4, 8, 7]; its inputs are \"a\" [2, 4, 8, 6], \"b\" "
                        "[2, 4, 8, 7]"));
}

TEST(KindsTest, ConcatJoinsChannelsOrTheLastSize) {
  EXPECT_THAT(ShapeOf("concat", {}, {kImages, {kFloat, {2, 3, 8, 6}}}),
              ElementsAre(2, 7, 8, 6));
  EXPECT_THAT(ShapeOf("concat", {}, {{kFloat, {2, 5, 3}}, {kFloat, {2, 5, 4}}}),
              ElementsAre(2, 5, 7));
  EXPECT_THAT(Refusal("concat", {}, {kImages, {kFloat, {2, 4, 7, 6}}}),
              HasSubstr("differ only in their channels, got [2, 4, 8, 6] and "
                        "[2, 4, 7, 6]"));
  EXPECT_THAT(Refusal("concat", {}, {{kFloat, {2, 5}}, {kFloat, {2, 5, 4}}}),
              HasSubstr("differ only in their last size"));
  EXPECT_THAT(Refusal("concat", {}, {{kInt, {2, 5}}, {kInt, {2, 5}}}),
              HasSubstr("carries no gradient"));
}

// A loss before the end has no dimensions; other checks come later.
TEST(KindsTest, ALossIsNoInputOfFlattenOrConcat) {
  const LayerSpec loss = {
      .name = "l", .kind = "cross_entropy", .inputs = {"a", "b"}};
  Graph graph = {
      .inputs = {{"a", {kFloat, {2, 4}}}, {"b", {kInt, {2}}}},
      .microbatch_size = 2,
      .layers = {loss, {.name = "x", .kind = "flatten", .inputs = {"l"}}}};
  EXPECT_THAT(std::string(InferShapes(graph).status().message()),
              HasSubstr("wants activations [batch, ...], got []"));
  graph.layers[1] = {.name = "x", .kind = "concat", .inputs = {"l", "l"}};
  EXPECT_THAT(std::string(InferShapes(graph).status().message()),
              HasSubstr("wants activations [batch, ...], got []"));
}

TEST(KindsTest, SequenceKindsFollowTheirInput) {
  const TensorShape tokens = {kInt, {2, 5}, 9};
  const TensorShape states = {kFloat, {2, 5, 8}};
  EXPECT_THAT(
      ShapeOf("embedding", {{"vocabulary", 9}, {"hidden", 8}}, {tokens}),
      ElementsAre(2, 5, 8));
  EXPECT_THAT(ShapeOf("lstm", {{"in", 8}, {"hidden", 3}}, {states}),
              ElementsAre(2, 5, 3));
  EXPECT_THAT(ShapeOf("rms_norm", {{"hidden", 8}}, {states}),
              ElementsAre(2, 5, 8));
  EXPECT_THAT(ShapeOf("sequence_mean", {}, {states}), ElementsAre(2, 8));
  EXPECT_THAT(ShapeOf("cross_attention", {{"hidden", 8}, {"heads", 2}},
                      {{kFloat, {2, 7, 8}}, states, tokens}),
              ElementsAre(2, 7, 8));
  EXPECT_THAT(Refusal("cross_attention", {{"hidden", 8}, {"heads", 2}},
                      {states, {kFloat, {2, 6, 8}}, tokens}),
              HasSubstr("got [2, 5, 8], [2, 6, 8] and source [2, 5]"));
  EXPECT_THAT(Refusal("lstm", {{"in", 7}, {"hidden", 3}}, {states}),
              HasSubstr("wants activations [batch, sequence, 7]"));
  EXPECT_THAT(Refusal("sequence_mean", {}, {kImages}),
              HasSubstr("wants activations [batch, sequence, hidden]"));
}

TEST(KindsTest, CrossAttentionsHeadsMustDivideHidden) {
  EXPECT_THAT(
      std::string(ParametersOf({.name = "x",
                                .kind = "cross_attention",
                                .attributes = {{"hidden", 8}, {"heads", 3}}})
                      .status()
                      .message()),
      HasSubstr("hidden 8 is not a multiple of heads 3"));
}

TEST(KindsTest, ContrastiveLossTellsSamplesApart) {
  const TensorShape unit = {kFloat, {4, 8}};
  EXPECT_THAT(ShapeOf("contrastive_loss", {{"temperature", 0.1}}, {unit, unit}),
              ElementsAre());
  EXPECT_THAT(Refusal("contrastive_loss", {{"temperature", 0.1}},
                      {unit, {kFloat, {4, 9}}}),
              HasSubstr("got [4, 8] and [4, 9]"));
  EXPECT_THAT(Refusal("contrastive_loss", {{"temperature", 0.1}},
                      {{kFloat, {1, 8}}, {kFloat, {1, 8}}}),
              HasSubstr("at least 2 samples"));
  EXPECT_THAT(Refusal("contrastive_loss", {{"temperature", 0}}, {unit, unit}),
              HasSubstr("temperature is 0, want a number above 0"));
}

TEST(KindsTest, CrossEntropysClassesAreTheSecondSizeOfImages) {
  EXPECT_THAT(ShapeOf("cross_entropy", {}, {{kFloat, {2, 4}}, {kInt, {2}}}),
              ElementsAre());
  EXPECT_THAT(ShapeOf("cross_entropy", {}, {kImages, {kInt, {2, 8, 6}, 4}}),
              ElementsAre());
  EXPECT_THAT(Refusal("cross_entropy", {}, {kImages, {kInt, {2, 8, 6}, 5}}),
              HasSubstr("wants logits of at least 5 classes"));
  EXPECT_THAT(Refusal("cross_entropy", {}, {kImages, {kInt, {2, 4, 8}}}),
              HasSubstr("wants logits [2, classes, 4, 8] for its labels"));
  EXPECT_THAT(Refusal("cross_entropy", {}, {kImages, kImages}),
              HasSubstr("wants int64 labels"));
}

}  // namespace
}  // namespace penstock
