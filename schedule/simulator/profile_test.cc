#include "schedule/simulator/profile.h"

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "schedule/simulator/simulation_fixture.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

wire::Profile ParseProfile(const std::string& text) {
  wire::Profile profile;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &profile));
  return profile;
}

// Three layers, cut after the first two; the tensor between them is "h0".
wire::Profile ThreeLayers() {
  return ParseProfile(R"pb(
    layers {
      name: "embed"
      forward_seconds: 0.5
      weight_gradient_seconds: 0.25
      parameter_bytes: 100
      state_bytes: 400
      saved_bytes: 10
      workspace_bytes: 7
    }
    layers {
      name: "block"
      forward_seconds: 1
      input_gradient_seconds: 1
      weight_gradient_seconds: 1
      backward_seconds: 1.5
      recompute_seconds: 0.75
      update_seconds: 0.125
      saved_bytes: 30
      pending_weight_bytes: 20
      workspace_bytes: 5
    }
    layers { name: "head" forward_seconds: 2 }
    tensors { name: "h0" bytes: 64 }
    link { latency_seconds: 0.01 bytes_per_second: 100 }
    links {
      from_rank: 1
      to_rank: 0
      latency_seconds: 0.02
      bytes_per_second: 50
      eager_bytes: 8
    }
    devices { name: "slow" slowdown: 2 }
    devices { name: "new" }
    action_overhead_seconds: 0.001
    pair_gain: 0.5
  )pb");
}

Schedule TwoStages() { return OverChain("gpipe", 2, 2); }

TEST(ProfiledCostsTest, StageCostsTheSumOfItsLayers) {
  const absl::StatusOr<CostModel> costs =
      ProfiledCosts(ThreeLayers(), {{0, 1}, {2}}, TwoStages());
  ASSERT_TRUE(costs.ok()) << costs.status();
  const StageCost& stage = costs->stages[0];
  EXPECT_DOUBLE_EQ(stage.forward, 1.5);
  EXPECT_DOUBLE_EQ(stage.input_gradient, 1);
  EXPECT_DOUBLE_EQ(stage.weight_gradient, 1.25);
  EXPECT_DOUBLE_EQ(*stage.backward, 1.75);
  EXPECT_DOUBLE_EQ(*stage.recompute, 1.25);
  EXPECT_DOUBLE_EQ(stage.update, 0.125);
  EXPECT_EQ(stage.saved_bytes, 40);
  EXPECT_EQ(stage.pending_weight_bytes, 20);
  EXPECT_EQ(stage.static_bytes, 407);
  EXPECT_EQ(stage.version_bytes, 100);
  EXPECT_EQ(costs->stages[1].input_bytes, 64);
}

TEST(ProfiledCostsTest, MachineIsTakenOver) {
  const absl::StatusOr<CostModel> costs =
      ProfiledCosts(ThreeLayers(), {{0, 1}, {2}}, TwoStages());
  ASSERT_TRUE(costs.ok()) << costs.status();
  EXPECT_EQ(costs->edge_bytes, std::vector<int64_t>{64});
  EXPECT_DOUBLE_EQ(costs->link.bandwidth, 100);
  EXPECT_FALSE(costs->link.eager_bytes.has_value());
  EXPECT_EQ(costs->links.at({1, 0}).eager_bytes, 8);
  EXPECT_EQ(costs->rank_slowdown, (std::vector<double>{2, 1}));
  EXPECT_DOUBLE_EQ(costs->pair_gain, 0.5);
  EXPECT_TRUE(Simulate(TwoStages(), *costs).ok());
}

TEST(ProfiledCostsTest, GradientOfReplicasIsReducedInARing) {
  Schedule schedule = TwoStages();
  schedule.placement[0] = {RankId(0), RankId(1)};
  const absl::StatusOr<CostModel> costs =
      ProfiledCosts(ThreeLayers(), {{0, 1}, {2}}, schedule);
  ASSERT_TRUE(costs.ok()) << costs.status();
  EXPECT_DOUBLE_EQ(costs->stages[0].reduce, 2 * (0.02 + 50.0 / 50));
  EXPECT_DOUBLE_EQ(costs->stages[1].reduce, 0);
}

std::string RefusalOf(const wire::Profile& profile,
                      const std::vector<std::vector<int>>& layers = {{0, 1},
                                                                     {2}}) {
  const absl::Status status =
      ProfiledCosts(profile, layers, TwoStages()).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

TEST(ProfiledCostsTest, LayersThatAreNotThereOrTwiceAreRefused) {
  EXPECT_THAT(RefusalOf(ThreeLayers(), {{0, 1, 2}}), HasSubstr("of 1 stages"));
  EXPECT_THAT(RefusalOf(ThreeLayers(), {{0}, {3}}),
              HasSubstr("layer 3 of a profile of 3"));
  EXPECT_THAT(RefusalOf(ThreeLayers(), {{0}, {-1}}), HasSubstr("layer -1"));
  EXPECT_THAT(RefusalOf(ThreeLayers(), {{0, 1}, {1}}),
              HasSubstr("\"block\" is in stage 0 and in 1"));
}

TEST(ProfiledCostsTest, CutWhoseTensorHasNoSizeIsRefused) {
  wire::Profile profile = ThreeLayers();
  profile.clear_tensors();
  EXPECT_THAT(RefusalOf(profile), HasSubstr("no size of tensor \"h0\""));
}

TEST(CheckProfileTest, NumbersThatCannotBeAreNamed) {
  wire::Profile profile = ThreeLayers();
  profile.mutable_layers(1)->set_forward_seconds(-1);
  EXPECT_THAT(RefusalOf(profile),
              HasSubstr("layer \"block\": forward_seconds is -1"));
  profile = ThreeLayers();
  profile.mutable_layers(1)->set_backward_seconds(std::nan(""));
  EXPECT_THAT(RefusalOf(profile), HasSubstr("backward_seconds is nan"));
  profile = ThreeLayers();
  profile.mutable_layers(0)->set_saved_bytes(int64_t{1} << 62);
  EXPECT_THAT(RefusalOf(profile), HasSubstr("layer \"embed\": saved_bytes"));
  profile = ThreeLayers();
  profile.mutable_link()->set_bytes_per_second(INFINITY);
  EXPECT_THAT(RefusalOf(profile), HasSubstr("bytes_per_second is inf"));
  profile = ThreeLayers();
  profile.set_pair_gain(1.01);
  EXPECT_THAT(RefusalOf(profile), HasSubstr("pair_gain"));
  profile = ThreeLayers();
  profile.mutable_devices(1)->set_memory_bytes(-5);
  EXPECT_THAT(RefusalOf(profile), HasSubstr("device 1: memory_bytes is -5"));
  profile = ThreeLayers();
  profile.set_agree_norm_seconds(1e300);
  EXPECT_THAT(RefusalOf(profile), HasSubstr("agree_norm_seconds"));
}

TEST(CheckProfileTest, NamesAreNeitherEmptyNorTwice) {
  wire::Profile profile = ThreeLayers();
  profile.mutable_layers(2)->set_name("embed");
  EXPECT_THAT(RefusalOf(profile), HasSubstr("layer \"embed\": given twice"));
  profile = ThreeLayers();
  profile.add_tensors();
  EXPECT_THAT(RefusalOf(profile), HasSubstr("a tensor without a name"));
}

TEST(CheckProfileTest, LinksJoinTwoRanksOnce) {
  wire::Profile profile = ThreeLayers();
  profile.mutable_links(0)->set_from_rank(0);
  EXPECT_THAT(RefusalOf(profile), HasSubstr("link r0>r0: want two different"));
  profile = ThreeLayers();
  *profile.add_links() = profile.links(0);
  EXPECT_THAT(RefusalOf(profile), HasSubstr("link r1>r0: given twice"));
  profile = ThreeLayers();
  profile.mutable_links(0)->set_to_rank(-3);
  EXPECT_THAT(RefusalOf(profile), HasSubstr("link r1>r-3"));
}

TEST(CheckProfileTest, EmptyProfileIsFine) {
  EXPECT_TRUE(CheckProfile(wire::Profile()).ok());
}

}  // namespace
}  // namespace penstock
