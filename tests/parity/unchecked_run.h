#ifndef PENSTOCK_TESTS_PARITY_UNCHECKED_RUN_H_
#define PENSTOCK_TESTS_PARITY_UNCHECKED_RUN_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "coordinator/core/hang_report.h"
#include "proto/plan.pb.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// What a run of lists that were not checked gave.
struct UncheckedOutcome {
  absl::Status status;
  // Of the weights, by layer: raw bytes.
  std::map<std::string, std::string> digests;
  // Index is the rank: what it was at when the run failed.
  std::vector<RankEvidence> evidence;
};

// Trains for `num_steps` steps with ranks as threads, each of which runs the
// lists of `schedule`, past every check of a schedule, instead of those of
// `plan`, which is sound and has the same ranks, stages and edges. A wait that
// will never end fails after `timeout`.
UncheckedOutcome TrainUnchecked(const Plan& plan, const Schedule& schedule,
                                int num_steps, absl::Duration timeout);

}  // namespace penstock

#endif  // PENSTOCK_TESTS_PARITY_UNCHECKED_RUN_H_
