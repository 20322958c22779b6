#ifndef PENSTOCK_TESTS_PARITY_SUMMATION_ORDER_H_
#define PENSTOCK_TESTS_PARITY_SUMMATION_ORDER_H_

#include "proto/job.pb.h"
#include "proto/plan.pb.h"
#include "tests/parity/reference_loop.h"

namespace penstock {

// The order in which the plan's lists sum each layer's gradients, by piece
// (plan.proto): for each rank that holds the layer's stage, in the order of the
// placement, its own.
SummationOrder OrderOf(const Plan& plan);

// The plan's job with as many microbatches as the plan has pieces: what a loop
// that knows no pieces trains to have the plan's bits.
Job JobByPiece(const Plan& plan);

}  // namespace penstock

#endif  // PENSTOCK_TESTS_PARITY_SUMMATION_ORDER_H_
