#include "schedule/planner/profile_cut.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

void AddLayer(const char* name, double forward, double input_gradient,
              double weight_gradient, wire::Profile& profile) {
  wire::LayerProfile& layer = *profile.add_layers();
  layer.set_name(name);
  layer.set_forward_seconds(forward);
  layer.set_input_gradient_seconds(input_gradient);
  layer.set_weight_gradient_seconds(weight_gradient);
}

TEST(ProfileCutTest, BalancesForwardAndBothBackwards) {
  wire::Profile profile;
  AddLayer("a", 1, 1, 1, profile);
  AddLayer("b", 1, 1, 1, profile);
  AddLayer("c", 1, 1, 1, profile);
  AddLayer("d", 1, 7, 1, profile);
  EXPECT_THAT(*CutProfile(profile, 2),
              ElementsAre(LayerRange{0, 3}, LayerRange{3, 4}));
}

TEST(ProfileCutTest, AFusedBackwardCountsInsteadOfItsHalves) {
  wire::Profile profile;
  AddLayer("a", 1, 0, 0, profile);
  AddLayer("b", 1, 0, 0, profile);
  profile.mutable_layers(1)->set_backward_seconds(5);
  AddLayer("c", 1, 0, 0, profile);
  AddLayer("d", 3, 0, 0, profile);
  EXPECT_THAT(*CutProfile(profile, 2),
              ElementsAre(LayerRange{0, 2}, LayerRange{2, 4}));
}

TEST(ProfileCutTest, MoreStagesThanLayersAreRefused) {
  wire::Profile profile;
  AddLayer("a", 1, 1, 1, profile);
  EXPECT_THAT(CutProfile(profile, 2).status().message(),
              HasSubstr("profile: "));
}

TEST(ProfileCutTest, ABadProfileIsRefused) {
  wire::Profile profile;
  AddLayer("a", -1, 1, 1, profile);
  EXPECT_THAT(CutProfile(profile, 1).status().message(), HasSubstr("\"a\""));
}

}  // namespace
}  // namespace penstock
