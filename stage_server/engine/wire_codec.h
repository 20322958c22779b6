#ifndef PENSTOCK_STAGE_SERVER_ENGINE_WIRE_CODEC_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_WIRE_CODEC_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "absl/status/status.h"
#include "stage_server/engine/edge_direction.h"

namespace penstock {

// Tensors as they travel over a slow link: in fewer bytes than they have in
// memory, after WPipe's automatic precision compression (Yang et al., Group-
// based Interleaved Pipeline Parallelism, 2022). Pure functions of their
// arguments; libtorch's exceptions pass through.
//
// A number that is not finite is not finite after the way there, so that what
// looks for broken losses and gradients still finds them.

enum class WireType : uint8_t {
  // As in memory, without a head.
  kPlain = 0,
  // Rounded to nearest: three digits, the range of float32.
  kBfloat16 = 1,
  // Times a scale that is a power of two: four digits, a range of 2^40 below
  // the largest.
  kFloat16 = 2,
  // One byte a number, with a float32 scale for each block of `kFp8Block`
  // numbers, its largest over what the byte holds (as Dettmers et al., 8-bit
  // Optimizers via Block-wise Quantization, 2021, scale theirs): E4M3 for
  // values, E5M2 for gradients, whose range is wider.
  kFp8Block = 3,
};

inline constexpr int64_t kFp8Block = 128;

// What an encoded message begins with: its type, scale and number of numbers.
inline constexpr int64_t kWireHeadBytes = 16;

// Whether `type` makes numbers of `memory_type` smaller; integers stay as they
// are under every type.
bool Shrinks(WireType type, at::ScalarType memory_type);

// Of `numel` numbers, with the head. Requires: not kPlain.
int64_t EncodedBytes(WireType type, int64_t numel);

// How the scale of one edge's kFloat16 messages goes from message to message:
// down as soon as a number would not fit, up when none has come near for a
// while, or when too many small ones would vanish.
struct WireScale {
  float scale = 1;
  // Messages since it last changed.
  int unchanged = 0;

  // So many later it is doubled, if the largest number then still fits twice.
  static constexpr int kGrowthWindow = 64;
  // Of the numbers that are not 0, the share that may become 0.
  static constexpr double kMaxUnderflow = 1e-3;
};

// What the scale depends on.
struct WireRange {
  // The largest finite magnitude.
  float largest = 0;
};
WireRange RangeOf(const at::Tensor& tensor);

// The scale for a message with this range.
WireScale NextScale(WireScale before, const WireRange& range);
// The largest scale at which this range still fits twice.
float HighestScale(const WireRange& range);

// `tensor`, of any shape and strides, as bytes. With kFloat16 `scale` is moved
// first; where small numbers would vanish at any scale, the message has
// bfloat16 numbers instead, in the same number of bytes.
//   Requires: Shrinks(type, tensor.scalar_type()).
at::Tensor Encode(const at::Tensor& tensor, WireType type, Direction direction,
                  WireScale* scale);

// What `bytes` say, into `tensor`: contiguous.
//   DATA_LOSS  they are not the encoding of a tensor of this size.
absl::Status Decode(const at::Tensor& bytes, Direction direction,
                    const at::Tensor& tensor);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_WIRE_CODEC_H_
