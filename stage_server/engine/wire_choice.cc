#include "stage_server/engine/wire_choice.h"

#include <algorithm>
#include <limits>

namespace penstock {
namespace {

// Over what the rank computed; 0 of a step that says nothing.
double Share(double nanos, const WireSample& sample) {
  if (sample.messages.empty() || sample.compute_nanos <= 0) return 0;
  return nanos / static_cast<double>(sample.compute_nanos);
}

}  // namespace

double ExposedShare(const WireSample& sample) {
  double exposed = 0;
  for (const WireMessage& message : sample.messages) {
    const int64_t from = std::max(message.asked_nanos,
                                  message.posted_nanos + sample.latency_nanos);
    exposed +=
        static_cast<double>(std::max<int64_t>(0, message.came_nanos - from));
  }
  return Share(exposed, sample);
}

double LinkShare(const WireSample& sample) {
  double nanos_per_byte = std::numeric_limits<double>::max();
  for (const WireMessage& message : sample.messages) {
    const int64_t on_the_way = std::max<int64_t>(
        0, message.came_nanos - message.posted_nanos - sample.latency_nanos);
    nanos_per_byte =
        std::min(nanos_per_byte, static_cast<double>(on_the_way) /
                                     static_cast<double>(message.wire_bytes));
  }
  return Share(nanos_per_byte * static_cast<double>(sample.plain_bytes),
               sample);
}

WireChoice NextChoice(WireChoice before, const WireSample& sample) {
  if (sample.messages.empty()) return before;
  const bool contrary = before.compressed
                            ? LinkShare(sample) < WireChoice::kOffBelow
                            : ExposedShare(sample) > WireChoice::kOnAbove;
  if (!contrary) return {before.compressed, 0};
  if (before.contrary + 1 < WireChoice::kSteps) {
    return {before.compressed, before.contrary + 1};
  }
  return {!before.compressed, 0};
}

}  // namespace penstock
