#ifndef PENSTOCK_TESTS_FUZZ_RANDOM_SCHEDULE_H_
#define PENSTOCK_TESTS_FUZZ_RANDOM_SCHEDULE_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/random.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Numbers from a seed, the same on every machine.
class Draw {
 public:
  explicit Draw(uint64_t seed) : seed_(seed) {}

  // 0 to `count` - 1; 0 if count is less.
  int Below(int64_t count) {
    const uint64_t word = RandomKey(seed_, {next_++});
    return count < 1 ? 0
                     : static_cast<int>(word % static_cast<uint64_t>(count));
  }
  bool OneIn(int count) { return Below(count) == 0; }

 private:
  uint64_t seed_;
  uint64_t next_ = 0;
};

// Any schedule that can be printed, most of them unsound: every op, field,
// policy and section, with numbers that are small or at the end of their range.
Schedule RandomSchedule(uint64_t seed);

// `text` with a few changes, of bytes, of words (removed, doubled, exchanged,
// with another number) and of lines, or cut off.
std::string Mutated(absl::string_view text, uint64_t seed);

}  // namespace penstock

#endif  // PENSTOCK_TESTS_FUZZ_RANDOM_SCHEDULE_H_
