#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "models/layers/kind_functions.h"
#include "models/layers/split_ops.h"

namespace penstock {
namespace {

constexpr double kNormEpsilon = 1e-5;
// Su et al. 2021, section 3.3.
constexpr double kRotaryBase = 10000;

int64_t Count(const LayerCall& call, const char* attribute) {
  return static_cast<int64_t>(call.spec.attributes.at(attribute));
}

// The mean of squares in float32, as Llama has it.
at::Tensor NormedByRoot(const LayerCall& call, const at::Tensor& x,
                        int weight) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor squares = wide.mul(wide).mean(-1, /*keepdim=*/true);
  return Scale(call,
               wide.mul(squares.add(kNormEpsilon).rsqrt()).to(x.scalar_type()),
               weight);
}

at::Tensor RmsNorm(const LayerCall& call) {
  return NormedByRoot(call, call.inputs[0], 0);
}

// Turns each pair (i, i + size/2) of the last dimension of [b, heads, s, size]
// by an angle that grows with the position: slower for later pairs.
at::Tensor Rotated(const at::Tensor& x) {
  const int64_t half = x.size(3) / 2;
  const at::Tensor frequencies =
      at::arange(half, at::kFloat)
          .mul(-std::log(kRotaryBase) / static_cast<double>(half))
          .exp();
  const at::Tensor angles =
      at::outer(at::arange(x.size(2), at::kFloat), frequencies);
  const at::Tensor cosine = angles.cos().to(x.scalar_type());
  const at::Tensor sine = angles.sin().to(x.scalar_type());
  const at::Tensor first = x.slice(3, 0, half);
  const at::Tensor second = x.slice(3, half);
  return at::cat({first.mul(cosine).sub(second.mul(sine)),
                  second.mul(cosine).add(first.mul(sine))},
                 3);
}

at::Tensor RotaryAttention(const LayerCall& call) {
  const at::Tensor& x = call.inputs[0];
  const int64_t heads = Count(call, "heads");
  const int64_t key_heads = Count(call, "key_heads");
  const int64_t size = x.size(2) / heads;
  const at::Tensor normed = NormedByRoot(call, x, 0);
  const at::Tensor query = Linear(call, normed, 1, std::nullopt)
                               .view({x.size(0), x.size(1), heads, size})
                               .transpose(1, 2);
  // [b, s, 2 * key_heads * size] -> two of [b, key_heads, s, size]
  const std::vector<at::Tensor> memory =
      Linear(call, normed, 2, std::nullopt)
          .view({x.size(0), x.size(1), 2, key_heads, size})
          .permute({2, 0, 3, 1, 4})
          .unbind(0);
  const int64_t sharers = heads / key_heads;
  const at::Tensor mixed =
      at::scaled_dot_product_attention(
          Rotated(query), Rotated(memory[0]).repeat_interleave(sharers, 1),
          memory[1].repeat_interleave(sharers, 1), /*attn_mask=*/{},
          /*dropout_p=*/0.0, /*is_causal=*/true)
          .transpose(1, 2)
          .flatten(2);
  return x.add(Linear(call, mixed, 3, std::nullopt));
}

at::Tensor SwigluBlock(const LayerCall& call) {
  const at::Tensor& x = call.inputs[0];
  const std::vector<at::Tensor> both =
      Linear(call, NormedByRoot(call, x, 0), 1, std::nullopt).chunk(2, -1);
  return x.add(Linear(call, at::silu(both[0]).mul(both[1]), 2, std::nullopt));
}

constexpr FunctionRow kFunctions[] = {
    {"rms_norm", RmsNorm},
    {"rotary_attention", RotaryAttention},
    {"swiglu_block", SwigluBlock},
};

}  // namespace

absl::Span<const FunctionRow> LlamaFunctions() { return kFunctions; }

}  // namespace penstock
