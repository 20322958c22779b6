// The kinds beyond a language model's: each against a formula of its own, its
// gradients against finite differences, and what it keeps and refuses.

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/graph/layer_kinds.h"
#include "models/layers/init.h"
#include "models/layers/layer.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

using Tensors = std::vector<at::Tensor>;

struct Case {
  std::string kind;
  std::map<std::string, double> attributes;
  std::function<Tensors()> inputs;
  bool is_loss = false;
};

LayerSpec SpecOf(const Case& one) {
  LayerSpec spec = {
      .name = "x", .kind = one.kind, .attributes = one.attributes};
  for (size_t i = 0; i < one.inputs().size(); ++i) {
    spec.inputs.push_back(std::string(1, static_cast<char>('a' + i)));
  }
  return spec;
}

Tensors Leaves(const LayerSpec& spec) {
  Tensors leaves;
  const std::vector<ParameterSpec> parameters = *ParametersOf(spec);
  for (const ParameterSpec& parameter : parameters) {
    at::Tensor value = at::empty(parameter.shape, at::kFloat);
    EXPECT_TRUE(InitialValue(parameter, 11, value).ok());
    // Away from zeros and ones, at which a mistake might not show.
    value.add_(at::randn(value.sizes()).mul(0.1));
    leaves.push_back(value.requires_grad_());
  }
  return leaves;
}

at::Tensor Output(const LayerSpec& spec, const Tensors& parameters,
                  const Tensors& inputs, const LayerSinks& sinks = {}) {
  const auto output =
      Layer::Make(spec)->Forward(parameters, inputs, LayerContext(), sinks);
  EXPECT_TRUE(output.ok()) << output.status();
  return output.ok() ? *output : at::zeros({});
}

std::map<std::string, double> Window(double kernel, double stride,
                                     double padding) {
  return {{"kernel", kernel}, {"stride", stride}, {"padding", padding}};
}

std::map<std::string, double> Convolution(double groups, double bias) {
  std::map<std::string, double> attributes = Window(3, 2, 1);
  attributes.insert(
      {{"in", 4}, {"out", 6}, {"groups", groups}, {"bias", bias}});
  return attributes;
}

at::Tensor Images() { return at::randn({3, 4, 6, 8}); }
at::Tensor States() { return at::randn({3, 5, 8}); }
at::Tensor Words() {
  const at::Tensor words = at::randint(1, 9, {3, 5}, at::kLong);
  words.slice(1, 3).select(0, 1).fill_(kPaddingToken);
  return words;
}

std::vector<Case> Cases() {
  const auto one = [](at::Tensor (*input)()) {
    return [input] { return Tensors{input()}; };
  };
  const auto pair = [] { return Tensors{Images(), Images()}; };
  return {
      {"convolution", Convolution(1, 1), one(Images)},
      {"convolution", Convolution(2, 0), one(Images)},
      {"batch_norm", {{"channels", 4}, {"momentum", 0.1}}, one(Images)},
      {"max_pool", Window(2, 2, 0), one(Images)},
      {"average_pool", Window(3, 1, 1), one(Images)},
      {"global_average_pool", {}, one(Images)},
      {"upsample", {{"factor", 2}}, one(Images)},
      {"flatten", {}, one(Images)},
      {"copy", {}, one(Images)},
      {"add",
       {},
       [] {
         return Tensors{Images(), Images(), Images()};
       }},
      {"concat", {}, pair},
      {"embedding", {{"vocabulary", 9}, {"hidden", 4}}, one(Words)},
      {"rms_norm", {{"hidden", 8}}, one(States)},
      {"rotary_attention",
       {{"hidden", 8}, {"heads", 4}, {"key_heads", 2}, {"depth", 1}},
       one(States)},
      {"swiglu_block",
       {{"hidden", 8}, {"inner", 12}, {"depth", 1}},
       one(States)},
      {"lstm", {{"in", 8}, {"hidden", 4}}, one(States)},
      {"cross_attention",
       {{"hidden", 8}, {"heads", 2}},
       [] {
         return Tensors{at::randn({3, 4, 8}), States(), Words()};
       }},
      {"sequence_mean", {}, one(States)},
      {"l2_normalize", {}, one(States)},
      {"contrastive_loss",
       {{"temperature", 0.5}},
       [] {
         return Tensors{at::randn({4, 6}), at::randn({4, 6})};
       },
       true},
      {"cross_entropy",
       {},
       [] {
         return Tensors{Images(), at::randint(0, 4, {3, 6, 8}, at::kLong)};
       },
       true},
  };
}

class KindsTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    at::manual_seed(17);
  }
};

TEST_P(KindsTest, TheOutputHasTheInferredShape) {
  const LayerSpec spec = SpecOf(GetParam());
  const Tensors inputs = GetParam().inputs();
  Graph graph = {.microbatch_size = inputs[0].size(0), .layers = {spec}};
  for (size_t i = 0; i < inputs.size(); ++i) {
    graph.inputs[spec.inputs[i]] = {inputs[i].scalar_type() == at::kLong
                                        ? ElementType::kInt64
                                        : ElementType::kActivation,
                                    inputs[i].sizes().vec()};
  }
  const auto shapes = InferShapes(graph);
  ASSERT_TRUE(shapes.ok()) << shapes.status();
  EXPECT_EQ(Output(spec, Leaves(spec), inputs).sizes().vec(),
            shapes->at("x").shape);
}

// Along one random direction through every input and parameter.
TEST_P(KindsTest, GradientsMatchFiniteDifferences) {
  const LayerSpec spec = SpecOf(GetParam());
  const Tensors parameters = Leaves(spec);
  const Tensors inputs = GetParam().inputs();
  Tensors points;
  for (const Tensors& tensors : {parameters, inputs}) {
    for (const at::Tensor& tensor : tensors) {
      if (tensor.is_floating_point()) points.push_back(tensor.requires_grad_());
    }
  }
  const at::Tensor output = Output(spec, parameters, inputs);
  const at::Tensor direction = at::randn(output.sizes());
  output.mul(direction).sum().backward();
  Tensors steps;
  double exact = 0;
  for (const at::Tensor& point : points) {
    ASSERT_TRUE(point.grad().defined());
    steps.push_back(point.grad().div(point.grad().norm().add(1e-6)));
    exact += point.grad().mul(steps.back()).sum().item<double>();
  }
  const auto at_distance = [&](double distance) {
    const at::NoGradGuard no_grad;
    size_t next = 0;
    const auto move = [&](const Tensors& tensors) {
      Tensors moved;
      for (const at::Tensor& tensor : tensors) {
        moved.push_back(tensor.is_floating_point()
                            ? tensor.add(steps[next++].mul(distance))
                            : tensor);
      }
      return moved;
    };
    const Tensors moved = move(parameters);
    return Output(spec, moved, move(inputs))
        .mul(direction)
        .sum()
        .item<double>();
  };
  constexpr double kStep = 2e-3;
  const double numeric =
      (at_distance(kStep) - at_distance(-kStep)) / (2 * kStep);
  EXPECT_NEAR(numeric, exact, 0.02 * std::abs(exact) + 1e-3);
}

TEST_P(KindsTest, Bfloat16StaysNearFloat32) {
  const LayerSpec spec = SpecOf(GetParam());
  const Tensors parameters = Leaves(spec);
  const Tensors inputs = GetParam().inputs();
  const auto rounded = [](const Tensors& tensors) {
    Tensors result;
    for (const at::Tensor& tensor : tensors) {
      result.push_back(tensor.is_floating_point()
                           ? tensor.detach().to(at::kBFloat16)
                           : tensor);
    }
    return result;
  };
  const at::Tensor got = Output(spec, rounded(parameters), rounded(inputs));
  EXPECT_EQ(got.scalar_type(), GetParam().is_loss ? at::kFloat : at::kBFloat16);
  const at::Tensor want = Output(spec, parameters, inputs);
  EXPECT_LT(got.to(at::kFloat).sub(want).abs().max().item<double>(),
            0.05 * want.abs().max().item<double>() + 0.02);
}

TEST_P(KindsTest, ASecondRunHasTheSameBits) {
  const LayerSpec spec = SpecOf(GetParam());
  const Tensors parameters = Leaves(spec);
  const Tensors inputs = GetParam().inputs();
  EXPECT_TRUE(at::equal(Output(spec, parameters, inputs),
                        Output(spec, parameters, inputs)));
}

INSTANTIATE_TEST_SUITE_P(Each, KindsTest, ::testing::ValuesIn(Cases()),
                         [](const ::testing::TestParamInfo<Case>& info) {
                           return info.param.kind + std::to_string(info.index);
                         });

// --- what a kind means ---

TEST(VisionKindsTest, BatchNormNormalisesEachChannelOverTheMicrobatch) {
  at::manual_seed(1);
  const LayerSpec spec =
      SpecOf({"batch_norm", {{"channels", 4}, {"momentum", 0.1}}, [] {
                return Tensors{Images()};
              }});
  const at::Tensor x = Images().mul(3).add(5);
  const Tensors plain = {at::ones({4}), at::zeros({4})};
  const at::Tensor y = Output(spec, plain, {x});
  const at::Tensor flat = y.transpose(0, 1).flatten(1);
  EXPECT_TRUE(at::allclose(flat.mean(1), at::zeros({4}), 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(flat.var(1, false), at::ones({4}), 1e-3, 1e-3));
}

class StatisticsTest : public ::testing::Test {
 protected:
  StatisticsTest() { at::manual_seed(2); }

  Tensors StatisticsOfRun(const at::Tensor& x) {
    Tensors statistics;
    Output(spec_, parameters_, {x}, {.statistics = &statistics});
    return statistics;
  }

  const LayerSpec spec_ = {.name = "x",
                           .kind = "batch_norm",
                           .attributes = {{"channels", 4}, {"momentum", 0.25}},
                           .inputs = {"a"}};
  const Tensors parameters_ = Leaves(spec_);
};

TEST_F(StatisticsTest, AreTheMicrobatchsOwn) {
  const at::Tensor x = Images().mul(3).add(5);
  const Tensors statistics = StatisticsOfRun(x);
  ASSERT_EQ(statistics.size(), 2u);
  const at::Tensor flat = x.transpose(0, 1).flatten(1);
  EXPECT_TRUE(at::allclose(statistics[0], flat.mean(1), 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(statistics[1], flat.var(1, true), 1e-4, 1e-5));
  const Tensors again = StatisticsOfRun(x);
  EXPECT_TRUE(at::equal(statistics[0], again[0]));
  EXPECT_TRUE(at::equal(statistics[1], again[1]));
}

TEST_F(StatisticsTest, AreCommittedByTheMomentum) {
  const Layer layer = *Layer::Make(spec_);
  const Tensors running = {at::zeros({4}), at::ones({4})};
  const Tensors batch = {at::full({4}, 8.0f), at::full({4}, 5.0f)};
  ASSERT_TRUE(layer.CommitStatistics(batch, running).ok());
  EXPECT_TRUE(at::equal(running[0], at::full({4}, 2.0f)));
  EXPECT_TRUE(at::equal(running[1], at::full({4}, 2.0f)));
  ASSERT_TRUE(layer.CommitStatistics(batch, running).ok());
  EXPECT_TRUE(at::equal(running[0], at::full({4}, 3.5f)));
}

TEST_F(StatisticsTest, OfWrongTensorsAreRefused) {
  const Layer layer = *Layer::Make(spec_);
  const Tensors good = {at::zeros({4}), at::ones({4})};
  EXPECT_THAT(
      std::string(layer.CommitStatistics({at::zeros({4})}, good).message()),
      HasSubstr("layer \"x\": it wants 2 statistics, got 1 for 2"));
  EXPECT_THAT(
      std::string(layer.CommitStatistics({at::zeros({4}), at::ones({3})}, good)
                      .message()),
      HasSubstr("x.variance wants float32 [4], got Float [3]"));
  const Layer relu =
      *Layer::Make({.name = "r", .kind = "relu", .inputs = {"a"}});
  EXPECT_THAT(std::string(relu.CommitStatistics(good, good).message()),
              HasSubstr("it wants 0 statistics"));
}

TEST_F(StatisticsTest, AreWhatItNormalisesByWithoutTraining) {
  LayerContext context;
  context.training = false;
  Tensors running = {at::full({4}, 3.0f), at::full({4}, 4.0f)};
  LayerSinks sinks;
  sinks.statistics = &running;
  const at::Tensor x = Images();
  const auto y = Layer::Make(spec_)->Forward(parameters_, {x}, context, sinks);
  ASSERT_TRUE(y.ok()) << y.status();
  const at::Tensor scale = parameters_[0].detach().view({1, 4, 1, 1});
  const at::Tensor shift = parameters_[1].detach().view({1, 4, 1, 1});
  EXPECT_TRUE(at::allclose(y->detach(), (x - 3).div(2).mul(scale).add(shift),
                           1e-4, 1e-4));
  EXPECT_TRUE(at::equal(running[0], at::full({4}, 3.0f)));
}

TEST_F(StatisticsTest, BatchNormRunsInTrainingOnlyWithoutThem) {
  LayerContext context;
  context.training = false;
  EXPECT_THAT(std::string(Layer::Make(spec_)
                              ->Forward(parameters_, {Images()}, context)
                              .status()
                              .message()),
              HasSubstr("layer \"x\": a batch norm runs in training only"));
}

TEST(VisionKindsTest, ConcatJoinsChannels) {
  const Case concat = {"concat", {}, [] {
                         return Tensors{Images(), Images()};
                       }};
  const Tensors inputs = concat.inputs();
  EXPECT_TRUE(
      at::equal(Output(SpecOf(concat), {}, inputs), at::cat(inputs, 1)));
  const Case last = {"concat", {}, [] { return Tensors{States(), States()}; }};
  const Tensors states = last.inputs();
  EXPECT_TRUE(at::equal(Output(SpecOf(last), {}, states), at::cat(states, 2)));
}

TEST(VisionKindsTest, UpsampleRepeatsPixels) {
  const Case upsample = {
      "upsample", {{"factor", 2}}, [] { return Tensors{Images()}; }};
  const at::Tensor x = Images();
  EXPECT_TRUE(at::equal(Output(SpecOf(upsample), {}, {x}),
                        x.repeat_interleave(2, 2).repeat_interleave(2, 3)));
}

TEST(VisionKindsTest, ACopyIsAStepOfItsOwnForAutograd) {
  const Case copy = {"copy", {}, [] { return Tensors{Images()}; }};
  const at::Tensor x = Images().requires_grad_().mul(1);
  const at::Tensor y = Output(SpecOf(copy), {}, {x});
  EXPECT_TRUE(at::equal(x, y));
  EXPECT_NE(x.grad_fn(), y.grad_fn());
}

TEST(SequenceKindsTest, RmsNormDividesByTheRootOfTheMeanSquare) {
  const LayerSpec spec =
      SpecOf({"rms_norm", {{"hidden", 8}}, [] { return Tensors{States()}; }});
  const Tensors p = Leaves(spec);
  const at::Tensor x = States();
  const at::Tensor want = x / (x.pow(2).mean(-1, true) + 1e-5).sqrt() * p[0];
  EXPECT_TRUE(at::allclose(Output(spec, p, {x}), want, 1e-5, 1e-6));
}

LayerSpec RotarySpec() {
  return {.name = "x",
          .kind = "rotary_attention",
          .attributes = {{"hidden", 8},
                         {"heads", 2},
                         {"key_heads", 1},
                         {"depth", 1}},
          .inputs = {"a"}};
}

// Written out pair by pair, with complex numbers.
TEST(LlamaKindsTest, RotaryAttentionTurnsQueriesAndSharedKeys) {
  at::manual_seed(6);
  const Tensors p = Leaves(RotarySpec());
  const at::Tensor x = at::randn({1, 3, 8});
  const at::Tensor n = x / (x.pow(2).mean(-1, true) + 1e-5).sqrt() * p[0];
  const auto turned = [](const at::Tensor& rows) {
    const at::Tensor result = rows.clone();
    for (int64_t t = 0; t < rows.size(0); ++t) {
      for (int64_t i = 0; i < 2; ++i) {
        const double angle = static_cast<double>(t) / std::pow(100.0, i);
        const double a = rows[t][i].item<double>();
        const double b = rows[t][i + 2].item<double>();
        result[t][i] = a * std::cos(angle) - b * std::sin(angle);
        result[t][i + 2] = b * std::cos(angle) + a * std::sin(angle);
      }
    }
    return result;
  };
  const at::Tensor query = at::matmul(n[0], p[1].t());
  const at::Tensor memory = at::matmul(n[0], p[2].t());
  const at::Tensor later = at::ones({3, 3}, at::kBool).triu(1);
  Tensors heads;
  for (int64_t head = 0; head < 2; ++head) {
    const at::Tensor scores =
        at::matmul(turned(query.slice(1, 4 * head, 4 * head + 4).detach()),
                   turned(memory.slice(1, 0, 4).detach()).t()) /
        2.0;  // sqrt(4)
    heads.push_back(at::matmul(scores.masked_fill(later, -1e9).softmax(-1),
                               memory.slice(1, 4)));
  }
  const at::Tensor want = x[0] + at::matmul(at::cat(heads, 1), p[3].t());
  EXPECT_TRUE(at::allclose(Output(RotarySpec(), p, {x})[0], want, 1e-4, 1e-5));
}

TEST(LlamaKindsTest, HeadsMustFit) {
  LayerSpec spec = RotarySpec();
  spec.attributes["heads"] = 8;
  EXPECT_THAT(std::string(Layer::Make(spec).status().message()),
              HasSubstr("want heads of an even size"));
  spec.attributes["heads"] = 2;
  spec.attributes["key_heads"] = 4;
  EXPECT_THAT(std::string(Layer::Make(spec).status().message()),
              HasSubstr("key_heads that divide heads"));
}

TEST(LlamaKindsTest, SwigluGatesWithSilu) {
  const LayerSpec spec = {
      .name = "x",
      .kind = "swiglu_block",
      .attributes = {{"hidden", 8}, {"inner", 12}, {"depth", 1}},
      .inputs = {"a"}};
  const Tensors p = Leaves(spec);
  const at::Tensor x = States();
  const at::Tensor n = x / (x.pow(2).mean(-1, true) + 1e-5).sqrt() * p[0];
  const at::Tensor both = at::matmul(n, p[1].t());
  const at::Tensor gate = both.slice(2, 0, 12);
  const at::Tensor want =
      x + at::matmul(gate * gate.sigmoid() * both.slice(2, 12), p[2].t());
  EXPECT_TRUE(at::allclose(Output(spec, p, {x}), want, 1e-4, 1e-5));
}

TEST(SequenceKindsTest, CrossAttentionLeavesPaddingOut) {
  at::manual_seed(4);
  const LayerSpec spec = {.name = "x",
                          .kind = "cross_attention",
                          .attributes = {{"hidden", 8}, {"heads", 2}},
                          .inputs = {"a", "b", "c"}};
  const Tensors p = Leaves(spec);
  const at::Tensor x = at::randn({3, 4, 8});
  const at::Tensor memory = States();
  const at::Tensor words = Words();
  const at::Tensor before = Output(spec, p, {x, memory, words});
  const at::Tensor other = memory.clone();
  other.slice(1, 3).select(0, 1).fill_(9);
  EXPECT_TRUE(
      at::allclose(before, Output(spec, p, {x, other, words}), 1e-6, 1e-6));
  other.select(1, 0).fill_(9);
  EXPECT_FALSE(at::allclose(before, Output(spec, p, {x, other, words})));
}

TEST(SequenceKindsTest, CrossAttentionIsSoftmaxOverTheMemory) {
  at::manual_seed(4);
  const LayerSpec spec = {.name = "x",
                          .kind = "cross_attention",
                          .attributes = {{"hidden", 8}, {"heads", 1}},
                          .inputs = {"a", "b", "c"}};
  const Tensors p = Leaves(spec);
  const at::Tensor x = at::randn({3, 4, 8});
  const at::Tensor memory = States();
  const at::Tensor query = at::matmul(x, p[0].t()) + p[1];
  const at::Tensor both = at::matmul(memory, p[2].t()) + p[3];
  const at::Tensor weights =
      (at::matmul(query, both.slice(2, 0, 8).transpose(1, 2)) / std::sqrt(8.0))
          .softmax(-1);
  const at::Tensor want =
      x + at::matmul(at::matmul(weights, both.slice(2, 8)), p[4].t()) + p[5];
  const at::Tensor words = at::ones({3, 5}, at::kLong);
  EXPECT_TRUE(
      at::allclose(Output(spec, p, {x, memory, words}), want, 1e-4, 1e-5));
}

TEST(PairKindsTest, ContrastiveLossFallsAsPairsAgree) {
  const LayerSpec spec = {.name = "x",
                          .kind = "contrastive_loss",
                          .attributes = {{"temperature", 0.1}},
                          .inputs = {"a", "b"}};
  const at::Tensor unit = at::eye(4);
  const Tensors p = {at::zeros({1})};
  // Four equal choices each way, then ten times surer of the right one.
  EXPECT_NEAR(Output(spec, p, {at::ones({4, 4}), unit}).item<double>(),
              std::log(4.0), 1e-5);
  EXPECT_NEAR(Output(spec, p, {unit, unit}).item<double>(),
              std::log(1 + 3 * std::exp(-10.0)), 1e-6);
}

TEST(PairKindsTest, L2NormalizeGivesLengthOneAndKeepsZeros) {
  const LayerSpec spec =
      SpecOf({"l2_normalize", {}, [] { return Tensors{States()}; }});
  EXPECT_TRUE(
      at::allclose(Output(spec, {}, {States()}).norm(2, -1), at::ones({3, 5})));
  EXPECT_TRUE(
      at::equal(Output(spec, {}, {at::zeros({2, 3})}), at::zeros({2, 3})));
}

TEST(PairKindsTest, IgnoredLabelsDoNotCount) {
  const LayerSpec spec = {
      .name = "x", .kind = "cross_entropy", .inputs = {"a", "b"}};
  const at::Tensor logits = at::randn({2, 5, 7});
  const at::Tensor labels = at::randint(0, 7, {2, 5}, at::kLong);
  labels.slice(1, 2).fill_(kIgnoredLabel);
  const at::Tensor some = Output(
      spec, {},
      {logits.slice(1, 0, 2).contiguous(), labels.slice(1, 0, 2).contiguous()});
  EXPECT_TRUE(at::allclose(Output(spec, {}, {logits, labels}), some));
}

}  // namespace
}  // namespace penstock
