#ifndef PENSTOCK_MODELS_ZOO_GRAPH_BUILDER_H_
#define PENSTOCK_MODELS_ZOO_GRAPH_BUILDER_H_

#include <map>
#include <string>
#include <vector>

#include "models/graph/graph.h"

namespace penstock {

// Appends layers to a graph. Each call gives the name of what it made, to be
// the input of the next.
class GraphBuilder {
 public:
  using Attributes = std::map<std::string, double>;

  explicit GraphBuilder(Graph* graph) : graph_(graph) {}

  std::string Add(const std::string& name, const std::string& kind,
                  Attributes attributes, std::vector<std::string> inputs);

  // Without bias; padded so that a stride of 1 keeps the size. `kernel` is odd.
  struct Convolution {
    double in = 0;
    double out = 0;
    double kernel = 1;
    double stride = 1;
  };
  std::string AddConvolution(const std::string& name, const Convolution& shape,
                             const std::string& input, bool bias = false);
  // "<name>.conv", "<name>.norm".
  std::string AddNormed(const std::string& name, const Convolution& shape,
                        const std::string& input);
  // And "<name>.relu".
  std::string AddRectified(const std::string& name, const Convolution& shape,
                           const std::string& input);

 private:
  Graph* const graph_;
};

}  // namespace penstock

#endif  // PENSTOCK_MODELS_ZOO_GRAPH_BUILDER_H_
