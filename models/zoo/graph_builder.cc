#include "models/zoo/graph_builder.h"

#include <utility>

namespace penstock {
namespace {

// Of batch norm: the usual one.
constexpr double kMomentum = 0.1;

}  // namespace

std::string GraphBuilder::Add(const std::string& name, const std::string& kind,
                              Attributes attributes,
                              std::vector<std::string> inputs) {
  graph_->layers.push_back({.name = name,
                            .kind = kind,
                            .attributes = std::move(attributes),
                            .inputs = std::move(inputs)});
  return name;
}

std::string GraphBuilder::AddConvolution(const std::string& name,
                                         const Convolution& shape,
                                         const std::string& input, bool bias) {
  return Add(name, "convolution",
             {{"in", shape.in},
              {"out", shape.out},
              {"kernel", shape.kernel},
              {"stride", shape.stride},
              {"padding", (shape.kernel - 1) / 2},
              {"groups", 1},
              {"bias", bias ? 1 : 0}},
             {input});
}

std::string GraphBuilder::AddNormed(const std::string& name,
                                    const Convolution& shape,
                                    const std::string& input) {
  return Add(name + ".norm", "batch_norm",
             {{"channels", shape.out}, {"momentum", kMomentum}},
             {AddConvolution(name + ".conv", shape, input)});
}

std::string GraphBuilder::AddRectified(const std::string& name,
                                       const Convolution& shape,
                                       const std::string& input) {
  return Add(name + ".relu", "relu", {}, {AddNormed(name, shape, input)});
}

}  // namespace penstock
