#ifndef PENSTOCK_STAGE_SERVER_ENGINE_FLAT_LAYOUT_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_FLAT_LAYOUT_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "models/graph/graph.h"

namespace penstock {

// Elements: 64 bytes of bfloat16 and two times that of float32, so a parameter
// begins at a multiple of 64 bytes (Layer::kAlignmentBytes) in either.
inline constexpr int64_t kFlatAlignment = 32;

// Where one parameter lies in a stage's flat buffers; in elements, the same in
// each of them.
struct FlatSlot {
  // Index of the parameter in what was laid out.
  int parameter = 0;
  int64_t offset = 0;
  int64_t size = 0;
};

struct FlatLayout {
  // By parameter.
  std::vector<FlatSlot> slots;
  // Weight decay applies to [0, decay_end) and not to [decay_end, size), so
  // that an update is two runs over memory.
  int64_t decay_end = 0;
  // Gaps included; they hold zeros, and updates keep them so.
  int64_t size = 0;
};

// Lays parameters out one after the other, those with decay first; otherwise
// in the order given.
FlatLayout LayOut(absl::Span<const ParameterSpec> parameters);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_FLAT_LAYOUT_H_
