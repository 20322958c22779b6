#ifndef PENSTOCK_STAGE_SERVER_ENGINE_WIRE_CHOICE_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_WIRE_CHOICE_H_

#include <cstdint>
#include <vector>

namespace penstock {

// How the edges of a job with `wire.compress: auto` turn compression on and
// off: by whether the link holds up the rank that sends. Pure.

// What a rank saw of one of its edges in one step.
struct WireSample {
  // Of each message: how long it was on the way while the rank had nothing to
  // compute, over its bytes on the wire. What the rank computed meanwhile hid
  // that much of the way.
  std::vector<double> exposed_nanos_per_byte;
  // What the step's messages would be as they are in memory.
  int64_t plain_bytes = 0;
  // What the rank computed in the step.
  int64_t compute_nanos = 0;
};

// How long the step's messages would keep the rank waiting uncompressed, over
// what it computes: above 1 it waits longer than it works. By the median
// message, so that one whose receiver was late does not count.
double ExposedShare(const WireSample& sample);

struct WireChoice {
  bool compressed = false;
  // Steps in a row that spoke for the other choice.
  int contrary = 0;

  static constexpr double kOnAbove = 0.5;
  static constexpr double kOffBelow = 0.1;
  // One odd step changes nothing.
  static constexpr int kSteps = 3;
};

// The choice after another step.
WireChoice NextChoice(WireChoice before, const WireSample& sample);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_WIRE_CHOICE_H_
