#include <ATen/ops/arange.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <cstdint>
#include <vector>

#include "models/layers/kind_functions.h"
#include "models/layers/recurrence.h"
#include "models/layers/split_ops.h"

namespace penstock {
namespace {

// Keeps a vector of zeros finite.
constexpr double kLengthEpsilon = 1e-12;

at::Tensor EmbeddingLayer(const LayerCall& call) {
  return Embedding(call, call.inputs[0], 0);
}

at::Tensor Lstm(const LayerCall& call) {
  return LstmRecurrence(call, Linear(call, call.inputs[0], 0, 2), 1);
}

// [b, s, n * h] -> n of [b, heads, s, h / heads]
std::vector<at::Tensor> Heads(const at::Tensor& x, int64_t n, int64_t heads) {
  return x.view({x.size(0), x.size(1), n, heads, x.size(2) / n / heads})
      .permute({2, 0, 3, 1, 4})
      .unbind(0);
}

at::Tensor CrossAttention(const LayerCall& call) {
  const at::Tensor& x = call.inputs[0];
  const auto heads = static_cast<int64_t>(call.spec.attributes.at("heads"));
  const at::Tensor query = Heads(Linear(call, x, 0, 1), 1, heads)[0];
  const std::vector<at::Tensor> memory =
      Heads(Linear(call, call.inputs[1], 2, 3), 2, heads);
  const at::Tensor is_word =
      call.inputs[2].ne(kPaddingToken).unsqueeze(1).unsqueeze(1);
  const at::Tensor mixed =
      at::scaled_dot_product_attention(query, memory[0], memory[1], is_word)
          .transpose(1, 2)
          .flatten(2);
  return x.add(Linear(call, mixed, 4, 5));
}

at::Tensor SequenceMean(const LayerCall& call) {
  return call.inputs[0].mean(1);
}

at::Tensor L2Normalize(const LayerCall& call) {
  const at::Tensor x = call.inputs[0].to(at::kFloat);
  const at::Tensor squares = x.mul(x).sum(-1, /*keepdim=*/true);
  return x.mul(squares.add(kLengthEpsilon).rsqrt())
      .to(call.inputs[0].scalar_type());
}

// In float32: a bfloat16 loss would keep three digits.
at::Tensor ContrastiveLoss(const LayerCall& call) {
  const at::Tensor scale = call.parameters[0]
                               .to(at::kFloat)
                               .exp()
                               .div(call.spec.attributes.at("temperature"));
  const at::Tensor logits = call.inputs[0]
                                .to(at::kFloat)
                                .mm(call.inputs[1].to(at::kFloat).t())
                                .mul(scale);
  const at::Tensor pairs = at::arange(logits.size(0), at::kLong);
  return at::cross_entropy_loss(logits, pairs)
      .add(at::cross_entropy_loss(logits.t(), pairs))
      .div(2);
}

constexpr FunctionRow kFunctions[] = {
    {"embedding", EmbeddingLayer},       {"lstm", Lstm},
    {"cross_attention", CrossAttention}, {"sequence_mean", SequenceMean},
    {"l2_normalize", L2Normalize},       {"contrastive_loss", ContrastiveLoss},
};

}  // namespace

absl::Span<const FunctionRow> SequenceFunctions() { return kFunctions; }

}  // namespace penstock
