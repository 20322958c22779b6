#ifndef PENSTOCK_COORDINATOR_CORE_GIVEN_SCHEDULE_H_
#define PENSTOCK_COORDINATOR_CORE_GIVEN_SCHEDULE_H_

#include <vector>

#include "absl/status/statusor.h"
#include "proto/job.pb.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// The schedule that a job brings with it (`schedule.text`), with `edges`, those
// of the job's model cut into `num_stages`, whatever edges the text has;
// lowered as a generator's would be and verified before and after. Pure.
//   INVALID_ARGUMENT  with "schedule.file: " before it: the text does not parse
//                     (line, column); it does not fit the job's
//                     microbatches, stages and ranks; it has more than compute
//                     actions; it does not flush and has a stage on several
//                     ranks; it is unsound (then with the grid and the marked
//                     cell).
absl::StatusOr<Schedule> GivenSchedule(const Job& job, int num_stages,
                                       std::vector<Edge> edges);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_GIVEN_SCHEDULE_H_
