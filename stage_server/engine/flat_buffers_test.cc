#include "stage_server/engine/flat_buffers.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "models/layers/init.h"
#include "models/layers/layer.h"

namespace penstock {
namespace {

std::vector<ParameterSpec> Parameters() {
  return {{"a.weight", {3, 5}, InitKind::kNormal, 0.1, true, ""},
          {"a.bias", {5}, InitKind::kZeros, 0, false, ""},
          {"b.weight", {7}, InitKind::kUniform, 0.5, true, ""}};
}

OptimizerSpec Spec(const std::string& kind) {
  OptimizerSpec spec;
  spec.set_kind(kind);
  spec.set_weight_decay(0.5);
  return spec;
}

class FlatBuffersTest : public ::testing::Test {
 protected:
  FlatBuffers MakeBuffers(at::ScalarType type, int num_moments) {
    auto buffers = FlatBuffers::Make(Parameters(), /*seed=*/5, type,
                                     num_moments, *device_);
    EXPECT_TRUE(buffers.ok()) << buffers.status();
    return *std::move(buffers);
  }

  const std::unique_ptr<Device> device_ = *MakeDevice("cpu");
};

TEST_F(FlatBuffersTest, WeightsAreAlignedLeavesWithTheInitialValues) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const FlatBuffers buffers = MakeBuffers(type, 1);
    for (int i = 0; i < 3; ++i) {
      const ParameterSpec spec = Parameters()[i];
      const at::Tensor want = at::empty(spec.shape, at::kFloat);
      ASSERT_TRUE(InitialValue(spec, 5, want).ok());
      const at::Tensor leaf = buffers.WeightLeaf(i);
      EXPECT_TRUE(leaf.is_leaf() && leaf.requires_grad());
      EXPECT_TRUE(at::equal(buffers.Master(i), want));
      EXPECT_TRUE(at::equal(leaf.detach(), want.to(leaf.scalar_type())));
      EXPECT_EQ(reinterpret_cast<uintptr_t>(leaf.const_data_ptr()) %
                    Layer::kAlignmentBytes,
                0u);
    }
  }
}

TEST_F(FlatBuffersTest, UpdateIsSeenThroughTheLeaves) {
  const absl::StatusOr<Optimizer> optimizer = Optimizer::Make(Spec("sgd"));
  ASSERT_TRUE(optimizer.ok()) << optimizer.status();
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    FlatBuffers buffers = MakeBuffers(type, 1);
    const at::Tensor leaf = buffers.WeightLeaf(1);
    buffers.Gradient(1).fill_(2.0f);
    buffers.Update(*optimizer, {/*learning_rate=*/0.25}, *device_);
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(leaf.detach()[i].item<float>(), -0.5f);
    }
  }
}

TEST_F(FlatBuffersTest, DecayAppliesToItsGroupOnly) {
  const absl::StatusOr<Optimizer> optimizer = Optimizer::Make(Spec("sgd"));
  ASSERT_TRUE(optimizer.ok()) << optimizer.status();
  FlatBuffers buffers = MakeBuffers(at::kFloat, 1);
  buffers.Master(0).fill_(1.0f);
  buffers.Master(1).fill_(1.0f);
  buffers.Master(2).fill_(1.0f);
  buffers.Update(*optimizer, {/*learning_rate=*/0.5}, *device_);
  EXPECT_EQ(buffers.Master(0)[0][0].item<float>(), 0.75f);
  EXPECT_EQ(buffers.Master(1)[0].item<float>(), 1.0f);
  EXPECT_EQ(buffers.Master(2)[6].item<float>(), 0.75f);
}

TEST_F(FlatBuffersTest, TiedParametersAreNotOwned) {
  std::vector<ParameterSpec> parameters = Parameters();
  parameters[2].tied_to = "a.bias";
  EXPECT_EQ(FlatBuffers::Make(parameters, 5, at::kFloat, 1, *device_)
                .status()
                .message(),
            "\"b.weight\" is tied to \"a.bias\"");
}

TEST_F(FlatBuffersTest, AStageWithoutParametersUpdatesNothing) {
  const absl::StatusOr<Optimizer> optimizer = Optimizer::Make(Spec("adamw"));
  ASSERT_TRUE(optimizer.ok()) << optimizer.status();
  auto buffers = FlatBuffers::Make({}, 5, at::kHalf, 2, *device_);
  ASSERT_TRUE(buffers.ok()) << buffers.status();
  buffers->Update(*optimizer, {/*learning_rate=*/0.5}, *device_);
}

}  // namespace
}  // namespace penstock
