#ifndef PENSTOCK_SCHEDULE_LOWERING_ANNOTATE_VERSIONS_H_
#define PENSTOCK_SCHEDULE_LOWERING_ANNOTATE_VERSIONS_H_

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Writes on every F, R, B, I and W of a continuous schedule the weight version
// that its stage's rule gives its microbatch. A flush, whose stages have one
// version, stays as it is. Pure; linear.
//   INVALID_ARGUMENT  a stage without a rule, or one out of range; an F whose
//                     two microbatches read different versions; a microbatch
//                     of the period whose rule is still cut off at version 0,
//                     so that repetitions would not be alike.
absl::StatusOr<Schedule> AnnotateVersions(Schedule schedule);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_LOWERING_ANNOTATE_VERSIONS_H_
