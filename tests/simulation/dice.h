#ifndef PENSTOCK_TESTS_SIMULATION_DICE_H_
#define PENSTOCK_TESTS_SIMULATION_DICE_H_

#include <cstdint>
#include <initializer_list>

#include "absl/time/time.h"
#include "base/random.h"

namespace penstock::simulation {

// A stream of random numbers that a seed and what it is for fix, the same on
// every machine. Each thing that is simulated has its own, so that what one of
// them draws does not change what another one does.
class Dice {
 public:
  explicit Dice(uint64_t seed, std::initializer_list<uint64_t> what = {})
      : state_(RandomKey(seed, what)) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    return MixBits(state_);
  }
  // 0 to `count` - 1. Requires: count >= 1.
  int Below(int count) {
    return static_cast<int>(Next() % static_cast<uint64_t>(count));
  }
  // True once in `count` times. Requires: count >= 1.
  bool OneIn(int count) { return Below(count) == 0; }
  // Whole milliseconds, both ends included.
  absl::Duration Between(absl::Duration least, absl::Duration most) {
    const auto span = absl::ToInt64Milliseconds(most - least);
    return least + absl::Milliseconds(Below(static_cast<int>(span) + 1));
  }

 private:
  uint64_t state_;
};

}  // namespace penstock::simulation

#endif  // PENSTOCK_TESTS_SIMULATION_DICE_H_
