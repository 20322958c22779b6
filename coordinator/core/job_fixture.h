#ifndef PENSTOCK_COORDINATOR_CORE_JOB_FIXTURE_H_
#define PENSTOCK_COORDINATOR_CORE_JOB_FIXTURE_H_

#include "proto/job.pb.h"

namespace penstock {

// A small job that can run, for tests to spoil: a two-block gpt-nano in two
// stages, four microbatches of two samples, one_f_one_b.
Job SmallJob();

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_JOB_FIXTURE_H_
