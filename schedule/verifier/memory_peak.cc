#include "schedule/verifier/memory_peak.h"

#include <optional>

#include "absl/status/statusor.h"
#include "schedule/ir/unroll.h"
#include "schedule/verifier/memory_walk.h"
#include "schedule/verifier/periods.h"
#include "schedule/verifier/subject.h"

namespace penstock {

std::vector<RankPeak> PeakMemory(const Schedule& schedule,
                                 const std::vector<StageBytes>& sizes) {
  const absl::StatusOr<Schedule> run =
      Unroll(schedule, PeriodsToVerify(schedule));
  if (!run.ok()) return {};
  return WalkMemory(Subject(*run, std::nullopt, /*lowered=*/true), sizes);
}

}  // namespace penstock
