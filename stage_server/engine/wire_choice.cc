#include "stage_server/engine/wire_choice.h"

#include <algorithm>
#include <limits>

namespace penstock {
namespace {

// What is there already is found sooner.
constexpr int64_t kWaitedNanos = 50'000;

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
  double waited_nanos = 0;
  double waited_bytes = 0;
  double fastest = std::numeric_limits<double>::max();
  int64_t previous = std::numeric_limits<int64_t>::min();
  for (const WireMessage& message : sample.messages) {
    const auto bytes = static_cast<double>(message.wire_bytes);
    const int64_t sent = message.posted_nanos + sample.latency_nanos;
    const auto nanos_after = [&](int64_t start) {
      return static_cast<double>(
          std::max<int64_t>(0, message.came_nanos - start));
    };
    fastest = std::min(fastest, nanos_after(sent) / bytes);
    if (message.came_nanos - message.asked_nanos >= kWaitedNanos) {
      waited_nanos += nanos_after(std::max(sent, previous));
      waited_bytes += bytes;
    }
    previous = message.came_nanos;
  }
  const double nanos_per_byte =
      waited_bytes > 0 ? waited_nanos / waited_bytes : fastest;
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
