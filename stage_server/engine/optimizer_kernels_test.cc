#include "stage_server/engine/optimizer_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace penstock {
namespace {

// Not a multiple of any register's width.
constexpr size_t kSize = 1021;
constexpr AdamWConstants kAdamW = {0.999f, 0.9f,  0.1f,  0.95f, 0.05f,
                                   0.01f,  1.02f, 1e-8f, 0.3f};
constexpr SgdConstants kSgd = {0.01f, 0.9f, 0.1f, 0.3f};

struct Arrays {
  std::vector<float> master, gradient, first, second, next;
  std::vector<uint16_t> weight;

  friend bool operator==(const Arrays&, const Arrays&) = default;
};

Arrays Start() {
  Arrays arrays;
  arrays.next.resize(kSize);
  arrays.weight.resize(kSize);
  for (size_t i = 0; i < kSize; ++i) {
    arrays.master.push_back(std::sin(0.7f * i));
    arrays.gradient.push_back(std::cos(1.3f * i) * 0.01f);
    arrays.first.push_back(std::sin(0.3f * i) * 0.01f);
    arrays.second.push_back(std::fabs(std::sin(0.9f * i)) * 0.01f);
  }
  // Smallest numbers, whose products vanish.
  arrays.gradient[3] = std::numeric_limits<float>::denorm_min();
  arrays.second[5] = std::numeric_limits<float>::min();
  return arrays;
}

Arrays After(const OptimizerKernels& kernels) {
  Arrays a = Start();
  float* const master = a.master.data();
  const float* const gradient = a.gradient.data();
  float* const first = a.first.data();
  float* const second = a.second.data();
  float* const next = a.next.data();
  for (int update = 0; update < 5; ++update) {
    kernels.adamw(kAdamW, kSize, master, gradient, first, second);
    kernels.adamw_into(kAdamW, kSize, master, gradient, first, second, next);
    kernels.sgd(kSgd, kSize, master, gradient, first);
    kernels.sgd_into(kSgd, kSize, next, gradient, first, master);
  }
  kernels.to_bfloat16(kSize, next, a.weight.data());
  return a;
}

TEST(OptimizerKernelsTest, TheBitsAreThoseOfAnyProcessor) {
  EXPECT_TRUE(After(NativeKernels()) == After(BaselineKernels()));
  EXPECT_FALSE(After(NativeKernels()) == Start());
}

TEST(OptimizerKernelsTest, Bfloat16IsTheNearestAndNanStays) {
  const std::vector<float> from = {1.0f,
                                   1.00390625f,
                                   1.01171875f,
                                   -3.14159274f,
                                   std::numeric_limits<float>::infinity(),
                                   std::numeric_limits<float>::quiet_NaN()};
  const std::vector<uint16_t> want = {0x3f80, 0x3f80, 0x3f82,
                                      0xc049, 0x7f80, 0x7fc0};
  for (const auto* kernels : {&BaselineKernels(), &NativeKernels()}) {
    std::vector<uint16_t> to(from.size());
    kernels->to_bfloat16(from.size(), from.data(), to.data());
    EXPECT_EQ(to, want);
  }
}

}  // namespace
}  // namespace penstock
