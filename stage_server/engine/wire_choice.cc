#include "stage_server/engine/wire_choice.h"

#include <algorithm>
#include <cstddef>

namespace penstock {

double ExposedShare(const WireSample& sample) {
  std::vector<double> sorted = sample.exposed_nanos_per_byte;
  if (sorted.empty() || sample.compute_nanos <= 0) return 0;
  const auto middle =
      sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle * static_cast<double>(sample.plain_bytes) /
         static_cast<double>(sample.compute_nanos);
}

WireChoice NextChoice(WireChoice before, const WireSample& sample) {
  const double share = ExposedShare(sample);
  const bool contrary = before.compressed ? share < WireChoice::kOffBelow
                                          : share > WireChoice::kOnAbove;
  if (!contrary) return {before.compressed, 0};
  if (before.contrary + 1 < WireChoice::kSteps) {
    return {before.compressed, before.contrary + 1};
  }
  return {!before.compressed, 0};
}

}  // namespace penstock
