#ifndef PENSTOCK_CHECKPOINT_EXCHANGE_HALF_PRECISION_H_
#define PENSTOCK_CHECKPOINT_EXCHANGE_HALF_PRECISION_H_

#include <bit>
#include <cmath>
#include <cstdint>

namespace penstock {

// The value of IEEE 754 binary16 bits; exact.
inline float FloatOfHalf(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1f;
  const uint32_t fraction = bits & 0x3ff;
  if (exponent == 0) {
    // Zero or subnormal: a multiple of 2^-24.
    const float value = std::ldexp(static_cast<float>(fraction), -24);
    return sign == 0 ? value : -value;
  }
  const uint32_t wide = exponent == 0x1f ? 0xff : exponent + (127 - 15);
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

// The value of bfloat16 bits: the upper half of a float32.
inline float FloatOfBFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_EXCHANGE_HALF_PRECISION_H_
