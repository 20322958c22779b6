#include "stage_server/engine/flat_layout.h"

#include <cstddef>

namespace penstock {

FlatLayout LayOut(absl::Span<const ParameterSpec> parameters) {
  FlatLayout layout;
  layout.slots.resize(parameters.size());
  for (const bool decay : {true, false}) {
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (parameters[i].decay != decay) continue;
      const int64_t size = parameters[i].num_elements();
      layout.slots[i] = {static_cast<int>(i), layout.size, size};
      layout.size +=
          (size + kFlatAlignment - 1) / kFlatAlignment * kFlatAlignment;
    }
    if (decay) layout.decay_end = layout.size;
  }
  return layout;
}

}  // namespace penstock
