#include "absl/strings/str_cat.h"
#include "models/graph/kind_rows.h"
#include "models/graph/kind_rules.h"

namespace penstock {
namespace {

absl::StatusOr<Parameters> RmsNormParameters(const LayerSpec& layer) {
  return Parameters{Vector(layer, "weight", CountAttribute(layer, "hidden"),
                           InitKind::kOnes)};
}

absl::StatusOr<Parameters> RotaryAttentionParameters(const LayerSpec& layer) {
  const int64_t hidden = CountAttribute(layer, "hidden");
  const int64_t heads = CountAttribute(layer, "heads");
  const int64_t key_heads = CountAttribute(layer, "key_heads");
  if (hidden % (2 * heads) != 0 || heads % key_heads != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "layer \"", layer.name, "\": hidden ", hidden, " in heads ", heads,
        " and key_heads ", key_heads,
        "; want heads of an even size, and key_heads that divide heads"));
  }
  return Parameters{Vector(layer, "norm.weight", hidden, InitKind::kOnes),
                    Matrix(layer, "query.weight", hidden, hidden),
                    Matrix(layer, "key_value.weight",
                           2 * key_heads * (hidden / heads), hidden),
                    Matrix(layer, "projection.weight", hidden, hidden,
                           ResidualDeviation(layer))};
}

absl::StatusOr<Parameters> SwigluBlockParameters(const LayerSpec& layer) {
  const int64_t hidden = CountAttribute(layer, "hidden");
  const int64_t inner = CountAttribute(layer, "inner");
  return Parameters{
      Vector(layer, "norm.weight", hidden, InitKind::kOnes),
      Matrix(layer, "gate_up.weight", 2 * inner, hidden),
      Matrix(layer, "down.weight", hidden, inner, ResidualDeviation(layer))};
}

}  // namespace

std::vector<KindRow> LlamaKinds() {
  constexpr AttributeKind kCount = AttributeKind::kCount;
  constexpr AttributeRow kHidden = {"hidden", kCount};
  constexpr AttributeRow kDepth = {"depth", kCount};
  return {
      {.name = "rms_norm",
       .attributes = {kHidden},
       .parameters = RmsNormParameters,
       .output = SameAsHiddenInput,
       .kept = KeptByRmsNorm},
      {.name = "rotary_attention",
       .attributes =
           {kHidden, {"heads", kCount}, {"key_heads", kCount}, kDepth},
       .parameters = RotaryAttentionParameters,
       .output = SameAsSequenceInput,
       .kept = KeptByRotaryAttention,
       .flops = FlopsOfRotaryAttention},
      {.name = "swiglu_block",
       .attributes = {kHidden, {"inner", kCount}, kDepth},
       .parameters = SwigluBlockParameters,
       .output = SameAsHiddenInput,
       .kept = KeptBySwigluBlock,
       .flops = FlopsOfSwigluBlock},
  };
}

}  // namespace penstock
