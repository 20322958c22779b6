#ifndef PENSTOCK_SCHEDULE_VERIFIER_UPDATE_COMPLETE_H_
#define PENSTOCK_SCHEDULE_VERIFIER_UPDATE_COMPLETE_H_

#include <vector>

#include "schedule/verifier/subject.h"
#include "schedule/verifier/violation.h"

namespace penstock {

// Rule "update_complete", of lowered continuous schedules: each stage on each
// of its ranks makes versions 1, 2, 3, ... up to that of the run's last
// microbatch, and the sum for each (ended by its G if the stage is on several
// ranks, else by its U) is of exactly the rank's microbatches that count for
// it; U comes after its G. (In a flush every microbatch counts for the one
// update, which the rules "complete" and "order" see to.)
// Adds what it finds to `all`.
void CheckUpdateComplete(const Subject& subject, std::vector<Violation>* all);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_UPDATE_COMPLETE_H_
