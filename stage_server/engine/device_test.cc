#include "stage_server/engine/device.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

namespace penstock {
namespace {

TEST(DeviceTest, CpuIsInEveryBinary) {
  const auto device = MakeDevice("cpu");
  ASSERT_TRUE(device.ok()) << device.status();
  EXPECT_EQ((*device)->name(), "cpu");
  EXPECT_TRUE((*device)->torch_device().is_cpu());
}

TEST(DeviceTest, AnotherDeviceIsNamedInTheError) {
  EXPECT_EQ(
      MakeDevice("cuda:0").status(),
      absl::NotFoundError("no device \"cuda:0\" in this binary; it has cpu"));
  EXPECT_EQ(MakeDevice("cpu:1").status().code(), absl::StatusCode::kNotFound);
}

TEST(DeviceTest, ThreadCountCanChangeFromJobToJob) {
  const auto device = MakeDevice("cpu");
  ASSERT_TRUE(device.ok()) << device.status();
  ASSERT_TRUE((*device)->PrepareThread(2).ok());
  EXPECT_EQ(at::get_num_threads(), 2);
  ASSERT_TRUE((*device)->PrepareThread(1).ok());
  EXPECT_EQ(at::get_num_threads(), 1);
  EXPECT_EQ((*device)->PrepareThread(-1).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace penstock
