#ifndef PENSTOCK_BASE_CLOCK_H_
#define PENSTOCK_BASE_CLOCK_H_

#include <cstdint>

#include "absl/time/time.h"

namespace penstock {

// Real time, for mains to hand on; pure code takes `now` as an argument.
// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall time, for people and for the store.
  virtual absl::Time Now() const = 0;
};

// The machine's clock. Lives for the whole process.
const Clock& SystemClock();

// Nanoseconds of a clock that never steps back; only differences mean
// anything, and only within one process. About 25 ns a call.
int64_t MonotonicNanos();

}  // namespace penstock

#endif  // PENSTOCK_BASE_CLOCK_H_
