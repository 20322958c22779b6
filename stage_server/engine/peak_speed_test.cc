#include "stage_server/engine/peak_speed.h"

#include <gtest/gtest.h>

#include <memory>

namespace penstock {
namespace {

Job JobOf(const std::string& dtype) {
  Job job;
  job.set_dtype(dtype);
  job.set_threads(1);
  return job;
}

TEST(PeakSpeedTest, IsMeasuredOnceForEachTypeAndNumberOfThreads) {
  const std::unique_ptr<Device> device = *MakeDevice("cpu");
  ASSERT_TRUE(device->PrepareThread(1).ok());
  PeakSpeed speed(*device);
  const double first = speed.Of(JobOf("float32"));
  // Any processor of 64 bits is between these.
  EXPECT_GT(first, 1e7);
  EXPECT_LT(first, 1e15);
  // A second measurement would not give the same double.
  EXPECT_EQ(speed.Of(JobOf("float32")), first);
  EXPECT_GT(speed.Of(JobOf("bfloat16")), 1e6);
}

TEST(PeakSpeedTest, OfEmulatedDevicesIsNotKnown) {
  const std::unique_ptr<Device> device = *MakeDevice("cpu");
  PeakSpeed speed(*device);
  Job job = JobOf("float32");
  job.mutable_emulate();
  EXPECT_EQ(speed.Of(job), 0);
}

}  // namespace
}  // namespace penstock
