#include "schedule/verifier/memory_bound.h"

#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "schedule/verifier/memory_walk.h"

namespace penstock {
namespace {

template <typename Value>
std::optional<Value> LimitOf(const std::vector<Value>& limits, RankId rank) {
  if (limits.size() == 1) return limits[0];
  const size_t index = rank.value();
  return index < limits.size() ? std::optional(limits[index]) : std::nullopt;
}

// "2F7", or what to say where nothing runs.
std::string At(const Subject& subject, RankId rank, int position) {
  return position < 0 ? "its start"
                      : subject.TextOf(subject.actions(rank)[position]);
}

}  // namespace

void CheckMemoryBound(const Subject& subject, const MemoryLimits& limits,
                      std::vector<Violation>* all) {
  if (limits.in_flight.empty() && limits.bytes.empty()) return;
  RuleViolations found("memory_bound", all);
  const std::vector<RankPeak> peaks = WalkMemory(subject, limits.sizes);
  for (size_t i = 0; i < peaks.size(); ++i) {
    const RankId rank = subject.ranks()[i];
    const RankPeak& peak = peaks[i];
    const auto in_flight = LimitOf(limits.in_flight, rank);
    if (in_flight && peak.in_flight > *in_flight) {
      found.Add(rank, peak.in_flight_position,
                absl::StrCat(peak.in_flight, " microbatches are in flight at ",
                             At(subject, rank, peak.in_flight_position),
                             ", limit ", *in_flight));
    }
    const auto bytes = LimitOf(limits.bytes, rank);
    if (bytes && peak.bytes > *bytes) {
      found.Add(rank, peak.bytes_position,
                absl::StrCat("needs ", peak.bytes, " bytes at ",
                             At(subject, rank, peak.bytes_position), ", limit ",
                             *bytes));
    }
  }
}

}  // namespace penstock
