#include <cmath>

#include "absl/strings/str_cat.h"
#include "models/zoo/families.h"
#include "models/zoo/graph_builder.h"

namespace penstock {
namespace {

// CLIP's first temperature (Radford et al. 2021, section 2.5).
constexpr double kTemperature = 0.07;

// What a tower makes of a sample: the layer, and how many numbers.
struct Tower {
  std::string output;
  double size = 0;
};

// Convolutions that halve the sides, rounding up, and double the channels.
Tower AddImageTower(const Numbers& numbers, GraphBuilder& builder) {
  double in = numbers.at("channels");
  double width = numbers.at("width");
  double side = numbers.at("image_size");
  std::string x = "images";
  for (int i = 0; i < static_cast<int>(numbers.at("image_layers")); ++i) {
    x = builder.AddRectified(absl::StrCat("image.c", i),
                             {.in = in, .out = width, .kernel = 3, .stride = 2},
                             x);
    in = width;
    width *= 2;
    side = std::ceil(side / 2);
  }
  // Where something is in the image is part of its caption.
  return {builder.Add("image.flat", "flatten", {}, {x}), side * side * in};
}

Tower AddTextTower(const Numbers& numbers, GraphBuilder& builder) {
  const double hidden = numbers.at("hidden");
  const double depth = numbers.at("text_layers");
  std::string x = builder.Add("text.embed", "token_embedding",
                              {{"vocabulary", numbers.at("vocabulary")},
                               {"hidden", hidden},
                               {"positions", numbers.at("positions")},
                               {"dropout", 0}},
                              {"captions"});
  for (int i = 0; i < static_cast<int>(depth); ++i) {
    const std::string name = absl::StrCat("text.h", i);
    x = builder.Add(name + ".attn", "attention",
                    {{"hidden", hidden},
                     {"heads", numbers.at("heads")},
                     {"depth", depth},
                     {"dropout", 0}},
                    {x});
    x = builder.Add(name + ".mlp", "mlp_block",
                    {{"hidden", hidden},
                     {"inner", 4 * hidden},
                     {"depth", depth},
                     {"dropout", 0}},
                    {x});
  }
  x = builder.Add("text.norm", "layer_norm", {{"hidden", hidden}}, {x});
  return {builder.Add("text.mean", "sequence_mean", {}, {x}), hidden};
}

// "<name>.projection", "<name>.unit": a vector of length 1.
std::string AddUnit(const std::string& name, const Tower& tower, double out,
                    GraphBuilder& builder) {
  const std::string projected =
      builder.Add(name + ".projection", "linear",
                  {{"in", tower.size}, {"out", out}}, {tower.output});
  return builder.Add(name + ".unit", "l2_normalize", {}, {projected});
}

// Layers first..end-1 of a side; each but layer 0 has a residual connection.
std::string AddLstms(const std::string& side, int first, int end, double hidden,
                     std::string x, GraphBuilder& builder) {
  for (int i = first; i < end; ++i) {
    const std::string name = absl::StrCat(side, ".lstm", i);
    const std::string states =
        builder.Add(name, "lstm", {{"in", hidden}, {"hidden", hidden}}, {x});
    x = i == 0 ? states : builder.Add(name + ".add", "add", {}, {x, states});
  }
  return x;
}

}  // namespace

void AddTwoTower(const FamilyArguments& arguments, Graph* graph) {
  const Numbers& numbers = arguments.numbers;
  const auto size = static_cast<int64_t>(numbers.at("image_size"));
  const double embedding = numbers.at("embedding");
  graph->data_kind = "pairs";
  graph->inputs = {
      {"images",
       {ElementType::kActivation,
        {arguments.microbatch_size,
         static_cast<int64_t>(numbers.at("channels")), size, size}}},
      {"captions",
       {ElementType::kInt64,
        {arguments.microbatch_size, arguments.sequence_length},
        static_cast<int64_t>(numbers.at("vocabulary"))}}};
  GraphBuilder builder(graph);
  const std::string image =
      AddUnit("image", AddImageTower(numbers, builder), embedding, builder);
  const std::string text =
      AddUnit("text", AddTextTower(numbers, builder), embedding, builder);
  builder.Add("loss", "contrastive_loss", {{"temperature", kTemperature}},
              {image, text});
}

void AddSeq2Seq(const FamilyArguments& arguments, Graph* graph) {
  const Numbers& numbers = arguments.numbers;
  const double hidden = numbers.at("hidden");
  const double vocabulary = numbers.at("vocabulary");
  const auto layers = static_cast<int>(numbers.at("layers"));
  const TensorShape tokens = {
      ElementType::kInt64,
      {arguments.microbatch_size, arguments.sequence_length},
      static_cast<int64_t>(vocabulary)};
  graph->data_kind = "translation";
  graph->inputs = {{"source", tokens}, {"target", tokens}, {"labels", tokens}};
  GraphBuilder builder(graph);
  const GraphBuilder::Attributes table = {{"vocabulary", vocabulary},
                                          {"hidden", hidden}};
  std::string memory =
      builder.Add("encoder.embed", "embedding", table, {"source"});
  memory = AddLstms("encoder", 0, layers, hidden, memory, builder);
  std::string x = builder.Add("decoder.embed", "embedding", table, {"target"});
  x = AddLstms("decoder", 0, 1, hidden, x, builder);
  x = builder.Add("decoder.attn", "cross_attention",
                  {{"hidden", hidden}, {"heads", numbers.at("heads")}},
                  {x, memory, "source"});
  x = AddLstms("decoder", 1, layers, hidden, x, builder);
  x = builder.Add("head", "linear", {{"in", hidden}, {"out", vocabulary}}, {x});
  builder.Add("loss", "cross_entropy", {}, {x, "labels"});
}

}  // namespace penstock
