#ifndef PENSTOCK_BASE_RANDOM_H_
#define PENSTOCK_BASE_RANDOM_H_

#include <cstdint>
#include <initializer_list>

#include "absl/strings/string_view.h"

namespace penstock {

// Stateless randomness: a number is a function of what it is for, never of
// what was drawn before, so a re-run, another partition or a restart draws the
// same. Not for secrets.

// One well-mixed 64-bit word from another (the finaliser of SplitMix64,
// Steele, Lea and Flood 2014).
uint64_t MixBits(uint64_t word);

// A key from a seed and the numbers that say what is drawn, for example
// {step, microbatch, layer, site}. Order matters.
uint64_t RandomKey(uint64_t seed, std::initializer_list<uint64_t> what);

// A key part from a name, the same on every machine (FNV-1a, 64 bit).
uint64_t NameKey(absl::string_view name);

// A permutation of {0..size-1} that needs no memory: a Feistel network over
// the next even power of two, walked until the value is in range (Black and
// Rogaway 2002). Equal (key, size) give the equal permutation everywhere.
class StatelessPermutation {
 public:
  // Requires: size >= 1.
  StatelessPermutation(uint64_t key, uint64_t size);

  // Requires: index < size. About 100 ns.
  uint64_t operator()(uint64_t index) const;

 private:
  uint64_t Encrypt(uint64_t value) const;

  uint64_t key_;
  uint64_t size_;
  int half_bits_;
};

}  // namespace penstock

#endif  // PENSTOCK_BASE_RANDOM_H_
