#include "models/layers/recurrence.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace penstock {
namespace {

using torch::autograd::variable_list;

// One step's gates after their nonlinearities, each [b, h].
struct Gates {
  at::Tensor input;
  at::Tensor forget;
  at::Tensor cell;
  at::Tensor output;
};

// What the forward pass leaves for the backward one.
struct Trace {
  at::Tensor weight;
  // By time.
  std::vector<Gates> gates;
  // By time, from before the first step on: one more.
  std::vector<at::Tensor> cells;
  std::vector<at::Tensor> hiddens;
};

Trace RunForward(const at::Tensor& gates, const at::Tensor& weight) {
  const at::Tensor zeros =
      at::zeros({gates.size(0), weight.size(1)}, gates.options());
  Trace trace{weight, {}, {zeros}, {zeros}};
  const at::Tensor transposed = weight.t();
  for (int64_t t = 0; t < gates.size(1); ++t) {
    const std::vector<at::Tensor> raw =
        gates.select(1, t).add(trace.hiddens.back().mm(transposed)).chunk(4, 1);
    const Gates step = {at::sigmoid(raw[0]), at::sigmoid(raw[1]),
                        at::tanh(raw[2]), at::sigmoid(raw[3])};
    trace.cells.push_back(
        step.forget.mul(trace.cells.back()).add(step.input.mul(step.cell)));
    trace.hiddens.push_back(step.output.mul(at::tanh(trace.cells.back())));
    trace.gates.push_back(step);
  }
  return trace;
}

// d sigmoid, from its value.
at::Tensor SigmoidSlope(const at::Tensor& value) {
  return value.mul(value.neg().add(1));
}

// d tanh, from its value.
at::Tensor TanhSlope(const at::Tensor& value) {
  return value.mul(value).neg().add(1);
}

// The gradient of the gates [b, s, 4h], from that of the hidden states.
at::Tensor RunBackward(const Trace& trace, const at::Tensor& gradient) {
  std::vector<at::Tensor> of_gates(trace.gates.size());
  at::Tensor of_hidden = at::zeros_like(trace.hiddens[0]);
  at::Tensor of_cell = at::zeros_like(trace.cells[0]);
  for (size_t t = trace.gates.size(); t-- > 0;) {
    const Gates& step = trace.gates[t];
    of_hidden = of_hidden.add(gradient.select(1, static_cast<int64_t>(t)));
    const at::Tensor squashed = at::tanh(trace.cells[t + 1]);
    of_cell = of_cell.add(of_hidden.mul(step.output).mul(TanhSlope(squashed)));
    of_gates[t] =
        at::cat({of_cell.mul(step.cell).mul(SigmoidSlope(step.input)),
                 of_cell.mul(trace.cells[t]).mul(SigmoidSlope(step.forget)),
                 of_cell.mul(step.input).mul(TanhSlope(step.cell)),
                 of_hidden.mul(squashed).mul(SigmoidSlope(step.output))},
                1);
    of_cell = of_cell.mul(step.forget);
    of_hidden = of_gates[t].mm(trace.weight);
  }
  return at::stack(of_gates, 1);
}

// The two factors of the weight's gradient: rows of [b * s].
struct Factors {
  at::Tensor of_gates;
  at::Tensor hiddens;
};

Factors WeightFactors(const Trace& trace, const at::Tensor& of_gates) {
  const std::vector<at::Tensor> before(trace.hiddens.begin(),
                                       trace.hiddens.end() - 1);
  return {of_gates.reshape({-1, of_gates.size(2)}),
          at::stack(before, 1).reshape({-1, trace.weight.size(1)})};
}

class RecurrenceNode : public torch::autograd::Node {
 public:
  RecurrenceNode(torch::autograd::edge_list edges, Trace trace,
                 WeightQueue* queue, GradientSum* sum)
      : Node(std::move(edges)),
        trace_(std::move(trace)),
        queue_(queue),
        sum_(sum) {}

  variable_list apply(variable_list&& gradients) override {
    variable_list result(2);
    if (!gradients[0].defined()) return result;
    TORCH_CHECK(!trace_.gates.empty(),
                "the backward of an LSTM can run only once");
    result[0] = RunBackward(trace_, gradients[0]);
    const Factors factors = WeightFactors(trace_, result[0]);
    if (queue_ != nullptr) {
      queue_->Push(
          [sum = sum_, factors] {
            sum->AddProduct(factors.of_gates.t(), factors.hiddens);
          },
          {&factors.of_gates, &factors.hiddens});
    } else if (should_compute_output(1)) {
      result[1] = factors.of_gates.t().mm(factors.hiddens);
    }
    return result;
  }

  std::string name() const override { return "RecurrenceNode"; }

  void release_variables() override { trace_ = Trace(); }

 private:
  Trace trace_;
  WeightQueue* const queue_;
  GradientSum* const sum_;
};

}  // namespace

at::Tensor LstmRecurrence(const LayerCall& call, const at::Tensor& gates,
                          int weight) {
  const at::Tensor& matrix = call.parameters[weight];
  Trace trace = [&] {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    return RunForward(gates.detach(), matrix.detach());
  }();
  const at::Tensor states = [&] {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    return at::stack({trace.hiddens.data() + 1, trace.gates.size()}, 1);
  }();
  const bool records = at::GradMode::is_enabled() &&
                       (gates.requires_grad() || matrix.requires_grad());
  if (!records) return states;
  const bool splits = call.sinks.weight_queue != nullptr;
  const std::shared_ptr<RecurrenceNode> node(
      new RecurrenceNode(torch::autograd::collect_next_edges(gates, matrix),
                         std::move(trace), call.sinks.weight_queue,
                         splits ? &call.sinks.gradient_sums[weight] : nullptr),
      torch::autograd::deleteNode);
  torch::autograd::set_history(states, node);
  return states;
}

}  // namespace penstock
