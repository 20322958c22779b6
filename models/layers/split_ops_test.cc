// Each operator split against the plain libtorch operator: the same bits.

#include "models/layers/split_ops.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "models/graph/graph.h"
#include "models/layers/layer_call.h"
#include "models/layers/weight_queue.h"

namespace penstock {
namespace {

using Shape = std::vector<int64_t>;

struct OpCase {
  std::string name;
  // Of the input; tokens where `tokens_below` is set.
  Shape input;
  int64_t tokens_below = 0;
  std::vector<Shape> weights;
  std::function<at::Tensor(const LayerCall&, const at::Tensor&)> op;
};

std::vector<OpCase> Cases() {
  const ConvolutionShape plain = {{1, 1}, {1, 1}, 1};
  const ConvolutionShape grouped = {{2, 2}, {0, 1}, 2};
  return {
      {"Linear",
       {2, 5, 7},
       0,
       {{6, 7}, {6}},
       [](const LayerCall& c, const at::Tensor& x) {
         return Linear(c, x, 0, 1);
       }},
      {"LinearWithoutBias",
       {2, 5, 7},
       0,
       {{6, 7}},
       [](const LayerCall& c, const at::Tensor& x) {
         return Linear(c, x, 0, std::nullopt);
       }},
      {"LayerNorm",
       {2, 5, 7},
       0,
       {{7}, {7}},
       [](const LayerCall& c, const at::Tensor& x) {
         return LayerNorm(c, x, 0, 1, 1e-5);
       }},
      {"Embedding",
       {2, 5},
       11,
       {{11, 3}},
       [](const LayerCall& c, const at::Tensor& x) {
         return Embedding(c, x, 0);
       }},
      {"AddFirstRows",
       {2, 5, 7},
       0,
       {{9, 7}},
       [](const LayerCall& c, const at::Tensor& x) {
         return AddFirstRows(c, x, 0);
       }},
      {"Scale",
       {2, 5, 7},
       0,
       {{7}},
       [](const LayerCall& c, const at::Tensor& x) { return Scale(c, x, 0); }},
      {"Convolution",
       {2, 4, 6, 5},
       0,
       {{8, 4, 3, 3}, {8}},
       [plain](const LayerCall& c, const at::Tensor& x) {
         return Convolution(c, x, 0, 1, plain);
       }},
      {"GroupedConvolutionWithoutBias",
       {2, 4, 6, 5},
       0,
       {{8, 2, 2, 3}},
       [grouped](const LayerCall& c, const at::Tensor& x) {
         return Convolution(c, x, 0, std::nullopt, grouped);
       }},
  };
}

class SplitOpTest
    : public ::testing::TestWithParam<std::tuple<OpCase, at::ScalarType>> {
 protected:
  SplitOpTest() {
    at::set_num_threads(1);
    const OpCase& op = std::get<0>(GetParam());
    const at::ScalarType type = std::get<1>(GetParam());
    at::manual_seed(5);
    for (const Shape& shape : op.weights) {
      weights_.push_back(at::randn(shape).to(type).requires_grad_());
      memory_.push_back(at::full(shape, 99.0f, at::kFloat));
      sums_.emplace_back(memory_.back());
    }
    input_ =
        op.tokens_below > 0
            ? at::arange(10).mul(7).remainder(op.tokens_below).reshape(op.input)
            : at::randn(op.input).to(type);
  }

  at::Tensor Run(const at::Tensor& input, const LayerSinks& sinks) {
    const LayerCall call = {spec_, weights_, {}, context_, sinks};
    return std::get<0>(GetParam()).op(call, input);
  }

  // A gradient for `output`, the same for all.
  static at::Tensor Seed(const at::Tensor& output) {
    return at::arange(output.numel())
        .remainder(13)
        .sub(5)
        .mul(0.37)
        .reshape(output.sizes())
        .to(output.scalar_type());
  }

  const LayerSpec spec_;
  const LayerContext context_;
  std::vector<at::Tensor> weights_;
  std::vector<at::Tensor> memory_;
  std::vector<GradientSum> sums_;
  at::Tensor input_;
};

TEST_P(SplitOpTest, HasTheBitsOfThePlainOperator) {
  const bool differentiable = input_.is_floating_point();
  const at::Tensor plain_input = input_.clone();
  if (differentiable) plain_input.requires_grad_();
  const at::Tensor want = Run(plain_input, {});
  want.backward(Seed(want));

  WeightQueue queue;
  const at::Tensor input = input_.clone();
  if (differentiable) input.requires_grad_();
  std::vector<at::Tensor> plain_gradients;
  for (at::Tensor& weight : weights_) {
    plain_gradients.push_back(weight.grad());
    weight.mutable_grad().reset();
  }
  const at::Tensor got = Run(input, {&queue, absl::MakeSpan(sums_)});
  EXPECT_TRUE(at::equal(got, want));
  EXPECT_EQ(queue.size(), 0u);
  got.backward(Seed(got));
  if (differentiable) {
    EXPECT_TRUE(at::equal(input.grad(), plain_input.grad()));
  }
  EXPECT_EQ(queue.size(), 1u);
  for (size_t i = 0; i < weights_.size(); ++i) {
    EXPECT_FALSE(weights_[i].grad().defined()) << i;
    EXPECT_EQ(memory_[i].max().item<float>(), 99.0f) << "before W";
  }
  queue.Run();
  for (size_t i = 0; i < weights_.size(); ++i) {
    EXPECT_TRUE(at::equal(memory_[i], plain_gradients[i].to(at::kFloat))) << i;
  }
}

TEST_P(SplitOpTest, InputThatWantsNoGradientStillGivesTheWeightsTheirs) {
  WeightQueue queue;
  const at::Tensor output = Run(input_, {&queue, absl::MakeSpan(sums_)});
  ASSERT_TRUE(output.requires_grad());
  output.backward(Seed(output));
  queue.Run();
  for (const at::Tensor& memory : memory_) {
    EXPECT_LT(memory.max().item<float>(), 99.0f);
  }
}

TEST_P(SplitOpTest, RecordsNothingWhereAutogradDoesNot) {
  WeightQueue queue;
  const at::NoGradGuard no_grad;
  EXPECT_FALSE(Run(input_, {&queue, absl::MakeSpan(sums_)}).requires_grad());
}

INSTANTIATE_TEST_SUITE_P(
    Ops, SplitOpTest,
    ::testing::Combine(::testing::ValuesIn(Cases()),
                       ::testing::Values(at::kFloat, at::kBFloat16)),
    [](const auto& info) {
      return std::get<0>(info.param).name +
             (std::get<1>(info.param) == at::kFloat ? "Float32" : "Bfloat16");
    });

}  // namespace
}  // namespace penstock
