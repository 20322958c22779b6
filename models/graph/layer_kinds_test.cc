#include "models/graph/layer_kinds.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

LayerSpec Embed() {
  return {.name = "embed",
          .kind = "token_embedding",
          .attributes = {{"vocabulary", 16},
                         {"hidden", 8},
                         {"positions", 6},
                         {"dropout", 0}},
          .inputs = {"tokens"}};
}

LayerSpec Head(std::string tied_to) {
  return {.name = "head",
          .kind = "lm_head",
          .attributes = {{"vocabulary", 16}, {"hidden", 8}},
          .inputs = {"embed"},
          .tied_to = tied_to};
}

LayerSpec Loss() {
  return {
      .name = "loss", .kind = "cross_entropy", .inputs = {"head", "labels"}};
}

Graph SmallGraph(std::string tied_to = "") {
  const TensorShape tokens = {ElementType::kInt64, {2, 4}};
  return {.name = "small",
          .inputs = {{"tokens", tokens}, {"labels", tokens}},
          .microbatch_size = 2,
          .layers = {Embed(), Head(tied_to), Loss()}};
}

// The graph is refused with INVALID_ARGUMENT and a message with `part`.
void ExpectRefused(const Graph& graph, const std::string& part) {
  const absl::Status status = CheckGraph(graph);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(part));
}

TEST(ParametersOfTest, NamesBeginWithTheLayer) {
  const auto parameters = ParametersOf(Embed());
  ASSERT_TRUE(parameters.ok()) << parameters.status();
  ASSERT_EQ(parameters->size(), 2u);
  EXPECT_EQ((*parameters)[0].name, "embed.token.weight");
  EXPECT_THAT((*parameters)[0].shape, ElementsAre(16, 8));
  EXPECT_EQ((*parameters)[1].name, "embed.position.weight");
  EXPECT_THAT((*parameters)[1].shape, ElementsAre(6, 8));
}

TEST(ParametersOfTest, OnlyMatricesDecay) {
  const auto parameters = ParametersOf(
      {.name = "a",
       .kind = "attention",
       .attributes = {
           {"hidden", 8}, {"heads", 2}, {"depth", 3}, {"dropout", 0.1}}});
  ASSERT_TRUE(parameters.ok()) << parameters.status();
  for (const ParameterSpec& spec : *parameters) {
    EXPECT_EQ(spec.decay, spec.shape.size() == 2) << spec.name;
    EXPECT_EQ(spec.init == InitKind::kNormal, spec.shape.size() == 2);
  }
}

TEST(ParametersOfTest, ResidualProjectionsStartSmallerByTheirNumber) {
  const auto parameters = ParametersOf(
      {.name = "m",
       .kind = "mlp_block",
       .attributes = {
           {"hidden", 8}, {"inner", 32}, {"depth", 8}, {"dropout", 0}}});
  ASSERT_TRUE(parameters.ok()) << parameters.status();
  EXPECT_EQ((*parameters)[2].name, "m.up.weight");
  EXPECT_DOUBLE_EQ((*parameters)[2].init_scale, 0.02);
  EXPECT_EQ((*parameters)[4].name, "m.down.weight");
  EXPECT_DOUBLE_EQ((*parameters)[4].init_scale, 0.02 / 4);
}

TEST(ParametersOfTest, UnknownKindIsRefusedWithASuggestion) {
  const auto parameters = ParametersOf({.name = "a", .kind = "linaer"});
  EXPECT_EQ(parameters.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(parameters.status().message()),
              HasSubstr("layer \"a\": no kind \"linaer\"; did you mean "
                        "\"linear\"?"));
}

class BadAttributeTest
    : public ::testing::TestWithParam<std::pair<const char*, double>> {};

TEST_P(BadAttributeTest, IsRefusedByName) {
  LayerSpec layer = Embed();
  layer.attributes[GetParam().first] = GetParam().second;
  const auto parameters = ParametersOf(layer);
  EXPECT_EQ(parameters.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(parameters.status().message()),
              HasSubstr(GetParam().first));
}

INSTANTIATE_TEST_SUITE_P(
    Values, BadAttributeTest,
    ::testing::Values(std::pair("hidden", 0.0), std::pair("hidden", -8.0),
                      std::pair("hidden", 8.5), std::pair("hidden", 1e18),
                      std::pair("hidden",
                                std::numeric_limits<double>::quiet_NaN()),
                      std::pair("dropout", 1.0), std::pair("dropout", -0.1),
                      std::pair("hiden", 8.0)));

TEST(ParametersOfTest, MissingAttributeIsRefused) {
  LayerSpec layer = Embed();
  layer.attributes.erase("positions");
  const auto parameters = ParametersOf(layer);
  EXPECT_THAT(std::string(parameters.status().message()),
              HasSubstr("needs the attribute \"positions\""));
}

TEST(ParametersOfTest, HeadsMustDivideHidden) {
  const auto parameters = ParametersOf(
      {.name = "a",
       .kind = "attention",
       .attributes = {
           {"hidden", 10}, {"heads", 4}, {"depth", 1}, {"dropout", 0}}});
  EXPECT_THAT(std::string(parameters.status().message()),
              HasSubstr("hidden 10 is not a multiple of heads 4"));
}

TEST(InferShapesTest, FollowsTheLayers) {
  const auto shapes = InferShapes(SmallGraph());
  ASSERT_TRUE(shapes.ok()) << shapes.status();
  EXPECT_THAT(shapes->at("tokens").shape, ElementsAre(2, 4));
  EXPECT_THAT(shapes->at("embed").shape, ElementsAre(2, 4, 8));
  EXPECT_THAT(shapes->at("head").shape, ElementsAre(2, 4, 16));
  EXPECT_THAT(shapes->at("loss").shape, ElementsAre());
  EXPECT_EQ(shapes->at("tokens").element_type, ElementType::kInt64);
  EXPECT_EQ(shapes->at("embed").element_type, ElementType::kActivation);
}

TEST(ParameterCountsTest, TiedParametersCountAtTheirOwner) {
  EXPECT_THAT(*ParameterCounts(SmallGraph()),
              ElementsAre(16 * 8 + 6 * 8, 16 * 8, 0));
  EXPECT_THAT(*ParameterCounts(SmallGraph("embed.token.weight")),
              ElementsAre(16 * 8 + 6 * 8, 0, 0));
}

TEST(VocabularyOfTest, IsTheSmallestOfTheLayers) {
  Graph graph = SmallGraph();
  EXPECT_EQ(VocabularyOf(graph), 16);
  graph.layers[1].attributes["vocabulary"] = 12;
  EXPECT_EQ(VocabularyOf(graph), 12);
  EXPECT_EQ(VocabularyOf(Graph{}), 0);
}

TEST(TiedUsesTest, NamesOwnerAndUser) {
  const auto uses = TiedUses(SmallGraph("embed.token.weight"));
  ASSERT_TRUE(uses.ok()) << uses.status();
  ASSERT_EQ(uses->size(), 1u);
  EXPECT_EQ((*uses)[0].owner_parameter, "embed.token.weight");
  EXPECT_EQ((*uses)[0].owner_layer, 0);
  EXPECT_EQ((*uses)[0].user_parameter, "head.weight");
  EXPECT_EQ((*uses)[0].user_layer, 1);
  EXPECT_TRUE(TiedUses(SmallGraph())->empty());
}

TEST(CheckGraphTest, AcceptsASoundGraph) {
  EXPECT_TRUE(CheckGraph(SmallGraph()).ok());
  EXPECT_TRUE(CheckGraph(SmallGraph("embed.token.weight")).ok());
}

TEST(CheckGraphTest, RefusesAnEmptyGraph) {
  ExpectRefused(Graph{}, "no layers");
}

TEST(CheckGraphTest, RefusesATieToNothing) {
  ExpectRefused(SmallGraph("embed.tokens"), "which does not exist");
}

TEST(CheckGraphTest, RefusesATieToAnotherShape) {
  ExpectRefused(SmallGraph("embed.position.weight"),
                "which is [6, 8], want [16, 8]");
}

TEST(CheckGraphTest, RefusesATieToAnotherStart) {
  Graph graph = SmallGraph("embed.token.weight");
  graph.layers[0].kind = "window_embedding";
  graph.layers[0].attributes = {
      {"vocabulary", 16}, {"hidden", 8}, {"window", 1}};
  ExpectRefused(graph, "which starts from another distribution");
}

TEST(CheckGraphTest, RefusesATieToTheLayerItself) {
  ExpectRefused(SmallGraph("head.weight"), "not in an earlier layer");
}

TEST(CheckGraphTest, RefusesATieOfAKindThatHasNone) {
  Graph graph = SmallGraph();
  graph.layers[0].tied_to = "head.weight";
  ExpectRefused(graph, "cannot be tied");
}

TEST(CheckGraphTest, RefusesARepeatedName) {
  Graph graph = SmallGraph();
  graph.layers[1].name = "embed";
  ExpectRefused(graph,
                "layer \"embed\": layers 0 (token_embedding) and 1 "
                "(lm_head) have the same name");
}

TEST(CheckGraphTest, RefusesTwoParametersOfOneName) {
  Graph graph = SmallGraph();
  graph.layers.insert(graph.layers.begin() + 1,
                      {.name = "embed.token",
                       .kind = "linear",
                       .attributes = {{"in", 8}, {"out", 8}},
                       .inputs = {"embed"}});
  graph.layers[2].inputs = {"embed.token"};
  ExpectRefused(graph, "both have a parameter \"embed.token.weight\"");
}

TEST(CheckGraphTest, RefusesAnInputThatComesLater) {
  Graph graph = SmallGraph();
  graph.layers[1].inputs = {"loss"};
  graph.layers[2].inputs = {"embed", "labels"};
  ExpectRefused(graph,
                "layer \"head\": its input \"loss\" comes later in the list");
}

TEST(CheckGraphTest, ShowsACycle) {
  Graph graph = SmallGraph();
  const auto relu = [](const char* name, const char* input) {
    return LayerSpec{.name = name, .kind = "relu", .inputs = {input}};
  };
  graph.layers = {relu("a", "c"), relu("b", "a"), relu("c", "b"), Loss()};
  ExpectRefused(graph, "the layers form a cycle: a -> b -> c -> a");
  graph.layers = {relu("a", "a"), Loss()};
  ExpectRefused(graph, "the layers form a cycle: a -> a");
}

TEST(CheckGraphTest, RefusesAnInputThatIsMissing) {
  Graph graph = SmallGraph();
  graph.layers[1].inputs = {"embd"};
  ExpectRefused(graph,
                "layer \"head\": its input \"embd\" is neither an input of the "
                "graph nor a layer; did you mean \"embed\"?");
  graph.layers[1].inputs = {};
  ExpectRefused(graph, "layer \"head\": a lm_head takes 1 inputs, got 0");
}

TEST(CheckGraphTest, RefusesALayerNamedLikeAnInput) {
  Graph graph = SmallGraph();
  graph.layers[0].name = "labels";
  ExpectRefused(graph, "has the name of an input of the graph");
  graph.layers[0].name = "";
  ExpectRefused(graph, "layer 0 of kind token_embedding has no name");
}

TEST(CheckGraphTest, RefusesAThirdUseOfAnOutput) {
  Graph graph = SmallGraph();
  const auto relu = [](const char* name, const char* input) {
    return LayerSpec{.name = name, .kind = "relu", .inputs = {input}};
  };
  graph.layers = {Embed(),
                  relu("a", "embed"),
                  relu("b", "embed"),
                  {.name = "sum", .kind = "add", .inputs = {"a", "b", "embed"}},
                  Head(""),
                  Loss()};
  graph.layers[4].inputs = {"sum"};
  ExpectRefused(graph,
                "layer \"embed\": its output is used 3 times, by a, b, sum; at "
                "most two");
  graph.layers.insert(graph.layers.begin() + 2,
                      {.name = "c", .kind = "copy", .inputs = {"embed"}});
  graph.layers[3].inputs = {"c"};
  graph.layers[4].inputs = {"a", "b", "c"};
  EXPECT_TRUE(CheckGraph(graph).ok()) << CheckGraph(graph);
}

TEST(CheckGraphTest, RefusesTooManyInputs) {
  Graph graph = SmallGraph();
  graph.layers[1].inputs = {"embed", "embed"};
  ExpectRefused(graph, "takes 1 inputs, got 2");
}

TEST(CheckGraphTest, RefusesAnInputOfTheWrongSize) {
  Graph graph = SmallGraph();
  graph.layers[1].attributes["hidden"] = 9;
  ExpectRefused(graph,
                "layer \"head\" (lm_head): wants activations [..., 9], got [2, "
                "4, 8]; its inputs are \"embed\" [2, 4, 8]");
}

TEST(CheckGraphTest, RefusesTokensWhereActivationsBelong) {
  Graph graph = SmallGraph();
  graph.layers[1].inputs = {"tokens"};
  ExpectRefused(graph, "got int64 [2, 4], which carries no gradient");
}

TEST(CheckGraphTest, RefusesLabelsWithoutALogit) {
  Graph graph = SmallGraph();
  graph.inputs["labels"].limit = 17;
  ExpectRefused(graph,
                "wants logits of at least 17 classes for its labels, "
                "got 16");
  graph.inputs["labels"].shape = {2, 5};
  ExpectRefused(
      graph,
      "wants logits [2, 5, classes] for its labels [2, 5], got [2, 4, "
      "16]; its inputs are \"head\" [2, 4, 16], \"labels\" int64 "
      "[2, 5]");
}

TEST(CheckGraphTest, RefusesTokensOutsideTheVocabulary) {
  Graph graph = SmallGraph();
  graph.inputs["tokens"].limit = 17;
  ExpectRefused(graph,
                "wants tokens below its vocabulary of 16, got tokens below 17");
}

TEST(CheckGraphTest, RefusesASequenceLongerThanThePositions) {
  Graph graph = SmallGraph();
  graph.layers[0].attributes["positions"] = 3;
  ExpectRefused(graph, "a sequence of 4 tokens does not fit its 3 positions");
}

TEST(CheckGraphTest, RefusesAGraphThatDoesNotEndInALoss) {
  Graph graph = SmallGraph();
  graph.layers.pop_back();
  ExpectRefused(graph, "want a loss");
}

TEST(CheckGraphTest, RefusesALossBeforeTheEnd) {
  Graph graph = SmallGraph();
  graph.layers.push_back(Loss());
  graph.layers.back().name = "loss2";
  ExpectRefused(graph, "is a loss, want it last");
}

TEST(CheckGraphTest, RefusesAnOutputThatNobodyUses) {
  Graph graph = SmallGraph();
  LayerSpec second = graph.layers[1];
  second.name = "head2";
  graph.layers.insert(graph.layers.begin() + 1, second);
  ExpectRefused(graph, "layer \"head2\": its output is used by no");
}

TEST(CheckGraphTest, RefusesAnInputOfAnotherMicrobatch) {
  Graph graph = SmallGraph();
  graph.microbatch_size = 3;
  ExpectRefused(graph, "want the microbatch's 3 samples first");
}

TEST(CheckGraphTest, RefusesAnEmptyMicrobatch) {
  Graph graph = SmallGraph();
  graph.microbatch_size = 0;
  ExpectRefused(graph, "microbatch size is 0");
}

}  // namespace
}  // namespace penstock
