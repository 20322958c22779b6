// Messages in a smaller type: fewer bytes, nearly the same training; and the
// same bits as ever where nothing is compressed.

#include <gtest/gtest.h>

#include <cmath>
#include <ostream>
#include <string>
#include <vector>

#include "coordinator/core/plan_builder.h"
#include "proto/job.pb.h"
#include "tests/parity/engine_threads.h"
#include "tests/parity/parity_fixture.h"

namespace penstock {
namespace {

constexpr int kSteps = 40;

struct WireCase {
  std::string compress;
  bool error_feedback = false;
  // Of the bytes in memory.
  double bytes = 1;
  // By which the mean of the last losses may differ, relative.
  double loss = 0;
};

std::ostream& operator<<(std::ostream& out, const WireCase& test) {
  return out << test.compress << (test.error_feedback ? "_feedback" : "");
}

Job JobOf(const WireCase& test) {
  Job job = TinyGpt("adamw");
  auto& overrides = *job.mutable_model()->mutable_overrides();
  overrides["layers"] = "2";
  overrides["hidden"] = "32";
  job.set_steps(kSteps);
  job.mutable_schedule()->set_name("one_f_one_b");
  job.mutable_schedule()->set_microbatches(4);
  job.mutable_partition()->set_stages(3);
  job.mutable_wire()->set_compress(test.compress);
  job.mutable_wire()->set_error_feedback(test.error_feedback);
  return job;
}

struct Trained {
  absl::StatusOr<TrainingRecord> record;
  std::vector<EngineUse> uses;
};

Trained Train(const WireCase& test) {
  Trained run{absl::InternalError("not run"), {}};
  const absl::StatusOr<BuiltPlan> built = BuildPlan(JobOf(test));
  if (!built.ok()) {
    run.record = built.status();
    return run;
  }
  run.record = TrainInThreads(built->plan, kSteps, {.uses = &run.uses});
  return run;
}

const Trained& Plain() {
  static const Trained* const run = new Trained(Train({.compress = "none"}));
  return *run;
}

double LastLosses(const TrainingRecord& record) {
  constexpr size_t kMean = 5;
  double sum = 0;
  for (size_t i = record.losses.size() - kMean; i < record.losses.size(); ++i) {
    sum += record.losses[i];
  }
  return sum / kMean;
}

// Bytes of activations and gradients; those of tied weights, which go once a
// step, are left out.
struct Bytes {
  int64_t wire = 0;
  int64_t tensor = 0;
};
Bytes ActivationBytes(const std::vector<EngineUse>& uses) {
  Bytes bytes;
  for (const EngineUse& use : uses) {
    for (const EdgeTraffic& traffic : use.edges) {
      if (traffic.messages == kSteps) continue;
      bytes.wire += traffic.wire_bytes;
      bytes.tensor += traffic.tensor_bytes;
    }
  }
  return bytes;
}

class WireTest : public ::testing::TestWithParam<WireCase> {};

TEST_P(WireTest, TrainsNearlyAsWellWithFewerBytes) {
  const Trained run = Train(GetParam());
  ASSERT_TRUE(Plain().record.ok()) << Plain().record.status();
  ASSERT_TRUE(run.record.ok()) << run.record.status();
  EXPECT_FALSE(run.record->layer_digests == Plain().record->layer_digests);
  const double plain = LastLosses(*Plain().record);
  EXPECT_NEAR(LastLosses(*run.record), plain, GetParam().loss * plain);
  // It has learned something to compare.
  EXPECT_LT(plain, 0.9 * Plain().record->losses[0]);
  const Bytes bytes = ActivationBytes(run.uses);
  ASSERT_GT(bytes.tensor, 0);
  EXPECT_NEAR(
      static_cast<double>(bytes.wire) / static_cast<double>(bytes.tensor),
      GetParam().bytes, 0.01);
}

TEST_P(WireTest, TheSameJobHasTheSameBits) {
  ExpectSameBits(Train(GetParam()).record, Train(GetParam()).record);
}

INSTANTIATE_TEST_SUITE_P(
    Types, WireTest,
    ::testing::Values(WireCase{"bf16", false, 0.5, 0.01},
                      WireCase{"fp16", false, 0.5, 0.01},
                      WireCase{"fp16", true, 0.5, 0.01},
                      WireCase{"fp8_block", false, 0.258, 0.03},
                      WireCase{"fp8_block", true, 0.258, 0.03}));

TEST(WireNoneTest, WithNoneTheBitsAreThoseOfThePlainLoop) {
  ExpectSameBits(Plain().record, Reference(JobOf({.compress = "none"})));
  const Bytes bytes = ActivationBytes(Plain().uses);
  EXPECT_EQ(bytes.wire, bytes.tensor);
}

// Float16 gradients are those of a scaled loss, the first of which overflow.
Job Float16Job(const std::string& compress) {
  Job job = JobOf({.compress = compress});
  job.set_dtype("float16");
  LossScaleSpec& scale = *job.mutable_loss_scale();
  scale.set_initial(1 << 26);
  scale.set_growth_interval(8);
  scale.set_growth(2);
  scale.set_backoff(0.25);
  scale.set_minimum(1);
  return job;
}

TEST(WireFloat16Test, TypesOfTheSameSizeChangeNothing) {
  for (const char* const compress : {"bf16", "fp16"}) {
    Job job = Float16Job(compress);
    job.set_steps(12);
    const absl::StatusOr<TrainingRecord> got = TrainPipelined(job);
    job.mutable_wire()->set_compress("none");
    ExpectSameBits(got, Reference(job));
  }
}

TEST(WireFloat16Test, BlocksOfBytesTrainNearlyAsWellAndSkipBadSteps) {
  const auto plain = TrainPipelined(Float16Job("none"));
  ASSERT_TRUE(plain.ok()) << plain.status();
  for (const char* const compress : {"fp8_block", "auto"}) {
    const auto got = TrainPipelined(Float16Job(compress));
    ASSERT_TRUE(got.ok()) << compress << ": " << got.status();
    EXPECT_NEAR(LastLosses(*got), LastLosses(*plain), 0.05 * LastLosses(*plain))
        << compress;
    ASSERT_FALSE(got->skipped_steps.empty()) << compress;
    EXPECT_EQ(got->skipped_steps[0], 1) << compress;
    EXPECT_LT(got->skipped_steps.size(), 12u) << compress;
  }
}

TEST(WireAutoTest, TrainsNearlyAsWell) {
  const Trained run = Train({.compress = "auto"});
  ASSERT_TRUE(run.record.ok()) << run.record.status();
  EXPECT_NEAR(LastLosses(*run.record), LastLosses(*Plain().record),
              0.02 * LastLosses(*Plain().record));
}

}  // namespace
}  // namespace penstock
