#include "base/random.h"

namespace penstock {
namespace {

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
constexpr int kRounds = 6;

}  // namespace

uint64_t MixBits(uint64_t word) {
  word ^= word >> 30;
  word *= 0xbf58476d1ce4e5b9;
  word ^= word >> 27;
  word *= 0x94d049bb133111eb;
  return word ^ (word >> 31);
}

uint64_t RandomKey(uint64_t seed, std::initializer_list<uint64_t> what) {
  uint64_t key = MixBits(seed + kGolden);
  for (const uint64_t part : what) {
    key = MixBits(key + kGolden + MixBits(part + kGolden));
  }
  return key;
}

uint64_t NameKey(absl::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return hash;
}

StatelessPermutation::StatelessPermutation(uint64_t key, uint64_t size)
    : key_(key), size_(size), half_bits_(1) {
  while (half_bits_ < 32 && (uint64_t{1} << (2 * half_bits_)) < size) {
    ++half_bits_;
  }
}

uint64_t StatelessPermutation::Encrypt(uint64_t value) const {
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t left = value >> half_bits_;
  uint64_t right = value & mask;
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t mixed =
        left ^ (RandomKey(key_, {static_cast<uint64_t>(round), right}) & mask);
    left = right;
    right = mixed;
  }
  return (left << half_bits_) | right;
}

uint64_t StatelessPermutation::operator()(uint64_t index) const {
  uint64_t value = Encrypt(index);
  while (value >= size_) value = Encrypt(value);
  return value;
}

}  // namespace penstock
