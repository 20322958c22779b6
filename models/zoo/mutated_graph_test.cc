// Graphs of the zoo, damaged at random: each is either sound or refused with a
// reason; none ends the process.

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "models/graph/layer_kinds.h"
#include "models/zoo/zoo.h"

namespace penstock {
namespace {

constexpr int kMutants = 400;

// Draws that follow from a key.
class Draws {
 public:
  explicit Draws(uint64_t key) : key_(key) {}

  // In 0..below-1. Requires: below >= 1.
  size_t Below(size_t below) { return RandomKey(key_, {count_++}) % below; }

 private:
  const uint64_t key_;
  uint64_t count_ = 0;
};

void ChangeAttribute(Draws& draws, LayerSpec* layer) {
  if (layer->attributes.empty()) return;
  const auto attribute = std::next(
      layer->attributes.begin(),
      static_cast<std::ptrdiff_t>(draws.Below(layer->attributes.size())));
  const double values[] = {0,   -1,  1,     1.5,     7,
                           1e9, NAN, 1e300, 1 << 20, attribute->second + 1};
  attribute->second = values[draws.Below(std::size(values))];
}

void ChangeInput(Draws& draws, Graph* graph, LayerSpec* layer) {
  std::vector<std::string> names = {"nothing", ""};
  for (const auto& [name, shape] : graph->inputs) names.push_back(name);
  for (const LayerSpec& other : graph->layers) names.push_back(other.name);
  const std::string& name = names[draws.Below(names.size())];
  if (layer->inputs.empty() || draws.Below(4) == 0) {
    layer->inputs.push_back(name);
  } else {
    layer->inputs[draws.Below(layer->inputs.size())] = name;
  }
}

void Mutate(Draws& draws, Graph* graph) {
  std::vector<LayerSpec>& layers = graph->layers;
  if (layers.empty()) return;
  LayerSpec& layer = layers[draws.Below(layers.size())];
  const LayerSpec other = layers[draws.Below(layers.size())];
  switch (draws.Below(8)) {
    case 0:
      ChangeAttribute(draws, &layer);
      break;
    case 1:
      ChangeInput(draws, graph, &layer);
      break;
    case 2:
      layer.name = other.name;
      break;
    case 3:
      layer.kind = other.kind;
      break;
    case 4:
      std::swap(layer, layers[draws.Below(layers.size())]);
      break;
    case 5:
      layers.erase(layers.begin() +
                   static_cast<std::ptrdiff_t>(draws.Below(layers.size())));
      break;
    case 6:
      layers.insert(layers.begin() +
                        static_cast<std::ptrdiff_t>(draws.Below(layers.size())),
                    other);
      break;
    case 7: {
      TensorShape& input = graph->inputs.begin()->second;
      if (!input.shape.empty()) {
        input.shape[draws.Below(input.shape.size())] =
            static_cast<int64_t>(draws.Below(5)) - 1;
      }
      break;
    }
  }
}

class MutatedGraphTest : public ::testing::TestWithParam<std::string> {};

TEST_P(MutatedGraphTest, IsSoundOrRefusedWithAReason) {
  ModelRequest request = {.preset = GetParam(), .microbatch_size = 2};
  for (const PresetInfo& preset : Presets()) {
    if (preset.name == GetParam()) {
      request.sequence_length = preset.default_sequence_length;
    }
  }
  const auto whole = MakeModel(request);
  ASSERT_TRUE(whole.ok()) << whole.status();
  int refused = 0;
  for (uint64_t mutant = 0; mutant < kMutants; ++mutant) {
    Graph graph = *whole;
    Draws draws(RandomKey(mutant, {NameKey(GetParam())}));
    const size_t changes = 1 + draws.Below(3);
    for (size_t i = 0; i < changes; ++i) Mutate(draws, &graph);
    const absl::Status status = CheckGraph(graph);
    if (status.ok()) {
      // Sound for everything that is asked of a graph later.
      EXPECT_EQ(InferShapes(graph)->size(),
                graph.inputs.size() + graph.layers.size());
      EXPECT_TRUE(ParameterCounts(graph).ok());
      continue;
    }
    ++refused;
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_GT(status.message().size(), 10u);
  }
  EXPECT_GT(refused, kMutants / 4);
}

INSTANTIATE_TEST_SUITE_P(Presets, MutatedGraphTest,
                         ::testing::Values("gpt-nano", "llama-nano", "mlp",
                                           "cnn", "unet", "inception",
                                           "two-tower", "seq2seq"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace penstock
