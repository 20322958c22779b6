#include "models/zoo/job_model.h"

#include <algorithm>

namespace penstock {

ModelRequest RequestOf(const Job& job) {
  ModelRequest request;
  request.preset = job.model().preset();
  request.overrides = {job.model().overrides().begin(),
                       job.model().overrides().end()};
  request.microbatch_size =
      job.batch_size() / std::max(1, job.schedule().microbatches());
  request.sequence_length = job.data().sequence_length();
  request.data_kind = job.data().kind();
  return request;
}

}  // namespace penstock
