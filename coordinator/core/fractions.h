#ifndef PENSTOCK_COORDINATOR_CORE_FRACTIONS_H_
#define PENSTOCK_COORDINATOR_CORE_FRACTIONS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "proto/coordinator_service.pb.h"
#include "proto/coordinator_state.pb.h"
#include "proto/plan.pb.h"

namespace penstock {

// Where the time of a traced step went, as schedule/simulator/measured_run.h
// says. `kernel` is the time that the step's arithmetic (arithmetic.h) would
// take at `peaks`, over what the ranks worked: both added up over the ranks, so
// that the product of all four is the part of the devices' arithmetic that was
// used. `peaks` is by rank, in floating point operations a second; 0: not
// known, and `kernel` is left out.
//
// Of a step with more than 200 000 actions only whether it fits is looked at,
// since the coordinator has other things to do; the answer is then empty.
//   INVALID_ARGUMENT  the step is not one of the plan; says where.
absl::StatusOr<Fractions> FractionsOf(const Plan& plan,
                                      const TimelineRow& timeline,
                                      const std::vector<double>& peaks = {});

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_FRACTIONS_H_
