#include "models/layers/layer_functions.h"

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/random.h"
#include "models/layers/kind_functions.h"
#include "models/layers/split_ops.h"
#include "models/layers/stateless_fill.h"

namespace penstock {
namespace {

constexpr double kNormEpsilon = 1e-5;

// What a layer draws random numbers for. Part of the numerics: a site keeps
// its number.
enum class Site : uint64_t { kOutputDropout = 0 };

int64_t Count(const LayerCall& call, const char* attribute) {
  return static_cast<int64_t>(call.spec.attributes.at(attribute));
}

// Inverted dropout (Srivastava et al. 2014), its mask a function of the
// context and the layer's name.
at::Tensor Dropout(const LayerCall& call, const at::Tensor& x) {
  const double drop = call.spec.attributes.at("dropout");
  if (!call.context.training || drop == 0) return x;
  const at::Tensor keep = at::empty(x.sizes(), at::kBool);
  const uint64_t key = RandomKey(
      call.context.seed,
      {static_cast<uint64_t>(call.context.step),
       static_cast<uint64_t>(call.context.microbatch), NameKey(call.spec.name),
       static_cast<uint64_t>(Site::kOutputDropout)});
  FillKeepMask(key, drop,
               {keep.data_ptr<bool>(), static_cast<size_t>(keep.numel())});
  return x.mul(keep).mul(1.0 / (1.0 - drop));
}

at::Tensor TokenEmbedding(const LayerCall& call) {
  return Dropout(call,
                 AddFirstRows(call, Embedding(call, call.inputs[0], 0), 1));
}

at::Tensor WindowEmbedding(const LayerCall& call) {
  const int64_t window = Count(call, "window");
  const at::Tensor embedded = Embedding(call, call.inputs[0], 0);
  // [b, window-1+s, h] -> [b, s, h, window] -> [b, s, window*h]
  const at::Tensor padded =
      at::constant_pad_nd(embedded, {0, 0, window - 1, 0});
  return padded.unfold(1, window, 1).transpose(2, 3).flatten(2);
}

at::Tensor Attention(const LayerCall& call) {
  const at::Tensor& x = call.inputs[0];
  const int64_t heads = Count(call, "heads");
  // [b, s, 3h] -> three of [b, heads, s, h/heads]
  const std::vector<at::Tensor> qkv =
      Linear(call, LayerNorm(call, x, 0, 1, kNormEpsilon), 2, 3)
          .view({x.size(0), x.size(1), 3, heads, x.size(2) / heads})
          .permute({2, 0, 3, 1, 4})
          .unbind(0);
  const at::Tensor mixed =
      at::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2],
                                       /*attn_mask=*/{}, /*dropout_p=*/0.0,
                                       /*is_causal=*/true)
          .transpose(1, 2)
          .flatten(2);
  return x.add(Dropout(call, Linear(call, mixed, 4, 5)));
}

at::Tensor MlpBlock(const LayerCall& call) {
  const at::Tensor& x = call.inputs[0];
  const at::Tensor inner = at::gelu(
      Linear(call, LayerNorm(call, x, 0, 1, kNormEpsilon), 2, 3), "tanh");
  return x.add(Dropout(call, Linear(call, inner, 4, 5)));
}

at::Tensor LayerNormLayer(const LayerCall& call) {
  return LayerNorm(call, call.inputs[0], 0, 1, kNormEpsilon);
}

at::Tensor LmHead(const LayerCall& call) {
  return Linear(call, call.inputs[0], 0, std::nullopt);
}

at::Tensor LinearLayer(const LayerCall& call) {
  return Linear(call, call.inputs[0], 0, 1);
}

at::Tensor Relu(const LayerCall& call) { return at::relu(call.inputs[0]); }

// In float32: a bfloat16 loss would keep three digits.
at::Tensor CrossEntropy(const LayerCall& call) {
  const at::Tensor logits = call.inputs[0].to(at::kFloat);
  const at::Tensor& labels = call.inputs[1];
  // The classes of images are the second dimension, as libtorch has it.
  return logits.dim() == 4
             ? at::cross_entropy_loss(logits, labels)
             : at::cross_entropy_loss(logits.flatten(0, -2), labels.flatten());
}

constexpr FunctionRow kFunctions[] = {
    {"token_embedding", TokenEmbedding},
    {"window_embedding", WindowEmbedding},
    {"attention", Attention},
    {"mlp_block", MlpBlock},
    {"layer_norm", LayerNormLayer},
    {"lm_head", LmHead},
    {"linear", LinearLayer},
    {"relu", Relu},
    {"cross_entropy", CrossEntropy},
};

}  // namespace

LayerFunction FindLayerFunction(absl::string_view kind) {
  for (const absl::Span<const FunctionRow> rows :
       {absl::MakeConstSpan(kFunctions), LlamaFunctions(), VisionFunctions(),
        SequenceFunctions()}) {
    for (const FunctionRow& row : rows) {
      if (row.kind == kind) return row.function;
    }
  }
  return nullptr;
}

}  // namespace penstock
