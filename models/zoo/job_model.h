#ifndef PENSTOCK_MODELS_ZOO_JOB_MODEL_H_
#define PENSTOCK_MODELS_ZOO_JOB_MODEL_H_

#include "models/zoo/zoo.h"
#include "proto/job.pb.h"

namespace penstock {

// The model that a job trains, at its longest sequences and for whole
// microbatches. Of a job without microbatches: the whole batch's. Checks
// nothing; MakeModel does.
ModelRequest RequestOf(const Job& job);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_ZOO_JOB_MODEL_H_
