#ifndef PENSTOCK_STAGE_SERVER_ENGINE_WIRE_CHOICE_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_WIRE_CHOICE_H_

#include <cstdint>
#include <vector>

namespace penstock {

// How the edges of a job with `wire.compress: auto` turn compression on and
// off: by whether the link holds up the rank that receives. The sender cannot
// see that: its messages leave for the buffers of its own kernel. Pure.

// One message, by one clock.
struct WireMessage {
  int64_t wire_bytes = 0;
  // When its sender had it ready ...
  int64_t posted_nanos = 0;
  // ... its receiver had nothing else to do ...
  int64_t asked_nanos = 0;
  // ... and its receiver had it, or, if that was before, `asked_nanos`.
  int64_t came_nanos = 0;
};

// What a rank saw in one step of one of the channels that it receives on.
struct WireSample {
  std::vector<WireMessage> messages;
  // What they would be as they are in memory.
  int64_t plain_bytes = 0;
  // What the rank computed in the step.
  int64_t compute_nanos = 0;
  // How long an empty message is on its way: no size makes it shorter.
  int64_t latency_nanos = 0;
};

// How long the rank waited for bytes to come through, over what it computed.
double ExposedShare(const WireSample& sample);

// How long the link would be busy with the messages uncompressed, over what the
// rank computed. At the mean speed of those that the rank waited for, each from
// when the one before it was through: some links let the first bytes after a
// pause pass at once. If it waited for none, at that of the fastest, since what
// it looked for late may have been there for long.
double LinkShare(const WireSample& sample);

struct WireChoice {
  bool compressed = false;
  // Steps in a row that spoke for the other choice.
  int contrary = 0;

  // Of ExposedShare: on above.
  static constexpr double kOnAbove = 0.15;
  // Of LinkShare: off below. A link that is never busy for longer than this
  // exposes less than `kOnAbove`, so that it does not come on again.
  static constexpr double kOffBelow = 0.1;
  // One odd step changes nothing.
  static constexpr int kSteps = 3;
};

// The choice after another step.
WireChoice NextChoice(WireChoice before, const WireSample& sample);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_WIRE_CHOICE_H_
