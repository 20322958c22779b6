#ifndef PENSTOCK_SCHEDULE_VERIFIER_MEMORY_BOUND_H_
#define PENSTOCK_SCHEDULE_VERIFIER_MEMORY_BOUND_H_

#include <cstdint>
#include <vector>

#include "schedule/verifier/memory_peak.h"
#include "schedule/verifier/subject.h"
#include "schedule/verifier/violation.h"

namespace penstock {

// What each rank may hold at a time.
struct MemoryLimits {
  // Microbatches in flight, by rank; one value stands for every rank, none for
  // no limit.
  std::vector<double> in_flight;
  // Bytes, alike, where a stage takes `sizes` (by stage).
  std::vector<int64_t> bytes;
  std::vector<StageBytes> sizes;
};

// Rule "memory_bound": no rank holds more than its limits at any point of its
// list (memory_peak.h says what it holds). Tells the point where it is most.
// Adds what it finds to `all`.
void CheckMemoryBound(const Subject& subject, const MemoryLimits& limits,
                      std::vector<Violation>* all);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_MEMORY_BOUND_H_
