#include "models/layers/recurrence.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/lstm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "models/graph/graph.h"
#include "models/layers/layer_call.h"
#include "models/layers/weight_queue.h"

namespace penstock {
namespace {

constexpr int64_t kBatch = 3;
constexpr int64_t kSteps = 5;
constexpr int64_t kHidden = 4;

class RecurrenceTest : public ::testing::Test {
 protected:
  RecurrenceTest() {
    at::set_num_threads(1);
    at::manual_seed(3);
    gates_ = at::randn({kBatch, kSteps, 4 * kHidden}).requires_grad_();
    weight_ = at::randn({4 * kHidden, kHidden}).requires_grad_();
    seed_ = at::randn({kBatch, kSteps, kHidden});
  }

  at::Tensor States(const LayerSinks& sinks = {}) {
    const std::vector<at::Tensor> parameters = {weight_};
    return LstmRecurrence({spec_, parameters, {}, context_, sinks}, gates_, 0);
  }

  const LayerSpec spec_ = {.name = "x", .kind = "lstm"};
  const LayerContext context_;
  at::Tensor gates_;
  at::Tensor weight_;
  at::Tensor seed_;
};

// libtorch's LSTM, whose input matrix is the identity here.
at::Tensor LibtorchStates(const at::Tensor& gates, const at::Tensor& weight) {
  const at::Tensor identity = at::zeros({4 * kHidden, 4 * kHidden});
  identity.fill_diagonal_(1);
  const at::Tensor zeros = at::zeros({1, kBatch, kHidden});
  return std::get<0>(at::lstm(gates, {zeros, zeros}, {identity, weight},
                              /*has_biases=*/false, /*num_layers=*/1,
                              /*dropout=*/0.0, /*train=*/true,
                              /*bidirectional=*/false, /*batch_first=*/true));
}

TEST_F(RecurrenceTest, StatesAndGradientsAreThoseOfLibtorchsLstm) {
  const at::Tensor states = States();
  states.backward(seed_);
  const at::Tensor gates = gates_.detach().clone().requires_grad_();
  const at::Tensor weight = weight_.detach().clone().requires_grad_();
  const at::Tensor want = LibtorchStates(gates, weight);
  want.backward(seed_);
  EXPECT_TRUE(at::allclose(states, want, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(gates_.grad(), gates.grad(), 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(weight_.grad(), weight.grad(), 1e-5, 1e-5));
}

TEST_F(RecurrenceTest, AQueueGivesTheSameBitsLater) {
  States().backward(seed_);
  const at::Tensor of_weight = weight_.grad().clone();
  const at::Tensor of_gates = gates_.grad().clone();
  weight_.mutable_grad().reset();
  gates_.mutable_grad().reset();

  const at::Tensor memory = at::full(weight_.sizes(), 99.0f, at::kFloat);
  std::vector<GradientSum> sums = {GradientSum(memory)};
  WeightQueue queue;
  States({.weight_queue = &queue, .gradient_sums = absl::MakeSpan(sums)})
      .backward(seed_);
  EXPECT_FALSE(weight_.grad().defined());
  EXPECT_TRUE(at::equal(gates_.grad(), of_gates));
  EXPECT_EQ(queue.size(), 1u);
  EXPECT_EQ(memory[0][0].item<float>(), 99.0f);
  queue.Run();
  EXPECT_TRUE(at::equal(memory, of_weight));
}

TEST_F(RecurrenceTest, EarlierStatesDoNotSeeLaterInputs) {
  const at::Tensor before = States();
  {
    const at::NoGradGuard no_grad;
    gates_.select(1, kSteps - 1).fill_(7);
  }
  const at::Tensor after = States();
  EXPECT_TRUE(
      at::equal(before.slice(1, 0, kSteps - 1), after.slice(1, 0, kSteps - 1)));
  EXPECT_FALSE(at::equal(before, after));
}

TEST_F(RecurrenceTest, WithoutRecordingNothingIsKept) {
  const at::NoGradGuard no_grad;
  EXPECT_FALSE(States().requires_grad());
}

TEST_F(RecurrenceTest, ABackwardSetsItsMemoryFree) {
  const at::Tensor states = States();
  const auto held = weight_.use_count();
  states.backward(seed_);
  EXPECT_LE(weight_.use_count(), held);
  EXPECT_ANY_THROW(states.backward(seed_));
}

}  // namespace
}  // namespace penstock
