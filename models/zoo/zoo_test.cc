#include "models/zoo/zoo.h"

#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/graph/layer_kinds.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ModelRequest Request(std::string preset,
                     std::map<std::string, std::string> overrides = {}) {
  return {.preset = std::move(preset),
          .overrides = std::move(overrides),
          .microbatch_size = 2,
          .sequence_length = 16};
}

int64_t ParameterTotal(const Graph& graph) {
  const std::vector<int64_t> counts = *ParameterCounts(graph);
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

void ExpectRefused(const ModelRequest& request, const std::string& part) {
  const absl::StatusOr<Graph> graph = MakeModel(request);
  EXPECT_EQ(graph.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(graph.status().message()), HasSubstr(part));
}

TEST(ZooTest, EveryPresetIsSoundAtItsDefaultSequence) {
  std::vector<std::string> names;
  for (const PresetInfo& preset : Presets()) {
    names.push_back(preset.name);
    ModelRequest request = Request(preset.name);
    request.sequence_length = preset.default_sequence_length;
    const absl::StatusOr<Graph> graph = MakeModel(request);
    EXPECT_TRUE(graph.ok()) << graph.status();
  }
  EXPECT_THAT(names, ElementsAre("gpt-nano", "gpt-mini", "gpt2-small",
                                 "llama-nano", "mlp", "cnn", "unet",
                                 "inception", "two-tower", "seq2seq"));
}

TEST(ZooTest, EveryPresetSaysWhatItReads) {
  for (const PresetInfo& preset : Presets()) {
    ModelRequest request = Request(preset.name);
    request.sequence_length = preset.default_sequence_length;
    request.data_kind = preset.data_kind;
    const absl::StatusOr<Graph> graph = MakeModel(request);
    ASSERT_TRUE(graph.ok()) << graph.status();
    EXPECT_EQ(graph->data_kind, preset.data_kind);
    request.data_kind = preset.data_kind == "images" ? "pairs" : "images";
    ExpectRefused(request, "reads data of kind");
  }
}

Graph Preset(const std::string& name,
             std::map<std::string, std::string> overrides = {},
             int32_t sequence_length = 1) {
  ModelRequest request = Request(name, std::move(overrides));
  request.sequence_length = sequence_length;
  const absl::StatusOr<Graph> graph = MakeModel(request);
  EXPECT_TRUE(graph.ok()) << graph.status();
  return graph.ok() ? *graph : Graph{};
}

const LayerSpec& LayerOf(const Graph& graph, const std::string& name) {
  for (const LayerSpec& layer : graph.layers) {
    if (layer.name == name) return layer;
  }
  ADD_FAILURE() << "no layer " << name;
  static const LayerSpec none;
  return none;
}

TEST(ZooTest, CnnHalvesItsImagesInEachGroupAndSkipsBlocks) {
  const Graph graph = Preset("cnn", {{"blocks", "2"}});
  const auto shapes = InferShapes(graph);
  EXPECT_THAT(shapes->at("g0.b1.relu").shape, ElementsAre(2, 16, 16, 16));
  EXPECT_THAT(shapes->at("g2.b0.relu").shape, ElementsAre(2, 64, 4, 4));
  EXPECT_THAT(LayerOf(graph, "g0.b1.add").inputs,
              ElementsAre("g0.b0.relu", "g0.b1.b.norm"));
  EXPECT_THAT(LayerOf(graph, "g1.b0.add").inputs,
              ElementsAre("g1.b0.skip.norm", "g1.b0.b.norm"));
}

TEST(ZooTest, UnetTakesEachLevelAgainOnTheWayUp) {
  const Graph graph = Preset("unet");
  EXPECT_THAT(LayerOf(graph, "up0.concat").inputs,
              ElementsAre("down0.relu", "up0.upsample"));
  EXPECT_THAT(InferShapes(graph)->at("head").shape, ElementsAre(2, 5, 16, 16));
  ModelRequest odd = Request("unet", {{"image_size", "18"}});
  odd.sequence_length = 1;
  ExpectRefused(odd,
                "layer \"up1.concat\" (concat): wants inputs that differ "
                "only in their channels, got [2, 32, 9, 9] and [2, 64, 8, "
                "8]; its inputs are \"down1.relu\" [2, 32, 9, 9]");
}

TEST(ZooTest, InceptionsBranchesMakeItsWidth) {
  const Graph graph = Preset("inception");
  EXPECT_THAT(LayerOf(graph, "m1.concat").inputs,
              ElementsAre("m1.point.relu", "m1.single.relu", "m1.double.b.relu",
                          "m1.pooled.relu"));
  EXPECT_THAT(InferShapes(graph)->at("m1.concat").shape,
              ElementsAre(2, 32, 8, 8));
}

TEST(ZooTest, TwoTowersMeetOnlyInTheLoss) {
  const Graph graph = Preset("two-tower", {}, 6);
  EXPECT_THAT(graph.layers.back().inputs,
              ElementsAre("image.unit", "text.unit"));
  for (const LayerSpec& layer : graph.layers) {
    if (layer.name == "loss") continue;
    const std::string tower = layer.name.substr(0, layer.name.find('.'));
    for (const std::string& input : layer.inputs) {
      if (graph.inputs.count(input) > 0) continue;
      EXPECT_EQ(input.substr(0, input.find('.')), tower);
    }
  }
}

TEST(ZooTest, Seq2SeqsDecoderAttendsToTheEncoder) {
  const Graph graph = Preset("seq2seq", {}, 12);
  EXPECT_THAT(LayerOf(graph, "decoder.attn").inputs,
              ElementsAre("decoder.lstm0", "encoder.lstm1.add", "source"));
}

TEST(ZooTest, ParametersAreAsManyAsDescriptionsSay) {
  EXPECT_EQ(ParameterTotal(Preset("cnn")), 77912);
  EXPECT_EQ(ParameterTotal(Preset("unet")), 58437);
  EXPECT_EQ(ParameterTotal(Preset("inception")), 5800);
  EXPECT_NEAR(ParameterTotal(Preset("llama-nano", {}, 64)), 800000, 50000);
}

TEST(ZooTest, ImagesHaveNoSequence) {
  ExpectRefused(Request("cnn"), "the sequence length is 16, want 1");
}

TEST(ZooTest, Gpt2SmallHasThePublishedNumberOfParameters) {
  EXPECT_EQ(ParameterTotal(*MakeModel(Request("gpt2-small"))), 124439808);
}

TEST(ZooTest, GptNanoIsBlocksBetweenEmbeddingAndLoss) {
  const Graph graph = *MakeModel(Request("gpt-nano", {{"layers", "2"}}));
  std::vector<std::string> names;
  for (const LayerSpec& layer : graph.layers) names.push_back(layer.name);
  EXPECT_THAT(names, ElementsAre("embed", "h0.attn", "h0.mlp", "h1.attn",
                                 "h1.mlp", "final_norm", "head", "loss"));
  EXPECT_THAT(graph.layers.back().inputs, ElementsAre("head", "labels"));
}

TEST(ZooTest, OverridesReachTheLayers) {
  const Graph graph = *MakeModel(Request(
      "gpt-nano", {{"hidden", "64"}, {"dropout", "0.25"}, {"tied", "true"}}));
  EXPECT_EQ(graph.layers[1].attributes.at("hidden"), 64);
  EXPECT_EQ(graph.layers[2].attributes.at("inner"), 256);
  EXPECT_EQ(graph.layers[2].attributes.at("dropout"), 0.25);
  EXPECT_EQ(TiedUses(graph)->size(), 1u);
  EXPECT_TRUE(TiedUses(*MakeModel(Request("gpt-nano")))->empty());
}

TEST(ZooTest, MlpSeesAWindowOfTokens) {
  const Graph graph =
      *MakeModel(Request("mlp", {{"window", "4"}, {"embedding", "6"}}));
  EXPECT_THAT(InferShapes(graph)->at("embed").shape, ElementsAre(2, 16, 24));
}

TEST(ZooTest, RefusesAnUnknownPresetWithASuggestion) {
  ExpectRefused(Request("gpt-nono"),
                "no model preset \"gpt-nono\"; did you mean \"gpt-nano\"?");
}

TEST(ZooTest, RefusesAnUnknownPresetWithTheList) {
  ExpectRefused(Request("zzz"), "there are gpt-nano, gpt-mini");
}

TEST(ZooTest, RefusesAnUnknownOverride) {
  ExpectRefused(Request("gpt-nano", {{"layer", "3"}}),
                "model gpt-nano has no override \"layer\"; did you mean "
                "\"layers\"?");
}

TEST(ZooTest, RefusesAnOverrideThatIsNoNumber) {
  ExpectRefused(Request("gpt-nano", {{"hidden", "big"}}),
                "model override hidden: \"big\" is not a number");
  ExpectRefused(Request("gpt-nano", {{"tied", "1"}}), "neither true nor false");
}

TEST(ZooTest, RefusesAnImpossibleOverride) {
  for (const char* layers : {"0", "-1", "1.5", "nan", "1e9"}) {
    ExpectRefused(Request("gpt-nano", {{"layers", layers}}),
                  "want an integer in 1..10000");
    ExpectRefused(Request("unet", {{"levels", layers}}),
                  "want an integer in 1..10000");
  }
  for (const char* size : {"0", "-1", "1.5", "nan", "1e300"}) {
    ExpectRefused(Request("cnn", {{"image_size", size}}),
                  "want an integer in 1..1048576");
    ExpectRefused(Request("seq2seq", {{"vocabulary", size}}),
                  "want an integer in 1..1048576");
  }
  ExpectRefused(Request("gpt-nano", {{"heads", "5"}}), "not a multiple");
  ExpectRefused(Request("gpt-nano", {{"dropout", "1"}}), "dropout is 1");
  ExpectRefused(Request("gpt2-small", {{"hidden", "0"}}), "hidden is 0");
}

TEST(ZooTest, RefusesASequenceThatDoesNotFit) {
  ModelRequest request = Request("gpt-nano");
  request.sequence_length = 257;
  ExpectRefused(request, "does not fit its 256 positions");
  request.sequence_length = 0;
  ExpectRefused(request, "want sizes in 1..");
}

}  // namespace
}  // namespace penstock
