// What the coordinator finds out when a rank has waited too long.
#include "coordinator/core/cluster_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/schedule_proto.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

// Servers s1 and s2 run job "a", in which rank 0 gets a gradient from rank 1.
class HangTest : public ::testing::Test {
 protected:
  HangTest() {
    auto plan = std::make_shared<Plan>(*PlanOfRanks("a", 2));
    const auto schedule = ParseSchedule(
        "penstock-schedule 1\nname by_hand\nmicrobatches 1\n"
        "placement r0 r1\nedge activation x 0>1\n"
        "r0: 0F0 0SF0[x>r1] 0RB0[x<r1] 0B0\n"
        "r1: 1RF0[x<r0] 1F0 1B0 1SB0[x>r0]\n");
    EXPECT_TRUE(schedule.ok()) << schedule.status();
    *plan->mutable_schedule() = ToProto(*schedule);
    cluster_.Join("s1");
    cluster_.Join("s2");
    cluster_.Apply(JobSubmitted{Fence(), "key", "a", plan, {0, 1}})
        .IgnoreError();
    cluster_.Run("a");
  }

  void Leave(const std::string& id, StageStatus::Phase phase,
             std::optional<int> position) {
    StageMessage message;
    message.mutable_status()->set_job_id("a");
    message.mutable_status()->set_phase(phase);
    message.mutable_status()->set_error("a receive was not complete");
    if (position.has_value()) {
      MissingAction* missing = message.mutable_status()->mutable_missing();
      missing->set_step(1);
      missing->set_position(*position);
      for (int i = 0; i < *position; ++i) {
        missing->mutable_trace()->add_issued(i);
        missing->mutable_trace()->add_started(i);
        missing->mutable_trace()->add_ended(i + 1);
      }
      missing->mutable_trace()->add_issued(*position);
    }
    EXPECT_TRUE(cluster_.Say(id, message).ok());
  }

  bool Inquires() const { return cluster_.state.jobs.at("a").hang.has_value(); }

  Cluster cluster_;
};

TEST_F(HangTest, TheJobFailsAtOnceAndItsReasonFollows) {
  Leave("s1", StageStatus::FAULTED, 2);
  EXPECT_EQ(cluster_.job("a").state(), JOB_STATE_FAILED);
  EXPECT_TRUE(Inquires());
  Leave("s2", StageStatus::IDLE, 0);
  EXPECT_FALSE(Inquires());
  EXPECT_EQ(cluster_.job("a").state(), JOB_STATE_FAILED);
  EXPECT_THAT(cluster_.EventKinds(), Contains("JOB_HANG"));
  EXPECT_THAT(cluster_.job("a").reason(),
              HasSubstr("rank 0 (stage 0 on node-s1) waits at action 2 of step "
                        "1, 0RB0[x<r1], for action 3 of rank 1"));
  EXPECT_THAT(cluster_.job("a").reason(),
              HasSubstr("rank 1 (stage 1 on node-s2) waits at action 0"));
  EXPECT_THAT(cluster_.effects.changed_jobs, Contains("a"));
}

TEST_F(HangTest, ARankThatIsStoppedIsNamedAfterAMoment) {
  cluster_.Advance(absl::Seconds(2.5));
  Leave("s1", StageStatus::FAULTED, 2);
  cluster_.Advance(absl::Seconds(1));
  ASSERT_TRUE(cluster_.Tick().ok());
  EXPECT_TRUE(Inquires());
  cluster_.Advance(absl::Seconds(1));
  ASSERT_TRUE(cluster_.Tick().ok());
  EXPECT_FALSE(Inquires());
  EXPECT_THAT(cluster_.job("a").reason(),
              HasSubstr("rank 1 (stage 1 on node-s2) has not been heard for "
                        "4.5s"));
}

TEST_F(HangTest, AFaultThatFollowsDoesNotCountAsAnAnswer) {
  Leave("s1", StageStatus::FAULTED, 2);
  Leave("s2", StageStatus::FAULTED, std::nullopt);
  EXPECT_TRUE(Inquires());
  Leave("s2", StageStatus::IDLE, 0);
  EXPECT_FALSE(Inquires());
}

TEST_F(HangTest, OtherFaultsNeedNoInquiry) {
  Leave("s1", StageStatus::FAULTED, std::nullopt);
  EXPECT_EQ(cluster_.job("a").state(), JOB_STATE_FAILED);
  EXPECT_FALSE(Inquires());
  Leave("s2", StageStatus::IDLE, 0);
  EXPECT_THAT(cluster_.EventKinds(), Not(Contains("JOB_HANG")));
}

TEST_F(HangTest, ARestartForgetsTheInquiryAndKeepsTheFailure) {
  Leave("s1", StageStatus::FAULTED, 2);
  cluster_.RestartCoordinator();
  EXPECT_FALSE(Inquires());
  EXPECT_EQ(cluster_.job("a").state(), JOB_STATE_FAILED);
}

StageMessage StepOf(int64_t step, std::optional<int> traced_actions) {
  StageMessage message;
  message.mutable_steps()->set_job_id("a");
  message.mutable_steps()->add_reports()->set_step(step);
  if (traced_actions.has_value()) {
    StepTrace* trace = message.mutable_steps()->add_traces();
    trace->set_step(step);
    for (int i = 0; i < *traced_actions; ++i) {
      trace->add_issued(i * 1000);
      trace->add_started(i * 1000);
      trace->add_ended((i + 1) * 1000);
    }
  }
  return message;
}

TEST_F(HangTest, AStepThatEveryRankHasTracedIsKeptWithItsFractions) {
  ASSERT_TRUE(cluster_.Say("s1", StepOf(1, 4)).ok());
  EXPECT_TRUE(cluster_.effects.batch.timelines.empty());
  ASSERT_TRUE(cluster_.Say("s2", StepOf(1, 4)).ok());
  ASSERT_EQ(cluster_.effects.batch.timelines.size(), 1u);
  EXPECT_EQ(cluster_.effects.batch.timelines[0].job_id, "a");
  EXPECT_EQ(cluster_.effects.batch.timelines[0].row.step(), 1);
  EXPECT_EQ(cluster_.effects.batch.timelines[0].row.ranks_size(), 2);
  EXPECT_GT(cluster_.job("a").fractions().balance(), 0.9);
  EXPECT_GT(cluster_.job("a").fractions().runtime(), 0);
  EXPECT_LE(cluster_.job("a").fractions().runtime(), 1);
  EXPECT_EQ(cluster_.job("a").fractions().kernel(), 0);
}

TEST_F(HangTest, AStepThatIsNotTracedWholeIsReportedWithoutATimeline) {
  ASSERT_TRUE(cluster_.Say("s1", StepOf(1, 4)).ok());
  ASSERT_TRUE(cluster_.Say("s2", StepOf(1, std::nullopt)).ok());
  EXPECT_EQ(cluster_.job("a").latest().step(), 1);
  EXPECT_TRUE(cluster_.effects.batch.timelines.empty());
  EXPECT_FALSE(cluster_.job("a").has_fractions());
}

TEST_F(HangTest, ATraceThatTheOthersDoNotHaveIsForgottenSomeStepsLater) {
  ASSERT_TRUE(cluster_.Say("s1", StepOf(1, 4)).ok());
  ASSERT_TRUE(cluster_.Say("s2", StepOf(1, std::nullopt)).ok());
  EXPECT_EQ(cluster_.state.jobs.at("a").ranks[0].pending_traces.size(), 1u);
  for (int step = 2; step < 20; ++step) {
    ASSERT_TRUE(cluster_.Say("s1", StepOf(step, std::nullopt)).ok());
    ASSERT_TRUE(cluster_.Say("s2", StepOf(step, std::nullopt)).ok());
  }
  EXPECT_TRUE(cluster_.state.jobs.at("a").ranks[0].pending_traces.empty());
}

// As ranks of a continuous job do.
TEST_F(HangTest, ATraceThatComesWithALaterStepIsKept) {
  ASSERT_TRUE(cluster_.Say("s1", StepOf(1, 4)).ok());
  ASSERT_TRUE(cluster_.Say("s2", StepOf(1, std::nullopt)).ok());
  ASSERT_TRUE(cluster_.Say("s1", StepOf(2, std::nullopt)).ok());
  EXPECT_TRUE(cluster_.effects.batch.timelines.empty());
  StageMessage later = StepOf(2, std::nullopt);
  *later.mutable_steps()->add_traces() = StepOf(1, 4).steps().traces(0);
  ASSERT_TRUE(cluster_.Say("s2", later).ok());
  EXPECT_EQ(cluster_.job("a").latest().step(), 2);
  ASSERT_EQ(cluster_.effects.batch.timelines.size(), 1u);
  EXPECT_EQ(cluster_.effects.batch.timelines[0].row.step(), 1);
  EXPECT_TRUE(cluster_.state.jobs.at("a").ranks[0].pending_traces.empty());
}

TEST_F(HangTest, ATraceThatDoesNotFitThePlanIsDropped) {
  ASSERT_TRUE(cluster_.Say("s1", StepOf(1, 4)).ok());
  ASSERT_TRUE(cluster_.Say("s2", StepOf(1, 3)).ok());
  EXPECT_EQ(cluster_.job("a").latest().step(), 1);
  EXPECT_TRUE(cluster_.effects.batch.timelines.empty());
}

}  // namespace
}  // namespace penstock
