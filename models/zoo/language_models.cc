#include "absl/strings/str_cat.h"
#include "models/zoo/families.h"
#include "models/zoo/graph_builder.h"

namespace penstock {
namespace {

void AddTokenInputs(const FamilyArguments& arguments, Graph* graph) {
  const TensorShape tokens = {
      ElementType::kInt64,
      {arguments.microbatch_size, arguments.sequence_length}};
  graph->inputs = {{"tokens", tokens}, {"labels", tokens}};
}

}  // namespace

void AddGpt(const FamilyArguments& arguments, Graph* graph) {
  const Numbers& numbers = arguments.numbers;
  const double hidden = numbers.at("hidden");
  const double vocabulary = numbers.at("vocabulary");
  const double dropout = numbers.at("dropout");
  const double depth = numbers.at("layers");
  AddTokenInputs(arguments, graph);
  GraphBuilder builder(graph);
  std::string x = builder.Add("embed", "token_embedding",
                              {{"vocabulary", vocabulary},
                               {"hidden", hidden},
                               {"positions", numbers.at("positions")},
                               {"dropout", dropout}},
                              {"tokens"});
  for (int i = 0; i < static_cast<int>(depth); ++i) {
    x = builder.Add(absl::StrCat("h", i, ".attn"), "attention",
                    {{"hidden", hidden},
                     {"heads", numbers.at("heads")},
                     {"depth", depth},
                     {"dropout", dropout}},
                    {x});
    x = builder.Add(absl::StrCat("h", i, ".mlp"), "mlp_block",
                    {{"hidden", hidden},
                     {"inner", 4 * hidden},
                     {"depth", depth},
                     {"dropout", dropout}},
                    {x});
  }
  x = builder.Add("final_norm", "layer_norm", {{"hidden", hidden}}, {x});
  x = builder.Add("head", "lm_head",
                  {{"hidden", hidden}, {"vocabulary", vocabulary}}, {x});
  if (numbers.at("tied") != 0) {
    graph->layers.back().tied_to = "embed.token.weight";
  }
  builder.Add("loss", "cross_entropy", {}, {x, "labels"});
}

void AddLlama(const FamilyArguments& arguments, Graph* graph) {
  const Numbers& numbers = arguments.numbers;
  const double hidden = numbers.at("hidden");
  const double vocabulary = numbers.at("vocabulary");
  const double depth = numbers.at("layers");
  AddTokenInputs(arguments, graph);
  GraphBuilder builder(graph);
  std::string x =
      builder.Add("embed", "embedding",
                  {{"vocabulary", vocabulary}, {"hidden", hidden}}, {"tokens"});
  for (int i = 0; i < static_cast<int>(depth); ++i) {
    x = builder.Add(absl::StrCat("h", i, ".attn"), "rotary_attention",
                    {{"hidden", hidden},
                     {"heads", numbers.at("heads")},
                     {"key_heads", numbers.at("key_heads")},
                     {"depth", depth}},
                    {x});
    x = builder.Add(
        absl::StrCat("h", i, ".mlp"), "swiglu_block",
        {{"hidden", hidden}, {"inner", numbers.at("inner")}, {"depth", depth}},
        {x});
  }
  x = builder.Add("final_norm", "rms_norm", {{"hidden", hidden}}, {x});
  x = builder.Add("head", "lm_head",
                  {{"hidden", hidden}, {"vocabulary", vocabulary}}, {x});
  builder.Add("loss", "cross_entropy", {}, {x, "labels"});
}

void AddMlp(const FamilyArguments& arguments, Graph* graph) {
  const Numbers& numbers = arguments.numbers;
  const double hidden = numbers.at("hidden");
  const double vocabulary = numbers.at("vocabulary");
  const double embedding = numbers.at("embedding");
  const double window = numbers.at("window");
  AddTokenInputs(arguments, graph);
  GraphBuilder builder(graph);
  std::string x = builder.Add(
      "embed", "window_embedding",
      {{"vocabulary", vocabulary}, {"hidden", embedding}, {"window", window}},
      {"tokens"});
  double width = window * embedding;
  for (int i = 0; i < static_cast<int>(numbers.at("layers")); ++i) {
    x = builder.Add(absl::StrCat("fc", i), "linear",
                    {{"in", width}, {"out", hidden}}, {x});
    x = builder.Add(absl::StrCat("relu", i), "relu", {}, {x});
    width = hidden;
  }
  x = builder.Add("head", "linear", {{"in", width}, {"out", vocabulary}}, {x});
  builder.Add("loss", "cross_entropy", {}, {x, "labels"});
}

}  // namespace penstock
