#include "schedule/verifier/memory_peak.h"

#include <optional>

#include "schedule/verifier/memory_walk.h"
#include "schedule/verifier/run.h"
#include "schedule/verifier/subject.h"

namespace penstock {

std::vector<RankPeak> PeakMemory(const Schedule& schedule,
                                 const std::vector<StageBytes>& sizes) {
  const Schedule run = RunOf(schedule, PeriodsToVerify(schedule));
  return WalkMemory(Subject(run, std::nullopt, /*lowered=*/true), sizes);
}

}  // namespace penstock
