#include "models/layers/stateless_fill.h"

#include <cmath>
#include <cstddef>

#include "base/random.h"

namespace penstock {
namespace {

// The increment of SplitMix64 (Steele, Lea and Flood 2014): consecutive
// counters differ in many bits before they are mixed.
constexpr uint64_t kIncrement = 0x9e3779b97f4a7c15;

constexpr double kTwoPi = 6.283185307179586;

uint64_t Word(uint64_t key, uint64_t counter) {
  return MixBits(key + (counter + 1) * kIncrement);
}

// In [0, 1), 53 bits.
double Unit(uint64_t word) { return static_cast<double>(word >> 11) * 0x1p-53; }

}  // namespace

void FillNormal(uint64_t key, double deviation, absl::Span<float> out) {
  // Each pair of words gives a pair of numbers.
  for (size_t i = 0; i < out.size(); i += 2) {
    // 1 - u is in (0, 1], so its logarithm is finite.
    const double radius =
        deviation * std::sqrt(-2.0 * std::log(1.0 - Unit(Word(key, i))));
    const double angle = kTwoPi * Unit(Word(key, i + 1));
    out[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < out.size()) {
      out[i + 1] = static_cast<float>(radius * std::sin(angle));
    }
  }
}

void FillUniform(uint64_t key, double bound, absl::Span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(bound * (2.0 * Unit(Word(key, i)) - 1.0));
  }
}

void FillKeepMask(uint64_t key, double drop, absl::Span<bool> out) {
  // Each word decides two elements, by its halves.
  const auto threshold = static_cast<uint32_t>(drop * 0x1p32);
  for (size_t i = 0; i < out.size(); i += 2) {
    const uint64_t word = Word(key, i / 2);
    out[i] = static_cast<uint32_t>(word) >= threshold;
    if (i + 1 < out.size()) {
      out[i + 1] = static_cast<uint32_t>(word >> 32) >= threshold;
    }
  }
}

}  // namespace penstock
