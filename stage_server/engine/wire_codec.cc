#include "stage_server/engine/wire_codec.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

constexpr float kLargestFloat16 = 65504.0f;
constexpr float kLargestE4M3 = 448.0f;
constexpr float kLargestE5M2 = 57344.0f;
// Its reciprocal is a float32, too.
constexpr float kSmallestScale = 0x1p-126f;
constexpr float kLargestScale = 0x1p40f;

struct Head {
  uint8_t type;
  uint8_t unused[3];
  float scale;
  int64_t numel;
};
static_assert(sizeof(Head) == kWireHeadBytes);

void WriteHead(WireType type, float scale, int64_t numel,
               const at::Tensor& bytes) {
  const Head head = {static_cast<uint8_t>(type), {}, scale, numel};
  std::memcpy(bytes.mutable_data_ptr(), &head, sizeof head);
}

int64_t NumBlocks(int64_t numel) { return (numel + kFp8Block - 1) / kFp8Block; }

// Part of `bytes` as numbers of another type.
at::Tensor Part(const at::Tensor& bytes, int64_t begin, int64_t size,
                at::ScalarType type) {
  return bytes.narrow(0, begin, size).view(type);
}
at::Tensor Numbers16(const at::Tensor& bytes, int64_t numel,
                     at::ScalarType type) {
  return Part(bytes, kWireHeadBytes, 2 * numel, type);
}
at::Tensor BlockScales(const at::Tensor& bytes, int64_t numel) {
  return Part(bytes, kWireHeadBytes, 4 * NumBlocks(numel), at::kFloat);
}
at::Tensor Numbers8(const at::Tensor& bytes, int64_t numel,
                    Direction direction) {
  return Part(
      bytes, kWireHeadBytes + 4 * NumBlocks(numel), numel,
      direction == Direction::kForward ? at::kFloat8_e4m3fn : at::kFloat8_e5m2);
}

// [numbers] -> [blocks, kFp8Block], the last filled up with zeros.
at::Tensor InBlocks(const at::Tensor& flat) {
  const int64_t missing = NumBlocks(flat.numel()) * kFp8Block - flat.numel();
  return (missing == 0 ? flat : at::constant_pad_nd(flat, {0, missing}))
      .view({-1, kFp8Block});
}

void EncodeFp8(const at::Tensor& flat, Direction direction,
               const at::Tensor& bytes) {
  const at::Tensor blocks = InBlocks(flat.to(at::kFloat));
  at::Tensor sizes = blocks.abs();
  sizes = at::where(sizes.isfinite(), sizes, at::zeros({}, sizes.options()));
  const float largest =
      direction == Direction::kForward ? kLargestE4M3 : kLargestE5M2;
  const at::Tensor scales =
      sizes.amax(1, /*keepdim=*/true).div(largest).clamp_min(kSmallestScale);
  BlockScales(bytes, flat.numel()).copy_(scales.flatten());
  Numbers8(bytes, flat.numel(), direction)
      .copy_(blocks.div(scales).flatten().narrow(0, 0, flat.numel()));
}

void DecodeFp8(const at::Tensor& bytes, Direction direction,
               const at::Tensor& flat) {
  const at::Tensor numbers =
      Numbers8(bytes, flat.numel(), direction).to(at::kFloat);
  flat.copy_(InBlocks(numbers)
                 .mul(BlockScales(bytes, flat.numel()).unsqueeze(1))
                 .flatten()
                 .narrow(0, 0, flat.numel()));
}

// Whether more numbers than may vanish at this scale.
bool Vanishes(const at::Tensor& flat, const at::Tensor& encoded) {
  const int64_t before = flat.count_nonzero().item<int64_t>();
  const int64_t after = encoded.count_nonzero().item<int64_t>();
  return static_cast<double>(before - after) >
         WireScale::kMaxUnderflow * static_cast<double>(before);
}

// The type that the numbers have in the end.
WireType EncodeFloat16(const at::Tensor& flat, WireScale* scale,
                       const at::Tensor& bytes) {
  const WireRange range = RangeOf(flat);
  *scale = NextScale(*scale, range);
  const at::Tensor numbers = Numbers16(bytes, flat.numel(), at::kHalf);
  numbers.copy_(flat.mul(scale->scale));
  if (!Vanishes(flat, numbers)) return WireType::kFloat16;
  if (const float highest = HighestScale(range); highest > scale->scale) {
    *scale = {highest, 0};
    numbers.copy_(flat.mul(highest));
    if (!Vanishes(flat, numbers)) return WireType::kFloat16;
  }
  Numbers16(bytes, flat.numel(), at::kBFloat16).copy_(flat);
  return WireType::kBfloat16;
}

}  // namespace

bool Shrinks(WireType type, at::ScalarType memory_type) {
  if (type == WireType::kPlain) return false;
  if (memory_type == at::kFloat) return true;
  return type == WireType::kFp8Block &&
         (memory_type == at::kBFloat16 || memory_type == at::kHalf);
}

int64_t EncodedBytes(WireType type, int64_t numel) {
  return kWireHeadBytes + (type == WireType::kFp8Block
                               ? 4 * NumBlocks(numel) + numel
                               : 2 * numel);
}

WireRange RangeOf(const at::Tensor& tensor) {
  if (tensor.numel() == 0) return {};
  at::Tensor sizes = tensor.abs();
  float largest = sizes.amax().item<float>();
  if (!std::isfinite(largest)) {
    sizes = at::where(sizes.isfinite(), sizes, at::zeros({}, sizes.options()));
    largest = sizes.amax().item<float>();
  }
  return {largest};
}

float HighestScale(const WireRange& range) {
  if (range.largest == 0) return 1;
  const float fits = kLargestFloat16 / 2 / range.largest;
  if (!(fits < kLargestScale)) return kLargestScale;
  return std::max(std::exp2(std::floor(std::log2(fits))), kSmallestScale);
}

WireScale NextScale(WireScale before, const WireRange& range) {
  const float highest = HighestScale(range);
  if (range.largest * before.scale > kLargestFloat16) return {highest, 0};
  const bool may_grow = range.largest > 0 && 2 * before.scale <= highest;
  if (may_grow && before.unchanged >= WireScale::kGrowthWindow) {
    return {2 * before.scale, 0};
  }
  return {before.scale, before.unchanged + 1};
}

at::Tensor Encode(const at::Tensor& tensor, WireType type, Direction direction,
                  WireScale* scale) {
  const at::Tensor flat = tensor.reshape({-1});
  const at::Tensor bytes = at::empty({EncodedBytes(type, flat.numel())},
                                     tensor.options().dtype(at::kByte));
  if (flat.numel() > 0) {
    switch (type) {
      case WireType::kFp8Block:
        EncodeFp8(flat, direction, bytes);
        break;
      case WireType::kFloat16:
        type = EncodeFloat16(flat, scale, bytes);
        break;
      default:
        Numbers16(bytes, flat.numel(), at::kBFloat16).copy_(flat);
        break;
    }
  }
  WriteHead(type, scale->scale, flat.numel(), bytes);
  return bytes;
}

absl::Status Decode(const at::Tensor& bytes, Direction direction,
                    const at::Tensor& tensor) {
  const int64_t numel = tensor.numel();
  Head head = {};
  if (bytes.numel() >= kWireHeadBytes) {
    std::memcpy(&head, bytes.const_data_ptr(), sizeof head);
  }
  const auto type = static_cast<WireType>(head.type);
  const bool known = type == WireType::kBfloat16 ||
                     type == WireType::kFloat16 || type == WireType::kFp8Block;
  if (!known || head.numel != numel ||
      bytes.numel() != EncodedBytes(type, numel)) {
    return absl::DataLossError(absl::StrCat(
        "an encoded message of ", bytes.numel(), " bytes says that it has ",
        head.numel, " numbers of type ", head.type, ", want ", numel));
  }
  if (numel == 0) return absl::OkStatus();
  const at::Tensor flat = tensor.view({-1});
  switch (type) {
    case WireType::kFp8Block:
      DecodeFp8(bytes, direction, flat);
      break;
    case WireType::kFloat16:
      flat.copy_(Numbers16(bytes, numel, at::kHalf));
      flat.div_(head.scale);
      break;
    default:
      flat.copy_(Numbers16(bytes, numel, at::kBFloat16));
      break;
  }
  return absl::OkStatus();
}

}  // namespace penstock
