#ifndef PENSTOCK_STAGE_SERVER_ENGINE_EVALUATION_LIST_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_EVALUATION_LIST_H_

#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// What one rank does to evaluate so many microbatches, numbered from 0: the
// forwards of a step, or of a run, with their sends and receives, in the order
// in which they stand there. Forwards wait for forwards alone, so what ends
// with the rest of the list ends without it. Which rank has a microbatch, the
// schedule says: in a step of m that of microbatch b is that of b mod m. No
// versions, no pairs.
//   INVALID_ARGUMENT  as RunList::Make.
// Requires: the rank's list has been checked (list_check.h).
absl::StatusOr<std::vector<Action>> EvaluationList(const Schedule& schedule,
                                                   RankId rank,
                                                   int num_microbatches);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_EVALUATION_LIST_H_
