#ifndef PENSTOCK_SCHEDULE_LOWERING_INSERT_RECOMPUTE_H_
#define PENSTOCK_SCHEDULE_LOWERING_INSERT_RECOMPUTE_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Whose forwards are run again, with recording, before their backward, and
// save their input only until then (Chen et al., Training Deep Nets with
// Sublinear Memory Cost, 2016; the words are GPipe's).
struct RecomputePolicy {
  enum class Kind {
    kNever,
    // All microbatches of a step but the last.
    kExceptLast,
    kAlways,
    // All microbatches of `stages`.
    kStages,
  };
  Kind kind = Kind::kNever;
  std::vector<StageId> stages;
};

// "never", "except_last", "always", or the stages: "0,2,5".
//   INVALID_ARGUMENT  none of these.
absl::StatusOr<RecomputePolicy> ParseRecomputePolicy(absl::string_view text);

// Inserts R right before the backward (B or I, the first half that comes) of
// the stages and microbatches that `policy` names; before an overlapped pair
// whose second that is. Before communication, which is put between R and the
// backward: so R may run while the gradient is on its way. A split backward
// recomputes once, for I and W. Pure; linear.
//   INVALID_ARGUMENT  an R is there already and the policy is not never; a
//                     stage that does not exist; except_last of a continuous
//                     schedule, which has no last microbatch.
absl::StatusOr<Schedule> InsertRecompute(Schedule schedule,
                                         const RecomputePolicy& policy);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_LOWERING_INSERT_RECOMPUTE_H_
