#include "schedule/generators/weight_policies.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/generators/registry.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

TEST(WeightPoliciesTest, EveryPolicyHasAScheduleOfItsOwn) {
  for (const std::string& policy : WeightPolicies()) {
    const absl::StatusOr<std::string> name = ScheduleOfPolicy(policy);
    ASSERT_TRUE(name.ok()) << name.status();
    const auto generator = FindGenerator(*name);
    ASSERT_TRUE(generator.ok()) << generator.status();
    EXPECT_EQ((*generator)->update_policy, policy);
  }
}

TEST(WeightPoliciesTest, EveryGeneratorIsOfAPolicyThatIsNamed) {
  for (const GeneratorInfo& generator : Generators()) {
    EXPECT_THAT(WeightPolicies(), Contains(generator.update_policy));
    EXPECT_TRUE(CheckPolicyPair(generator.name, generator.update_policy,
                                generator.update_policy)
                    .ok());
  }
}

TEST(WeightPoliciesTest, AMisspeltPolicyGetsASuggestion) {
  const absl::Status status = ScheduleOfPolicy("double_bufer").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("weights.policy: \"double_bufer\" is none of "
                              "flush, stash, vertical, double_buffer, grouped"),
                    HasSubstr("did you mean \"double_buffer\"?")));
}

TEST(WeightPoliciesTest, APairThatDoesNotFitNamesThoseThatDo) {
  const absl::Status status = CheckPolicyPair("gpipe", "flush", "stash");
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr("weights.policy is stash, and schedule gpipe is one of "
                      "flush"),
            HasSubstr("stash with pipedream;"),
            HasSubstr("vertical with pipedream_vertical;"),
            HasSubstr("double_buffer with pipedream_2bw;"),
            HasSubstr("grouped with wpipe")));
}

TEST(WeightPoliciesTest, EitherSaysTheOther) {
  const absl::StatusOr<PolicyChoice> named = CompletePolicy({"wpipe", ""});
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_EQ(named->policy, "grouped");
  const absl::StatusOr<PolicyChoice> chosen = CompletePolicy({"", "vertical"});
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  EXPECT_EQ(chosen->schedule, "pipedream_vertical");
  const absl::StatusOr<PolicyChoice> neither = CompletePolicy({});
  ASSERT_TRUE(neither.ok()) << neither.status();
  EXPECT_EQ(neither->schedule, "one_f_one_b");
  EXPECT_EQ(neither->policy, "flush");
}

TEST(WeightPoliciesTest, BothAreLeftAsTheyAreIfTheyGoTogether) {
  EXPECT_TRUE(CompletePolicy({"gpipe", "flush"}).ok());
  EXPECT_FALSE(CompletePolicy({"gpipe", "stash"}).ok());
}

TEST(WeightPoliciesTest, UnknownNamesAreRefusedAsSuch) {
  EXPECT_THAT(std::string(CompletePolicy({"gpipes", ""}).status().message()),
              HasSubstr("did you mean \"gpipe\"?"));
  EXPECT_THAT(
      std::string(CompletePolicy({"gpipe", "flash"}).status().message()),
      HasSubstr("\"flash\" is none of"));
}

}  // namespace
}  // namespace penstock
