#include "coordinator/core/job_fixture.h"

namespace penstock {

Job SmallJob() {
  Job job;
  job.set_name("small");
  job.mutable_model()->set_preset("gpt-nano");
  job.mutable_model()->mutable_overrides()->insert({"layers", "2"});
  job.mutable_data()->set_tokens("text.bin");
  job.mutable_data()->set_sequence_length(16);
  job.set_batch_size(8);
  job.set_steps(2);
  job.mutable_optimizer()->set_kind("sgd");
  job.mutable_optimizer()->set_learning_rate(0.1);
  job.mutable_learning_rate_schedule()->set_kind("constant");
  job.mutable_schedule()->set_name("one_f_one_b");
  job.mutable_schedule()->set_microbatches(4);
  job.mutable_partition()->set_stages(2);
  job.set_dtype("float32");
  job.set_threads(1);
  job.set_step_timeout_seconds(60);
  return job;
}

}  // namespace penstock
