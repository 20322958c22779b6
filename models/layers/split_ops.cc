#include "models/layers/split_ops.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/embedding_dense_backward.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/native_layer_norm_backward.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <functional>
#include <memory>
#include <utility>

namespace penstock {
namespace {

using torch::autograd::variable_list;

// The input's gradient (undefined unless `wants_input`), from the output's.
using Backward =
    std::function<at::Tensor(const at::Tensor& gradient, bool wants_input)>;

// Autograd's record of one operator. It has two edges: to the input, and to a
// weight that gets nothing, so that autograd comes by even where no gradient of
// the input is wanted.
class SplitNode : public torch::autograd::Node {
 public:
  SplitNode(torch::autograd::edge_list edges, Backward backward)
      : Node(std::move(edges)), backward_(std::move(backward)) {}

  variable_list apply(variable_list&& gradients) override {
    variable_list result(2);
    if (gradients[0].defined()) {
      result[0] = backward_(gradients[0], should_compute_output(0));
    }
    return result;
  }

  std::string name() const override { return "SplitNode"; }

  void release_variables() override { backward_ = nullptr; }

 private:
  Backward backward_;
};

bool Splits(const LayerCall& call) {
  return call.sinks.weight_queue != nullptr && at::GradMode::is_enabled();
}

// Where an operator's weight gradients go.
struct Target {
  Target(const LayerCall& call, int weight)
      : queue(call.sinks.weight_queue),
        sum(&call.sinks.gradient_sums[weight]) {}

  WeightQueue* queue;
  GradientSum* sum;
};

GradientSum* SumOf(const LayerCall& call, std::optional<int> weight) {
  return weight.has_value() ? &call.sinks.gradient_sums[*weight] : nullptr;
}

// Computes below autograd.
template <typename Function>
auto Unrecorded(Function function) {
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return function();
}

// `output` with `backward` recorded.
at::Tensor Recorded(const at::Tensor& output, const at::Tensor& input,
                    const at::Tensor& weight, Backward backward) {
  const std::shared_ptr<SplitNode> node(
      new SplitNode(torch::autograd::collect_next_edges(input, weight),
                    std::move(backward)),
      torch::autograd::deleteNode);
  torch::autograd::set_history(output, node);
  return output;
}

at::Tensor PlainLinear(const LayerCall& call, const at::Tensor& x, int weight,
                       std::optional<int> bias) {
  return bias.has_value()
             ? at::linear(x, call.parameters[weight], call.parameters[*bias])
             : at::linear(x, call.parameters[weight]);
}

at::Tensor PlainConvolution(const LayerCall& call, const at::Tensor& x,
                            int weight, std::optional<int> bias,
                            const ConvolutionShape& shape) {
  std::optional<at::Tensor> shift;
  if (bias.has_value()) shift = call.parameters[*bias];
  return at::convolution(x, call.parameters[weight], shift, shape.stride,
                         shape.padding, /*dilation=*/{1, 1},
                         /*transposed=*/false, /*output_padding=*/{0, 0},
                         shape.groups);
}

}  // namespace

at::Tensor Linear(const LayerCall& call, const at::Tensor& x, int weight,
                  std::optional<int> bias) {
  if (!Splits(call)) return PlainLinear(call, x, weight, bias);
  const at::Tensor& matrix = call.parameters[weight];
  return Recorded(
      Unrecorded([&] { return PlainLinear(call, x, weight, bias); }), x, matrix,
      [to = Target(call, weight), shift = SumOf(call, bias), x = x.detach(),
       matrix = matrix.detach()](const at::Tensor& gradient, bool wants_input) {
        const at::Tensor rows = gradient.reshape({-1, matrix.size(0)});
        const at::Tensor inputs = x.reshape({-1, matrix.size(1)});
        to.queue->Push(
            [to, shift, rows, inputs] {
              to.sum->AddProduct(rows.t(), inputs);
              if (shift != nullptr) shift->Add(rows.sum(0));
            },
            {&rows, &inputs});
        return wants_input ? rows.mm(matrix).view(x.sizes()) : at::Tensor();
      });
}

at::Tensor LayerNorm(const LayerCall& call, const at::Tensor& x, int weight,
                     int bias, double epsilon) {
  const at::Tensor& scale = call.parameters[weight];
  const at::Tensor& shift = call.parameters[bias];
  if (!Splits(call)) {
    return at::layer_norm(x, scale.sizes(), scale, shift, epsilon);
  }
  const auto [y, mean, deviation] = Unrecorded([&] {
    return at::native_layer_norm(x, scale.sizes(), scale, shift, epsilon);
  });
  const at::Tensor kept = x.detach();
  // Of the three gradients those that are asked for.
  const auto gradients = [kept, scale = scale.detach(), shift = shift.detach(),
                          mean = mean,
                          deviation = deviation](const at::Tensor& gradient,
                                                 std::array<bool, 3> wanted) {
    return at::native_layer_norm_backward(gradient, kept, scale.sizes(), mean,
                                          deviation, scale, shift, wanted);
  };
  return Recorded(
      y, x, scale,
      [to = Target(call, weight), shift_sum = SumOf(call, bias), gradients,
       kept, mean = mean,
       deviation = deviation](const at::Tensor& gradient, bool wants_input) {
        to.queue->Push(
            [to, shift_sum, gradients, gradient] {
              const auto weights = gradients(gradient, {false, true, true});
              to.sum->Add(std::get<1>(weights));
              shift_sum->Add(std::get<2>(weights));
            },
            {&kept, &mean, &deviation, &gradient});
        return wants_input
                   ? std::get<0>(gradients(gradient, {true, false, false}))
                   : at::Tensor();
      });
}

at::Tensor Embedding(const LayerCall& call, const at::Tensor& tokens,
                     int table) {
  const at::Tensor& rows = call.parameters[table];
  if (!Splits(call)) return at::embedding(rows, tokens);
  return Recorded(Unrecorded([&] { return at::embedding(rows, tokens); }),
                  tokens, rows,
                  [to = Target(call, table), tokens, num_rows = rows.size(0)](
                      const at::Tensor& gradient, bool) {
                    to.queue->Push(
                        [to, tokens, num_rows, gradient] {
                          to.sum->Add(at::embedding_dense_backward(
                              gradient, tokens, num_rows, /*padding_idx=*/-1,
                              /*scale_grad_by_freq=*/false));
                        },
                        {&tokens, &gradient});
                    return at::Tensor();
                  });
}

at::Tensor AddFirstRows(const LayerCall& call, const at::Tensor& x, int table) {
  const at::Tensor& rows = call.parameters[table];
  const int64_t count = x.size(1);
  if (!Splits(call)) return x.add(rows.slice(0, 0, count));
  return Recorded(
      Unrecorded([&] { return x.add(rows.slice(0, 0, count)); }), x, rows,
      [to = Target(call, table), shape = rows.sizes().vec(), count](
          const at::Tensor& gradient, bool wants_input) {
        to.queue->Push(
            [to, shape, count, gradient] {
              const at::Tensor all = at::zeros(shape, gradient.options());
              all.slice(0, 0, count).copy_(gradient.sum(0));
              to.sum->Add(all);
            },
            {&gradient});
        return wants_input ? gradient : at::Tensor();
      });
}

at::Tensor Scale(const LayerCall& call, const at::Tensor& x, int weight) {
  const at::Tensor& factors = call.parameters[weight];
  if (!Splits(call)) return x.mul(factors);
  return Recorded(
      Unrecorded([&] { return x.mul(factors); }), x, factors,
      [to = Target(call, weight), x = x.detach(), factors = factors.detach()](
          const at::Tensor& gradient, bool wants_input) {
        to.queue->Push(
            [to, x, gradient] {
              std::vector<int64_t> leading;
              for (int64_t i = 0; i + 1 < x.dim(); ++i) leading.push_back(i);
              to.sum->Add(gradient.mul(x).sum(leading));
            },
            {&x, &gradient});
        return wants_input ? gradient.mul(factors) : at::Tensor();
      });
}

at::Tensor Convolution(const LayerCall& call, const at::Tensor& x, int weight,
                       std::optional<int> bias, const ConvolutionShape& shape) {
  if (!Splits(call)) return PlainConvolution(call, x, weight, bias, shape);
  const at::Tensor& kernel = call.parameters[weight];
  const at::Tensor kept = x.detach();
  // Of the three gradients those that are asked for.
  const auto gradients = [kept, kernel = kernel.detach(), shape](
                             const at::Tensor& gradient,
                             std::array<bool, 3> wanted) {
    const std::vector<int64_t> bias_shape = {kernel.size(0)};
    return at::convolution_backward(
        gradient, kept, kernel, at::OptionalIntArrayRef(bias_shape),
        shape.stride, shape.padding, /*dilation=*/{1, 1}, /*transposed=*/false,
        /*output_padding=*/{0, 0}, shape.groups, wanted);
  };
  return Recorded(
      Unrecorded(
          [&] { return PlainConvolution(call, x, weight, bias, shape); }),
      x, kernel,
      [to = Target(call, weight), shift = SumOf(call, bias), gradients, kept](
          const at::Tensor& gradient, bool wants_input) {
        to.queue->Push(
            [to, shift, gradients, gradient] {
              const auto weights =
                  gradients(gradient, {false, true, shift != nullptr});
              to.sum->Add(std::get<1>(weights));
              if (shift != nullptr) shift->Add(std::get<2>(weights));
            },
            {&kept, &gradient});
        return wants_input
                   ? std::get<0>(gradients(gradient, {true, false, false}))
                   : at::Tensor();
      });
}

}  // namespace penstock
