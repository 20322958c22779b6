#ifndef PENSTOCK_SCHEDULE_VERIFIER_STALENESS_H_
#define PENSTOCK_SCHEDULE_VERIFIER_STALENESS_H_

#include <vector>

#include "schedule/verifier/subject.h"
#include "schedule/verifier/violation.h"

namespace penstock {

// Rule "staleness", of continuous schedules: the version rules are those of the
// policy's update equation, and every version that an action names is that of
// its stage's rule. With p stages, m microbatches per update, L the delay, N
// ranks of which R_s hold stage s:
//
//   stash          m = R_s, L = floor((N - 1 - sum of R_i, i < s) / R_s), one
//                  more if it likes where R_s > 1 (Narayanan et al., PipeDream,
//                  2019, section 3.3; without replicas p - 1 - s)
//   vertical       one rule for all; L = ceil((p - 1) / m)
//   double_buffer  one rule for all; L = 1, and m >= p - 1 (PipeDream-2BW)
//   grouped        one m for all, w pipelines of p = N / w ranks, each with
//                  m / w microbatches, m / w >= p - 1; v groups of p stages
//                  each, with L = max(0, ceil((v - 1 - 2 c + (p - 1) w / m) /
//                  v) for group c (WPipe)
// Adds what it finds to `all`.
void CheckStaleness(const Subject& subject, std::vector<Violation>* all);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_STALENESS_H_
