#include "models/graph/graph.h"

namespace penstock {

int64_t ParameterSpec::num_elements() const {
  int64_t elements = 1;
  for (const int64_t size : shape) elements *= size;
  return elements;
}

}  // namespace penstock
