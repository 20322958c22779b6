#ifndef PENSTOCK_MODELS_LAYERS_STATELESS_FILL_H_
#define PENSTOCK_MODELS_LAYERS_STATELESS_FILL_H_

#include <cstdint>

#include "absl/types/span.h"

namespace penstock {

// Random numbers for whole tensors: element i is a function of (key, i), so
// neither the number of threads, nor what else was drawn, nor which process
// draws matters. Not libtorch's generators, because their bits depend on the
// processor's vendor (MKL's streams on Intel, Mersenne Twister elsewhere).

// Independent draws from the normal distribution with mean 0 (Box and Muller
// 1958, in double precision).
void FillNormal(uint64_t key, double deviation, absl::Span<float> out);

// Independent draws from the uniform distribution over [-bound, bound).
void FillUniform(uint64_t key, double bound, absl::Span<float> out);

// False with probability `drop` (rounded down to a multiple of 2^-32), else
// true. About 1 ns an element.
// Requires: 0 <= drop < 1.
void FillKeepMask(uint64_t key, double drop, absl::Span<bool> out);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_LAYERS_STATELESS_FILL_H_
