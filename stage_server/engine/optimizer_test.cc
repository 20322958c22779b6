#include "stage_server/engine/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace penstock {
namespace {

OptimizerSpec Spec(const std::string& kind) {
  OptimizerSpec spec;
  spec.set_kind(kind);
  spec.set_learning_rate(0.01);
  spec.set_momentum(0.9);
  spec.set_beta1(0.9);
  spec.set_beta2(0.95);
  spec.set_epsilon(1e-8);
  spec.set_weight_decay(0.1);
  return spec;
}

// Parameters and their state, which begin `shift` elements into their memory.
struct State {
  State(size_t size, size_t shift)
      : shift(shift),
        master(size + shift),
        gradient(size + shift),
        first(size + shift),
        second(size + shift),
        weight(size + shift) {
    for (size_t i = 0; i < size; ++i) {
      master[shift + i] = std::sin(0.7f * i);
      gradient[shift + i] = std::cos(1.3f * i) * 0.01f;
    }
  }

  ParameterSpans Spans(size_t begin, size_t end) {
    const auto part = [&](auto& values) {
      return absl::MakeSpan(values).subspan(shift + begin, end - begin);
    };
    return {part(master), part(gradient), part(first), part(second),
            part(weight)};
  }

  size_t shift;
  std::vector<float> master, gradient, first, second;
  std::vector<uint16_t> weight;
};

class OptimizerTest : public ::testing::TestWithParam<const char*> {};

TEST_P(OptimizerTest, AnyCutAndAlignmentGivesTheSameBits) {
  const absl::StatusOr<Optimizer> optimizer = Optimizer::Make(Spec(GetParam()));
  ASSERT_TRUE(optimizer.ok());
  constexpr size_t kSize = 4133;
  State whole(kSize, 0);
  for (int update = 0; update < 5; ++update) {
    optimizer->Update({0.01, update, 0.3f, true}, whole.Spans(0, kSize));
  }
  for (size_t shift = 1; shift < 9; ++shift) {
    State cut(kSize, shift);
    for (int update = 0; update < 5; ++update) {
      for (size_t begin = 0; begin < kSize;) {
        const size_t end = std::min(kSize, begin + 1 + begin % 97 + shift);
        optimizer->Update({0.01, update, 0.3f, true}, cut.Spans(begin, end));
        begin = end;
      }
    }
    for (size_t i = 0; i < kSize; ++i) {
      ASSERT_EQ(cut.master[shift + i], whole.master[i]) << i;
      ASSERT_EQ(cut.first[shift + i], whole.first[i]) << i;
      ASSERT_EQ(cut.second[shift + i], whole.second[i]) << i;
      ASSERT_EQ(cut.weight[shift + i], whole.weight[i]) << i;
    }
  }
}

TEST_P(OptimizerTest, WrittenElsewhereTheBitsAreThoseInPlace) {
  const absl::StatusOr<Optimizer> optimizer = Optimizer::Make(Spec(GetParam()));
  ASSERT_TRUE(optimizer.ok());
  constexpr size_t kSize = 2077;
  State in_place(kSize, 0), apart(kSize, 0);
  std::vector<float> other(kSize, -1.0f);
  for (int update = 0; update < 5; ++update) {
    optimizer->Update({0.01, update, 0.3f, true}, in_place.Spans(0, kSize));
    ParameterSpans spans = apart.Spans(0, kSize);
    spans.next_master = absl::MakeSpan(other);
    const std::vector<float> before = apart.master;
    optimizer->Update({0.01, update, 0.3f, true}, spans);
    ASSERT_EQ(apart.master, before);
    apart.master.swap(other);
    ASSERT_EQ(apart.master, in_place.master);
    ASSERT_EQ(apart.first, in_place.first);
    ASSERT_EQ(apart.second, in_place.second);
    ASSERT_EQ(apart.weight, in_place.weight);
  }
}

TEST_P(OptimizerTest, ZerosStayZeros) {
  const absl::StatusOr<Optimizer> optimizer = Optimizer::Make(Spec(GetParam()));
  ASSERT_TRUE(optimizer.ok());
  State state(8, 0);
  std::fill(state.master.begin(), state.master.end(), 0.0f);
  std::fill(state.gradient.begin(), state.gradient.end(), 0.0f);
  optimizer->Update({0.01, 0, 1.0f, true}, state.Spans(0, 8));
  for (const float value : state.master) EXPECT_EQ(value, 0.0f);
}

INSTANTIATE_TEST_SUITE_P(BothKinds, OptimizerTest,
                         ::testing::Values("sgd", "adamw"));

// One parameter, by the formulas, in double precision.
TEST(OptimizerTest, SgdFollowsItsFormula) {
  const absl::StatusOr<Optimizer> optimizer = Optimizer::Make(Spec("sgd"));
  State state(1, 0);
  double p = state.master[0], v = 0;
  for (int update = 0; update < 3; ++update) {
    v = 0.9 * v + (state.gradient[0] * 0.5 + 0.1 * p);
    p -= 0.01 * v;
    optimizer->Update({0.01, update, 0.5f, true}, state.Spans(0, 1));
    EXPECT_NEAR(state.master[0], p, 1e-6);
  }
}

TEST(OptimizerTest, AdamWFollowsItsFormula) {
  const absl::StatusOr<Optimizer> optimizer = Optimizer::Make(Spec("adamw"));
  State state(1, 0);
  state.master[0] = 0.5f;
  double p = 0.5, m = 0, v = 0;
  const double g = state.gradient[0];
  for (int update = 0; update < 3; ++update) {
    m = 0.9 * m + 0.1 * g;
    v = 0.95 * v + 0.05 * g * g;
    const double m_hat = m / (1 - std::pow(0.9, update + 1));
    const double v_hat = v / (1 - std::pow(0.95, update + 1));
    p = p * (1 - 0.01 * 0.1) - 0.01 * m_hat / (std::sqrt(v_hat) + 1e-8);
    optimizer->Update({0.01, update, 1.0f, true}, state.Spans(0, 1));
    EXPECT_NEAR(state.master[0], p, 1e-6);
  }
}

TEST(OptimizerTest, DecayIsLeftOutWhereItDoesNotApply) {
  const absl::StatusOr<Optimizer> optimizer = Optimizer::Make(Spec("adamw"));
  State state(1, 0);
  state.master[0] = 1.0f;
  state.gradient[0] = 0.0f;
  optimizer->Update({0.01, 0, 1.0f, false}, state.Spans(0, 1));
  EXPECT_EQ(state.master[0], 1.0f);
  optimizer->Update({0.01, 1, 1.0f, true}, state.Spans(0, 1));
  EXPECT_NEAR(state.master[0], 0.999f, 1e-6);
}

TEST(OptimizerTest, Bfloat16WeightsRoundToNearestEven) {
  const absl::StatusOr<Optimizer> optimizer = Optimizer::Make(Spec("sgd"));
  State state(3, 0);
  state.gradient = {0, 0, 0};
  // Half way between two bfloat16: to the even one, down and then up.
  state.master = {1.00390625f, 1.01171875f, -2.5f};
  optimizer->Update({0, 0, 1.0f, false}, state.Spans(0, 3));
  EXPECT_EQ(state.weight[0], 0x3f80);
  EXPECT_EQ(state.weight[1], 0x3f82);
  EXPECT_EQ(state.weight[2], 0xc020);
}

TEST(OptimizerTest, RefusesWhatIsNoOptimizer) {
  EXPECT_EQ(Optimizer::Make(Spec("adam")).status().message(),
            "optimizer: kind is \"adam\", want sgd or adamw");
  OptimizerSpec spec = Spec("adamw");
  spec.set_beta2(1);
  EXPECT_EQ(Optimizer::Make(spec).status().message(),
            "optimizer: beta2 is 1, want at least 0 and below 1");
  spec = Spec("sgd");
  spec.set_clip_norm(-1);
  EXPECT_FALSE(Optimizer::Make(spec).ok());
}

}  // namespace
}  // namespace penstock
