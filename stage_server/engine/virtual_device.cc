#include "stage_server/engine/virtual_device.h"

#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <cmath>

#include "base/clock.h"

namespace penstock {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
// A thread wakes later than it asked to, by about so much on an idle machine;
// the rest is spent watching the clock, unless that would be more than a 50th
// of the time: many devices may share a core.
constexpr int64_t kWakeNanos = 60'000;
constexpr int64_t kWatchedPart = 50;

}  // namespace

VirtualDevice::VirtualDevice() {
  // The kernel may otherwise put a wake-up off by 50 us to join it with others.
  prctl(PR_SET_TIMERSLACK, 1UL);
}

void VirtualDevice::Occupy(double seconds) {
  const int64_t start = MonotonicNanos();
  const int64_t nanos = std::llround(seconds * kNanosPerSecond);
  const int64_t blocked = nanos - std::min(kWakeNanos, nanos / kWatchedPart);
  if (blocked > 0) {
    timespec rest = {blocked / kNanosPerSecond, blocked % kNanosPerSecond};
    // Goes on with what a signal left.
    while (nanosleep(&rest, &rest) != 0) {
    }
  }
  while (MonotonicNanos() - start < nanos) {
  }
}

}  // namespace penstock
