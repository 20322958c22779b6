#ifndef PENSTOCK_SCHEDULE_VERIFIER_ACCUMULATION_ORDER_H_
#define PENSTOCK_SCHEDULE_VERIFIER_ACCUMULATION_ORDER_H_

#include <vector>

#include "schedule/verifier/subject.h"
#include "schedule/verifier/violation.h"

namespace penstock {

// Rule "accumulation_order": on each rank the weight gradients of a stage (B or
// W) for one update come in the order that the schedule declares, so that the
// sum has the same bits each time and is that of the reference: ascending or
// descending by microbatch, the first half of one before the second. Nothing
// where the order is as listed.
// Adds what it finds to `all`.
void CheckAccumulationOrder(const Subject& subject,
                            std::vector<Violation>* all);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_ACCUMULATION_ORDER_H_
