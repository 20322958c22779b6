#include "models/layers/layer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/graph/layer_kinds.h"
#include "models/layers/init.h"
#include "models/zoo/zoo.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr LayerContext kContext = {.seed = 1, .step = 2, .microbatch = 3};

LayerSpec Spec(std::string kind, std::map<std::string, double> attributes,
               int inputs = 1) {
  LayerSpec spec = {
      .name = "x", .kind = std::move(kind), .attributes = attributes};
  for (int i = 0; i < inputs; ++i) {
    spec.inputs.push_back(std::string(1, static_cast<char>('a' + i)));
  }
  return spec;
}

LayerSpec AttentionSpec(double dropout = 0) {
  return Spec(
      "attention",
      {{"hidden", 16}, {"heads", 4}, {"depth", 1}, {"dropout", dropout}});
}

LayerSpec MlpSpec(double dropout = 0) {
  return Spec(
      "mlp_block",
      {{"hidden", 16}, {"inner", 32}, {"depth", 1}, {"dropout", dropout}});
}

LayerSpec EmbeddingSpec(double dropout = 0) {
  return Spec("token_embedding", {{"vocabulary", 11},
                                  {"hidden", 16},
                                  {"positions", 8},
                                  {"dropout", dropout}});
}

// Leaves with values of order one, so that no term hides behind another.
std::vector<at::Tensor> Leaves(const LayerSpec& spec) {
  std::vector<at::Tensor> leaves;
  const std::vector<ParameterSpec> parameters = *ParametersOf(spec);
  for (ParameterSpec parameter : parameters) {
    parameter.init = InitKind::kNormal;
    parameter.init_scale = 0.5;
    at::Tensor value = at::empty(parameter.shape);
    EXPECT_TRUE(InitialValue(parameter, 5, value).ok());
    leaves.push_back(value.requires_grad_());
  }
  return leaves;
}

at::Tensor Activations(std::vector<int64_t> shape) {
  at::Tensor value = at::empty(shape);
  EXPECT_TRUE(InitialValue({.name = "activations",
                            .shape = shape,
                            .init = InitKind::kNormal,
                            .init_scale = 1},
                           6, value)
                  .ok());
  return value;
}

at::Tensor Tokens(int64_t batch, int64_t sequence, int64_t vocabulary) {
  return (at::arange(batch * sequence) * 7)
      .remainder(vocabulary)
      .reshape({batch, sequence});
}

at::Tensor Forward(const LayerSpec& spec,
                   const std::vector<at::Tensor>& parameters,
                   const std::vector<at::Tensor>& inputs,
                   const LayerContext& context = kContext) {
  const absl::StatusOr<Layer> layer = Layer::Make(spec);
  EXPECT_TRUE(layer.ok()) << layer.status();
  absl::StatusOr<at::Tensor> output =
      layer->Forward(parameters, inputs, context);
  EXPECT_TRUE(output.ok()) << output.status();
  return output.ok() ? *output : at::Tensor();
}

at::Tensor ReferenceNorm(const at::Tensor& x, const at::Tensor& weight,
                         const at::Tensor& bias) {
  const at::Tensor centred = x - x.mean(-1, true);
  const at::Tensor variance = (centred * centred).mean(-1, true);
  return centred / (variance + 1e-5).sqrt() * weight + bias;
}

void ExpectClose(const at::Tensor& got, const at::Tensor& want) {
  ASSERT_EQ(got.sizes(), want.sizes());
  EXPECT_TRUE(at::allclose(got, want, 1e-4, 1e-5))
      << (got - want).abs().max().item<double>();
}

TEST(LayerTest, TokenEmbeddingAddsTokenAndPosition) {
  const std::vector<at::Tensor> p = Leaves(EmbeddingSpec());
  const at::Tensor tokens = Tokens(2, 5, 11);
  const at::Tensor y = Forward(EmbeddingSpec(), p, {tokens});
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t t = 0; t < 5; ++t) {
      EXPECT_TRUE(
          at::equal(y[b][t], p[0][tokens[b][t].item<int64_t>()] + p[1][t]));
    }
  }
}

TEST(LayerTest, WindowEmbeddingSeesTheLastTokensAndZerosBefore) {
  const LayerSpec spec = Spec(
      "window_embedding", {{"vocabulary", 11}, {"hidden", 4}, {"window", 3}});
  const std::vector<at::Tensor> p = Leaves(spec);
  const at::Tensor tokens = Tokens(2, 5, 11);
  const at::Tensor y = Forward(spec, p, {tokens});
  ASSERT_EQ(y.sizes(), at::IntArrayRef({2, 5, 12}));
  for (int64_t t = 0; t < 5; ++t) {
    for (int64_t w = 0; w < 3; ++w) {
      const int64_t source = t - 2 + w;
      const at::Tensor want =
          source < 0 ? at::zeros({4}) : p[0][tokens[1][source].item<int64_t>()];
      EXPECT_TRUE(at::equal(y[1][t].slice(0, 4 * w, 4 * w + 4), want));
    }
  }
}

TEST(LayerTest, AttentionIsCausalSoftmaxAttentionOnTheResidual) {
  const std::vector<at::Tensor> p = Leaves(AttentionSpec());
  const at::Tensor x = Activations({2, 5, 16});
  const at::Tensor qkv =
      at::matmul(ReferenceNorm(x, p[0], p[1]), p[2].t()) + p[3];
  std::vector<at::Tensor> heads;
  for (int64_t h = 0; h < 4; ++h) {
    const auto part = [&](int64_t i) {
      return qkv.slice(2, 16 * i + 4 * h, 16 * i + 4 * h + 4);
    };
    const at::Tensor scores =
        at::matmul(part(0), part(1).transpose(1, 2)) / 2.0;  // sqrt(4)
    const at::Tensor later = at::ones({5, 5}, at::kBool).triu(1);
    const at::Tensor weights =
        scores.masked_fill(later, -std::numeric_limits<double>::infinity())
            .softmax(-1);
    heads.push_back(at::matmul(weights, part(2)));
  }
  const at::Tensor want = x + at::matmul(at::cat(heads, 2), p[4].t()) + p[5];
  ExpectClose(Forward(AttentionSpec(), p, {x}), want);
}

TEST(LayerTest, MlpBlockIsTanhGeluOnTheResidual) {
  const std::vector<at::Tensor> p = Leaves(MlpSpec());
  const at::Tensor x = Activations({2, 5, 16});
  const at::Tensor inner =
      at::matmul(ReferenceNorm(x, p[0], p[1]), p[2].t()) + p[3];
  const at::Tensor gelu =
      0.5 * inner *
      (1 + at::tanh(std::sqrt(2 / M_PI) * (inner + 0.044715 * inner.pow(3))));
  ExpectClose(Forward(MlpSpec(), p, {x}),
              x + at::matmul(gelu, p[4].t()) + p[5]);
}

TEST(LayerTest, PlainLayersMatchTheirFormulas) {
  const at::Tensor x = Activations({2, 5, 16});
  const LayerSpec norm = Spec("layer_norm", {{"hidden", 16}});
  const std::vector<at::Tensor> n = Leaves(norm);
  ExpectClose(Forward(norm, n, {x}), ReferenceNorm(x, n[0], n[1]));
  const LayerSpec linear = Spec("linear", {{"in", 16}, {"out", 3}});
  const std::vector<at::Tensor> l = Leaves(linear);
  ExpectClose(Forward(linear, l, {x}), at::matmul(x, l[0].t()) + l[1]);
  const LayerSpec head = Spec("lm_head", {{"hidden", 16}, {"vocabulary", 7}});
  const std::vector<at::Tensor> h = Leaves(head);
  ExpectClose(Forward(head, h, {x}), at::matmul(x, h[0].t()));
  ExpectClose(Forward(Spec("relu", {}), {}, {x}), x.clamp_min(0));
}

TEST(LayerTest, CrossEntropyIsTheMeanNegativeLogLikelihood) {
  const at::Tensor logits = Activations({2, 5, 7});
  const at::Tensor labels = Tokens(2, 5, 7);
  const at::Tensor loss =
      Forward(Spec("cross_entropy", {}, 2), {}, {logits, labels});
  const at::Tensor picked =
      logits.log_softmax(-1).gather(2, labels.unsqueeze(2));
  ExpectClose(loss, -picked.mean());
  EXPECT_EQ(loss.dim(), 0);
}

TEST(LayerTest, GradientsMatchFiniteDifferences) {
  for (const LayerSpec& spec : {AttentionSpec(0.3), MlpSpec(0.3)}) {
    const std::vector<at::Tensor> p = Leaves(spec);
    const at::Tensor x = Activations({2, 5, 16}).requires_grad_();
    const at::Tensor direction = Activations({2, 5, 16});
    (Forward(spec, p, {x}) * direction).sum().backward();
    constexpr double kStep = 1e-2;
    at::Tensor high = (x.detach() + kStep * direction);
    at::Tensor low = (x.detach() - kStep * direction);
    const double numeric =
        ((Forward(spec, p, {high}) - Forward(spec, p, {low})) * direction)
            .sum()
            .item<double>() /
        (2 * kStep);
    const double exact = (x.grad() * direction).sum().item<double>();
    EXPECT_NEAR(numeric, exact, 0.02 * std::abs(exact)) << spec.kind;
  }
}

TEST(LayerTest, DropoutZeroesAndScalesTheResidualBranch) {
  const std::vector<at::Tensor> p = Leaves(MlpSpec());
  const at::Tensor x = Activations({4, 50, 16});
  const at::Tensor plain = Forward(MlpSpec(), p, {x}) - x;
  const at::Tensor dropped = Forward(MlpSpec(0.25), p, {x}) - x;
  const at::Tensor is_zero = dropped == 0;
  EXPECT_NEAR(is_zero.to(at::kFloat).mean().item<double>(), 0.25, 0.03);
  ExpectClose(dropped, (plain / 0.75).masked_fill(is_zero, 0));
}

TEST(LayerTest, DropoutDependsOnSeedStepMicrobatchAndLayerName) {
  const std::vector<at::Tensor> p = Leaves(MlpSpec());
  const at::Tensor x = Activations({2, 5, 16});
  const at::Tensor base = Forward(MlpSpec(0.5), p, {x});
  EXPECT_TRUE(at::equal(base, Forward(MlpSpec(0.5), p, {x})));
  LayerSpec renamed = MlpSpec(0.5);
  renamed.name = "y";
  EXPECT_FALSE(at::equal(base, Forward(renamed, p, {x})));
  for (const LayerContext& other :
       {LayerContext{9, 2, 3}, LayerContext{1, 9, 3}, LayerContext{1, 2, 9}}) {
    EXPECT_FALSE(at::equal(base, Forward(MlpSpec(0.5), p, {x}, other)));
  }
}

TEST(LayerTest, WithoutTrainingThereIsNoDropout) {
  const std::vector<at::Tensor> p = Leaves(MlpSpec());
  const at::Tensor x = Activations({2, 5, 16});
  LayerContext context = kContext;
  context.training = false;
  EXPECT_TRUE(at::equal(Forward(MlpSpec(0.5), p, {x}, context),
                        Forward(MlpSpec(), p, {x}, context)));
}

TEST(LayerTest, DropoutIsTheSameInEveryThreadWhateverElseWasDrawn) {
  const std::vector<at::Tensor> p = Leaves(EmbeddingSpec());
  const at::Tensor tokens = Tokens(2, 5, 11);
  const at::Tensor here = Forward(EmbeddingSpec(0.5), p, {tokens});
  at::Tensor there;
  std::thread([&] {
    at::set_num_threads(2);
    at::rand({100});
    there = Forward(EmbeddingSpec(0.5), p, {tokens});
  }).join();
  EXPECT_TRUE(at::equal(here, there));
}

TEST(LayerTest, Bfloat16StaysBfloat16AndTheLossIsFloat32) {
  std::vector<at::Tensor> p;
  for (const at::Tensor& leaf : Leaves(AttentionSpec())) {
    p.push_back(leaf.detach().to(at::kBFloat16));
  }
  const at::Tensor x = Activations({2, 5, 16});
  const at::Tensor y = Forward(AttentionSpec(0.1), p, {x.to(at::kBFloat16)});
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  EXPECT_LT((y.to(at::kFloat) -
             Forward(AttentionSpec(0.1), Leaves(AttentionSpec()), {x}))
                .abs()
                .max()
                .item<double>(),
            0.3);
  const at::Tensor loss = Forward(Spec("cross_entropy", {}, 2), {},
                                  {x.to(at::kBFloat16), Tokens(2, 5, 16)});
  EXPECT_EQ(loss.scalar_type(), at::kFloat);
}

// --- bad input ---

void ExpectRefused(const LayerSpec& spec,
                   const std::vector<at::Tensor>& parameters,
                   const std::vector<at::Tensor>& inputs, absl::StatusCode code,
                   const std::string& part) {
  const absl::StatusOr<at::Tensor> output =
      Layer::Make(spec)->Forward(parameters, inputs, kContext);
  EXPECT_EQ(output.status().code(), code) << output.status();
  EXPECT_THAT(std::string(output.status().message()), HasSubstr("layer \"x\""));
  EXPECT_THAT(std::string(output.status().message()), HasSubstr(part));
}

TEST(LayerTest, RefusesWrongTensorsByName) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  const LayerSpec spec = Spec("linear", {{"in", 4}, {"out", 3}});
  const at::Tensor w = at::zeros({3, 4});
  const at::Tensor b = at::zeros({3});
  const at::Tensor x = at::zeros({2, 4});
  ExpectRefused(spec, {w}, {x}, kInvalid, "wants 2 parameters, got 1");
  ExpectRefused(spec, {w, w}, {x}, kInvalid, "x.bias wants");
  ExpectRefused(spec, {w.to(at::kDouble), b}, {x}, kInvalid, "x.weight wants");
  ExpectRefused(spec, {w, b}, {}, kInvalid, "wants 1 inputs, got 0");
  ExpectRefused(spec, {w, b}, {at::Tensor()}, kInvalid, "got nothing");
  ExpectRefused(spec, {w, b}, {x.to(at::kBFloat16)}, kInvalid,
                "input \"a\" wants");
  ExpectRefused(spec, {w, b}, {at::zeros({4, 2}).t()}, kInvalid, "got gaps");
  ExpectRefused(spec, {w, b}, {at::zeros({9}).slice(0, 1).view({2, 4})},
                kInvalid, "multiple of 64 bytes, got a remainder of 4");
  ExpectRefused(spec, {w, b}, {at::zeros({2, 5})}, absl::StatusCode::kInternal,
                "mat1 and mat2");
}

TEST(LayerTest, RefusesATokenOutsideTheVocabulary) {
  ExpectRefused(EmbeddingSpec(), Leaves(EmbeddingSpec()),
                {at::full({1, 2}, 11, at::kLong)}, absl::StatusCode::kInternal,
                "out of range");
}

TEST(LayerTest, RefusesAnUnknownKind) {
  EXPECT_EQ(Layer::Make(Spec("linaer", {})).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(LayerTest, EveryKindOfTheZooHasAComputation) {
  for (const PresetInfo& preset : Presets()) {
    const Graph graph =
        *MakeModel({.preset = preset.name,
                    .microbatch_size = 2,
                    .sequence_length = preset.default_sequence_length});
    for (const LayerSpec& layer : graph.layers) {
      EXPECT_TRUE(Layer::Make(layer).ok()) << layer.kind;
    }
  }
}

}  // namespace
}  // namespace penstock
