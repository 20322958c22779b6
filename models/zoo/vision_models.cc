#include "absl/strings/str_cat.h"
#include "models/zoo/families.h"
#include "models/zoo/graph_builder.h"

namespace penstock {
namespace {

constexpr int kGroups = 3;

void AddImageInput(const FamilyArguments& arguments, Graph* graph) {
  const auto size = static_cast<int64_t>(arguments.numbers.at("image_size"));
  graph->data_kind = "images";
  graph->inputs["images"] = {
      ElementType::kActivation,
      {arguments.microbatch_size,
       static_cast<int64_t>(arguments.numbers.at("channels")), size, size}};
}

// Inputs "images" and "labels", a class each.
void AddClassifierInputs(const FamilyArguments& arguments, Graph* graph) {
  AddImageInput(arguments, graph);
  graph->inputs["labels"] = {
      ElementType::kInt64,
      {arguments.microbatch_size},
      static_cast<int64_t>(arguments.numbers.at("classes"))};
}

// Pool, linear and loss.
void AddClassifier(const FamilyArguments& arguments, double width,
                   const std::string& input, GraphBuilder& builder) {
  const std::string pooled =
      builder.Add("pool", "global_average_pool", {}, {input});
  const std::string head = builder.Add(
      "head", "linear",
      {{"in", width}, {"out", arguments.numbers.at("classes")}}, {pooled});
  builder.Add("loss", "cross_entropy", {}, {head, "labels"});
}

// He et al. 2015, figure 2; a projection where the shape changes.
std::string AddResidualBlock(const std::string& name, double in, double out,
                             double stride, const std::string& input,
                             GraphBuilder& builder) {
  const std::string first = builder.AddRectified(
      name + ".a", {.in = in, .out = out, .kernel = 3, .stride = stride},
      input);
  const std::string second = builder.AddNormed(
      name + ".b", {.in = out, .out = out, .kernel = 3}, first);
  std::string skip = input;
  if (in != out || stride != 1) {
    skip = builder.AddNormed(name + ".skip",
                             {.in = in, .out = out, .stride = stride}, input);
  }
  const std::string sum = builder.Add(name + ".add", "add", {}, {skip, second});
  return builder.Add(name + ".relu", "relu", {}, {sum});
}

// The branches make a quarter, a half, an eighth and an eighth of `out`.
std::string AddInceptionBlock(const std::string& name, double in, double out,
                              const std::string& input, GraphBuilder& builder) {
  const double eighth = out / 8;
  const std::string again = builder.Add(name + ".copy0", "copy", {}, {input});
  const std::string third = builder.Add(name + ".copy1", "copy", {}, {again});
  const std::string point = builder.AddRectified(
      name + ".point", {.in = in, .out = 2 * eighth}, input);
  const std::string reduced = builder.AddRectified(
      name + ".single.reduce", {.in = in, .out = 2 * eighth}, again);
  const std::string single = builder.AddRectified(
      name + ".single", {.in = 2 * eighth, .out = 4 * eighth, .kernel = 3},
      reduced);
  std::string twice = builder.AddRectified(name + ".double.reduce",
                                           {.in = in, .out = eighth}, third);
  for (const char* const part : {".double.a", ".double.b"}) {
    twice = builder.AddRectified(
        name + part, {.in = eighth, .out = eighth, .kernel = 3}, twice);
  }
  const std::string pooled =
      builder.Add(name + ".pool", "average_pool",
                  {{"kernel", 3}, {"stride", 1}, {"padding", 1}}, {third});
  const std::string projected =
      builder.AddRectified(name + ".pooled", {.in = in, .out = eighth}, pooled);
  return builder.Add(name + ".concat", "concat", {},
                     {point, single, twice, projected});
}

}  // namespace

void AddCnn(const FamilyArguments& arguments, Graph* graph) {
  const Numbers& numbers = arguments.numbers;
  AddClassifierInputs(arguments, graph);
  GraphBuilder builder(graph);
  double width = numbers.at("width");
  std::string x = builder.AddRectified(
      "stem", {.in = numbers.at("channels"), .out = width, .kernel = 3},
      "images");
  for (int group = 0; group < kGroups; ++group) {
    for (int block = 0; block < static_cast<int>(numbers.at("blocks"));
         ++block) {
      const bool shrinks = group > 0 && block == 0;
      const double out = shrinks ? 2 * width : width;
      x = AddResidualBlock(absl::StrCat("g", group, ".b", block), width, out,
                           /*stride=*/shrinks ? 2 : 1, x, builder);
      width = out;
    }
  }
  AddClassifier(arguments, width, x, builder);
}

void AddInception(const FamilyArguments& arguments, Graph* graph) {
  const Numbers& numbers = arguments.numbers;
  AddClassifierInputs(arguments, graph);
  GraphBuilder builder(graph);
  const double width = numbers.at("width");
  std::string x = builder.AddRectified(
      "stem",
      {.in = numbers.at("channels"), .out = width, .kernel = 3, .stride = 2},
      "images");
  for (int block = 0; block < static_cast<int>(numbers.at("blocks")); ++block) {
    x = AddInceptionBlock(absl::StrCat("m", block), width, width, x, builder);
  }
  AddClassifier(arguments, width, x, builder);
}

void AddUnet(const FamilyArguments& arguments, Graph* graph) {
  const Numbers& numbers = arguments.numbers;
  const auto levels = static_cast<int>(numbers.at("levels"));
  // A pixel may belong to nothing.
  const double classes = numbers.at("classes") + 1;
  AddImageInput(arguments, graph);
  TensorShape masks = graph->inputs.at("images");
  masks.element_type = ElementType::kInt64;
  masks.shape.erase(masks.shape.begin() + 1);
  masks.limit = static_cast<int64_t>(classes);
  graph->inputs["masks"] = masks;
  GraphBuilder builder(graph);
  double in = numbers.at("channels");
  double width = numbers.at("width");
  std::string x = "images";
  std::vector<std::string> skips;
  for (int level = 0; level < levels; ++level) {
    const std::string name = absl::StrCat("down", level);
    skips.push_back(
        builder.AddRectified(name, {.in = in, .out = width, .kernel = 3}, x));
    x = builder.Add(name + ".pool", "max_pool",
                    {{"kernel", 2}, {"stride", 2}, {"padding", 0}},
                    {skips.back()});
    in = width;
    width *= 2;
  }
  x = builder.AddRectified("bottom", {.in = in, .out = width, .kernel = 3}, x);
  for (int level = levels - 1; level >= 0; --level) {
    const std::string name = absl::StrCat("up", level);
    x = builder.Add(name + ".upsample", "upsample", {{"factor", 2}}, {x});
    x = builder.Add(name + ".concat", "concat", {}, {skips[level], x});
    x = builder.AddRectified(
        name, {.in = width + width / 2, .out = width / 2, .kernel = 3}, x);
    width /= 2;
  }
  x = builder.AddConvolution("head", {.in = width, .out = classes}, x,
                             /*bias=*/true);
  builder.Add("loss", "cross_entropy", {}, {x, "masks"});
}

}  // namespace penstock
