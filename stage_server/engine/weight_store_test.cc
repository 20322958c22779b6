#include "stage_server/engine/weight_store.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

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

class WeightStoreTest : public ::testing::Test {
 protected:
  WeightStore MakeStore(at::ScalarType type, int num_moments,
                        int max_versions = 1) {
    auto store = WeightStore::Make(Parameters(), /*seed=*/5, type,
                                   {num_moments, max_versions}, *device_);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  const std::unique_ptr<Device> device_ = *MakeDevice("cpu");
};

TEST_F(WeightStoreTest, WeightsAreAlignedLeavesWithTheInitialValues) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const WeightStore store = MakeStore(type, 1);
    for (int i = 0; i < 3; ++i) {
      const ParameterSpec spec = Parameters()[i];
      const at::Tensor want = at::empty(spec.shape, at::kFloat);
      ASSERT_TRUE(InitialValue(spec, 5, want).ok());
      const at::Tensor leaf = store.WeightLeaf(i, 0);
      EXPECT_TRUE(leaf.is_leaf() && leaf.requires_grad());
      EXPECT_TRUE(at::equal(store.Master(i), want));
      EXPECT_TRUE(at::equal(leaf.detach(), want.to(leaf.scalar_type())));
      EXPECT_EQ(reinterpret_cast<uintptr_t>(leaf.const_data_ptr()) %
                    Layer::kAlignmentBytes,
                0u);
    }
  }
}

TEST_F(WeightStoreTest, UpdateIsSeenThroughTheLeaves) {
  const absl::StatusOr<Optimizer> optimizer = Optimizer::Make(Spec("sgd"));
  ASSERT_TRUE(optimizer.ok()) << optimizer.status();
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    WeightStore store = MakeStore(type, 1);
    const at::Tensor leaf = store.WeightLeaf(1, 0);
    store.Gradient(1).fill_(2.0f);
    ASSERT_TRUE(store.Update(*optimizer, {0.25}, *device_).ok());
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(leaf.detach()[i].item<float>(), -0.5f);
    }
  }
}

TEST_F(WeightStoreTest, DecayAppliesToItsGroupOnly) {
  const absl::StatusOr<Optimizer> optimizer = Optimizer::Make(Spec("sgd"));
  ASSERT_TRUE(optimizer.ok()) << optimizer.status();
  WeightStore store = MakeStore(at::kFloat, 1);
  store.Master(0).fill_(1.0f);
  store.Master(1).fill_(1.0f);
  store.Master(2).fill_(1.0f);
  ASSERT_TRUE(store.Update(*optimizer, {/*learning_rate=*/0.5}, *device_).ok());
  EXPECT_EQ(store.Master(0)[0][0].item<float>(), 0.75f);
  EXPECT_EQ(store.Master(1)[0].item<float>(), 1.0f);
  EXPECT_EQ(store.Master(2)[6].item<float>(), 0.75f);
}

TEST_F(WeightStoreTest, TiedParametersAreNotOwned) {
  std::vector<ParameterSpec> parameters = Parameters();
  parameters[2].tied_to = "a.bias";
  EXPECT_EQ(WeightStore::Make(parameters, 5, at::kFloat, {}, *device_)
                .status()
                .message(),
            "\"b.weight\" is tied to \"a.bias\"");
}

TEST_F(WeightStoreTest, AStageWithoutParametersUpdatesNothing) {
  const absl::StatusOr<Optimizer> optimizer = Optimizer::Make(Spec("adamw"));
  ASSERT_TRUE(optimizer.ok()) << optimizer.status();
  auto store = WeightStore::Make({}, 5, at::kHalf, {.moments = 2}, *device_);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE(store->Update(*optimizer, {0.5}, *device_).ok());
}

TEST_F(WeightStoreTest, AVersionIsWrittenWhereTheOldestWasAndTheOthersStay) {
  const absl::StatusOr<Optimizer> optimizer = Optimizer::Make(Spec("sgd"));
  ASSERT_TRUE(optimizer.ok()) << optimizer.status();
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    WeightStore store = MakeStore(type, 1, /*max_versions=*/3);
    for (int update = 0; update < 5; ++update) {
      const MicrobatchId microbatch(update);
      const absl::StatusOr<int> slot = store.Hold(microbatch, update);
      ASSERT_TRUE(slot.ok()) << slot.status();
      EXPECT_EQ(*slot, update % 3);
      // Version v of the zeros is -v.
      EXPECT_EQ(store.WeightLeaf(1, *slot).detach()[4].item<float>(), -update);
      EXPECT_EQ(store.Master(1)[4].item<float>(), -update);
      store.GiveBack(microbatch);
      store.Gradient(1).fill_(1.0f);
      ASSERT_TRUE(store.Update(*optimizer, {1.0}, *device_).ok());
    }
    for (int version = 3; version <= 5; ++version) {
      const int slot = *store.Hold(MicrobatchId(version), version);
      EXPECT_EQ(store.WeightLeaf(1, slot).detach()[0].item<float>(), -version);
    }
  }
}

TEST_F(WeightStoreTest, EachFurtherVersionCostsItsWeightsAlone) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const WeightBytes one = MakeStore(type, 2, 1).bytes();
    const WeightBytes three = MakeStore(type, 2, 3).bytes();
    // Of 27 elements in runs of 32.
    const int64_t elements = 3 * 32;
    const int64_t size = type == at::kFloat ? 4 : 2;
    EXPECT_EQ(one.weights, elements * (type == at::kFloat ? 4 : 6));
    EXPECT_EQ(three.weights, one.weights + 2 * size * elements);
    EXPECT_EQ(three.gradients, one.gradients);
    EXPECT_EQ(three.moments, one.moments);
  }
}

TEST_F(WeightStoreTest, AnUpdateTakesTheGradientOfItsOwnSlot) {
  const absl::StatusOr<Optimizer> optimizer = Optimizer::Make(Spec("sgd"));
  ASSERT_TRUE(optimizer.ok()) << optimizer.status();
  auto store = WeightStore::Make(Parameters(), 5, at::kFloat, {.gradients = 2},
                                 *device_);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(store->bytes().gradients,
            2 * MakeStore(at::kFloat, 1).bytes().gradients);
  store->Gradient(1, 0).fill_(1.0f);
  store->Gradient(1, 1).fill_(10.0f);
  const float values[] = {0, -1, -11, -12};
  for (int update = 0; update < 3; ++update) {
    EXPECT_EQ(store->GradientSlotOf(update), update % 2);
    ASSERT_TRUE(store->Update(*optimizer, {1.0}, *device_).ok());
    EXPECT_EQ(store->Master(1)[0].item<float>(), values[update + 1]);
  }
}

TEST_F(WeightStoreTest, AVersionThatIsNotThereIsRefused) {
  const absl::StatusOr<Optimizer> optimizer = Optimizer::Make(Spec("sgd"));
  ASSERT_TRUE(optimizer.ok()) << optimizer.status();
  WeightStore store = MakeStore(at::kFloat, 1, /*max_versions=*/2);
  EXPECT_EQ(store.Hold(MicrobatchId(0), 1).status(),
            absl::InternalError("it reads weight version 1, which is not "
                                "there; held is 0"));
  for (int update = 0; update < 3; ++update) {
    ASSERT_TRUE(store.Update(*optimizer, {1.0}, *device_).ok());
  }
  EXPECT_EQ(store.Hold(MicrobatchId(0), 1).status(),
            absl::InternalError("it reads weight version 1, which is not "
                                "there; held are 2 to 3"));
  EXPECT_TRUE(store.Hold(MicrobatchId(0), std::nullopt).ok());
  EXPECT_EQ(store.newest_version(), 3);
}

TEST_F(WeightStoreTest, AForwardAndItsBackwardReadOneVersion) {
  WeightStore store = MakeStore(at::kFloat, 1, /*max_versions=*/2);
  ASSERT_TRUE(store.Hold(MicrobatchId(7), 0).ok());
  EXPECT_TRUE(store.CheckHeld(MicrobatchId(7), 0).ok());
  EXPECT_TRUE(store.CheckHeld(MicrobatchId(7), std::nullopt).ok());
  EXPECT_EQ(
      store.CheckHeld(MicrobatchId(7), 1),
      absl::InternalError("it reads weight version 1, its forward has read 0"));
  EXPECT_EQ(store.CheckHeld(MicrobatchId(8), 0),
            absl::InternalError("it is not in flight"));
  EXPECT_EQ(store.Hold(MicrobatchId(7), 0).status(),
            absl::InternalError("it is already in flight"));
  store.GiveBack(MicrobatchId(7));
  EXPECT_FALSE(store.CheckHeld(MicrobatchId(7), 0).ok());
}

TEST_F(WeightStoreTest, AVersionThatIsReadIsNotWrittenOver) {
  const absl::StatusOr<Optimizer> optimizer = Optimizer::Make(Spec("sgd"));
  ASSERT_TRUE(optimizer.ok()) << optimizer.status();
  WeightStore store = MakeStore(at::kFloat, 1, /*max_versions=*/2);
  ASSERT_TRUE(store.Hold(MicrobatchId(4), 0).ok());
  ASSERT_TRUE(store.Update(*optimizer, {1.0}, *device_).ok());
  EXPECT_EQ(store.Update(*optimizer, {1.0}, *device_),
            absl::InternalError("weight version 2 would go where version 0 is, "
                                "which microbatch 4 still reads; 2 are kept"));
  EXPECT_EQ(store.newest_version(), 1);
  store.GiveBack(MicrobatchId(4));
  EXPECT_TRUE(store.Update(*optimizer, {1.0}, *device_).ok());
}

// f(w) = (w - 3)^2 / 2 of one weight that begins at 0, whose gradient is taken
// at the version that the stage's delay says: W(t+1) = W(t) - lr f'(W(t-L)).
// The equations are written out, each version kept in a plain list.
class QuadraticTest
    : public ::testing::TestWithParam<std::tuple<const char*, int>> {
 protected:
  static constexpr float kRate = 0.125f;

  static OptimizerSpec QuadraticSpec(const std::string& kind) {
    OptimizerSpec spec;
    spec.set_kind(kind);
    spec.set_momentum(0.5);
    spec.set_beta1(0.5);
    spec.set_beta2(0.75);
    spec.set_epsilon(1e-8);
    return spec;
  }

  // What the optimizer makes of the weight, as its paper has it.
  float Next(const std::string& kind, float w, float g, int update) {
    if (kind == "sgd") {
      first_ = 0.5f * first_ + g;
      return w - kRate * first_;
    }
    first_ = 0.5f * first_ + 0.5f * g;
    second_ = 0.75f * second_ + 0.25f * (g * g);
    const double m = first_ / (1 - std::pow(0.5, update + 1));
    const double v = second_ / (1 - std::pow(0.75, update + 1));
    return static_cast<float>(w - kRate * m / (std::sqrt(v) + 1e-8));
  }

  float first_ = 0, second_ = 0;
};

TEST_P(QuadraticTest, FollowsTheUpdateEquation) {
  const auto [kind, versions] = GetParam();
  const int delay = versions - 1;
  const std::unique_ptr<Device> device = *MakeDevice("cpu");
  const absl::StatusOr<Optimizer> optimizer =
      Optimizer::Make(QuadraticSpec(kind));
  ASSERT_TRUE(optimizer.ok()) << optimizer.status();
  auto store = WeightStore::Make({{"w", {1}, InitKind::kZeros, 0, false, ""}},
                                 5, at::kFloat,
                                 {optimizer->num_moments(), versions}, *device);
  ASSERT_TRUE(store.ok()) << store.status();
  std::vector<float> wanted = {0.0f};
  for (int update = 0; update < 12; ++update) {
    const int read = std::max(0, update - delay);
    const MicrobatchId microbatch(update);
    const absl::StatusOr<int> slot = store->Hold(microbatch, read);
    ASSERT_TRUE(slot.ok()) << slot.status();
    const float w = store->WeightLeaf(0, *slot).detach()[0].item<float>();
    const float tolerance = std::string(kind) == "sgd" ? 0.0f : 2e-6f;
    ASSERT_NEAR(w, wanted[read], tolerance) << "version " << read;
    store->Gradient(0).fill_(w - 3.0f);
    store->GiveBack(microbatch);
    UpdateArguments arguments;
    arguments.learning_rate = kRate;
    arguments.update = update;
    ASSERT_TRUE(store->Update(*optimizer, arguments, *device).ok());
    wanted.push_back(Next(kind, wanted[update], wanted[read] - 3.0f, update));
    ASSERT_NEAR(store->Master(0)[0].item<float>(), wanted.back(), tolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(OptimizersAndVersions, QuadraticTest,
                         ::testing::Combine(::testing::Values("sgd", "adamw"),
                                            ::testing::Values(1, 2, 3, 4)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)) +
                                  "Keeps" +
                                  std::to_string(std::get<1>(info.param));
                         });

}  // namespace
}  // namespace penstock
