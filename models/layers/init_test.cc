#include "models/layers/init.h"

#include <ATen/ATen.h>

#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/graph/layer_kinds.h"
#include "models/zoo/zoo.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

at::Tensor Initial(const ParameterSpec& parameter, uint64_t seed) {
  at::Tensor out = at::empty(parameter.shape);
  const absl::Status status = InitialValue(parameter, seed, out);
  EXPECT_TRUE(status.ok()) << status;
  return out;
}

const ParameterSpec kMatrix = {.name = "a.weight",
                               .shape = {64, 128},
                               .init = InitKind::kNormal,
                               .init_scale = 0.02};

std::vector<ParameterSpec> TiedGptParameters() {
  const Graph graph = *MakeModel({.preset = "gpt-nano",
                                  .overrides = {{"tied", "true"}},
                                  .microbatch_size = 1,
                                  .sequence_length = 8});
  std::vector<ParameterSpec> all;
  for (const LayerSpec& layer : graph.layers) {
    const std::vector<ParameterSpec> parameters = *ParametersOf(layer);
    all.insert(all.end(), parameters.begin(), parameters.end());
  }
  return all;
}

TEST(InitialValueTest, NormalHasTheScale) {
  const at::Tensor value = Initial(kMatrix, 1);
  EXPECT_NEAR(value.std().item<double>(), 0.02, 0.001);
  EXPECT_NEAR(value.mean().item<double>(), 0, 0.001);
}

TEST(InitialValueTest, BiasesAreZeroAndNormsOne) {
  ParameterSpec vector = {.name = "v", .shape = {5}};
  EXPECT_TRUE(at::equal(Initial(vector, 1), at::zeros({5})));
  vector.init = InitKind::kOnes;
  EXPECT_TRUE(at::equal(Initial(vector, 1), at::ones({5})));
}

TEST(InitialValueTest, DependsOnSeedAndNameAlone) {
  ParameterSpec other = kMatrix;
  other.name = "b.weight";
  const at::Tensor value = Initial(kMatrix, 1);
  EXPECT_FALSE(at::equal(value, Initial(other, 1)));
  EXPECT_FALSE(at::equal(value, Initial(kMatrix, 2)));
  EXPECT_TRUE(at::equal(value, Initial(kMatrix, 1)));
}

TEST(InitialValueTest, IsTheSameInAnyOrderOfCalls) {
  const std::vector<ParameterSpec> parameters = TiedGptParameters();
  std::map<std::string, at::Tensor> forwards;
  for (const ParameterSpec& spec : parameters) {
    forwards[spec.name] = Initial(spec, 17);
  }
  for (auto spec = parameters.rbegin(); spec != parameters.rend(); ++spec) {
    EXPECT_TRUE(at::equal(forwards[spec->name], Initial(*spec, 17)))
        << spec->name;
  }
}

TEST(InitialValueTest, NoTwoMatricesStartEqual) {
  std::vector<at::Tensor> matrices;
  for (const ParameterSpec& spec : TiedGptParameters()) {
    if (spec.init != InitKind::kNormal || !spec.tied_to.empty()) continue;
    matrices.push_back(Initial(spec, 17).flatten().slice(0, 0, 64));
  }
  for (size_t i = 0; i < matrices.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      EXPECT_LT((matrices[i] * matrices[k]).sum().abs().item<double>(),
                0.9 * matrices[i].norm().item<double>() *
                    matrices[k].norm().item<double>());
    }
  }
}

TEST(InitialValueTest, ATiedParameterStartsAsItsOwner) {
  std::map<std::string, ParameterSpec> by_name;
  for (const ParameterSpec& spec : TiedGptParameters()) {
    by_name[spec.name] = spec;
  }
  ASSERT_EQ(by_name["head.weight"].tied_to, "embed.token.weight");
  EXPECT_TRUE(at::equal(Initial(by_name["head.weight"], 3),
                        Initial(by_name["embed.token.weight"], 3)));
}

TEST(InitialValueTest, RefusesAnotherShapeTypeOrLayout) {
  for (const at::Tensor& out :
       {at::empty({128, 64}), at::empty({64, 128}, at::kBFloat16),
        at::empty({128, 64}).t(), at::Tensor()}) {
    const absl::Status status = InitialValue(kMatrix, 1, out);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("initial value of \"a.weight\""));
  }
}

}  // namespace
}  // namespace penstock
