// What is told of the states in memory, and how a server leaves.

#include "gmock/gmock.h"
#include "stage_server/service/session_core_fixture.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SessionCoreMemoryTest : public SessionCoreTest {
 protected:
  // Its memory holds the state after a step of rank 1; 0: nothing.
  void Hold(int64_t step) {
    MemoryChanged event;
    if (step > 0) {
      MemoryReport::Held& held = *event.report.add_held();
      held.set_job_id(kJob.job_id);
      held.set_epoch(kJob.job_epoch);
      held.set_rank(1);
      held.add_steps(step);
    }
    Apply(event);
  }
  // Of the reports among what was sent: the newest step held, 0 of none held.
  std::vector<int64_t> HeldSteps() const {
    std::vector<int64_t> steps;
    for (const StageMessage& message : sent_) {
      if (!message.has_memory()) continue;
      const auto& held = message.memory().held();
      steps.push_back(held.empty() ? 0 : held[0].steps(0));
    }
    return steps;
  }
  const Leaving* SentLeaving() const {
    for (const StageMessage& message : sent_) {
      if (message.has_leaving()) return &message.leaving();
    }
    return nullptr;
  }
  void LeaveIdle() {
    SayIdle();
    Apply(Left{kJob});
  }
  void TickAt(absl::Time time) {
    now_ = time;
    Apply(Tick{});
  }
  void AskToLeave(absl::Duration within = absl::Seconds(30)) {
    Apply(StopRequested{"stage server one was told to stop", within});
  }
};

// ---- What is told ----------------------------------------------------------

TEST_F(SessionCoreMemoryTest, RegistersWithTheAddressOfItsMemory) {
  ServerIdentity identity;
  identity.memory_address = "10.0.0.7:7072";
  SessionCore core(identity, SessionLimits{});
  const std::vector<Effect> effects = core.Start(now_);
  EXPECT_EQ(std::get<CallRegister>(effects[0]).request.memory_address(),
            "10.0.0.7:7072");
}

TEST_F(SessionCoreMemoryTest, WhatIsHeldIsToldButNotTooOften) {
  Run();
  now_ += absl::Seconds(1);
  Hold(4);
  EXPECT_THAT(HeldSteps(), ElementsAre(4));
  EXPECT_EQ(sent_[0].fence().job_epoch(), kJob.job_epoch);
  Hold(5);
  Hold(6);
  EXPECT_THAT(HeldSteps(), IsEmpty());
  TickAt(now_ + absl::Milliseconds(100));
  EXPECT_THAT(HeldSteps(), ElementsAre(6));
}

TEST_F(SessionCoreMemoryTest, WhatIsHeldIsToldAgainInANewSessionAlsoWhenIdle) {
  Run();
  Hold(4);
  Break();
  Reopen();
  EXPECT_THAT(HeldSteps(), ElementsAre(4));
  LeaveIdle();
  Break();
  Reopen();
  EXPECT_THAT(HeldSteps(), ElementsAre(4));
}

TEST_F(SessionCoreMemoryTest, WhatIsHeldIsToldBeforeTheStatus) {
  Run();
  Hold(4);
  LeaveIdle();
  Break();
  Reopen();
  ASSERT_EQ(sent_.size(), 3u);
  EXPECT_TRUE(sent_[0].has_hello());
  EXPECT_TRUE(sent_[1].has_memory());
  EXPECT_TRUE(sent_[2].has_status());
}

TEST_F(SessionCoreMemoryTest, NothingHeldIsNotToldInANewSession) {
  Run();
  Break();
  Reopen();
  EXPECT_THAT(HeldSteps(), IsEmpty());
}

TEST_F(SessionCoreMemoryTest, WhatLeavingHasAddedIsToldBeforeTheServerIsIdle) {
  Run();
  SayIdle();
  Hold(7);
  EXPECT_THAT(HeldSteps(), ElementsAre(7));
  Apply(Left{kJob});
  EXPECT_THAT(Phases(), ElementsAre(StageStatus::IDLE));
}

// ---- How long it is held ---------------------------------------------------

TEST_F(SessionCoreMemoryTest, AnIdleServerForgetsAfterAWhile) {
  Run();
  Hold(4);
  LeaveIdle();
  EXPECT_EQ(Find<ForgetMemory>(), nullptr);
  const absl::Time left = now_;
  TickAt(left + absl::Minutes(10) - absl::Seconds(1));
  EXPECT_EQ(Find<ForgetMemory>(), nullptr);
  EXPECT_LE(core_.next_wake(), left + absl::Minutes(10));
  TickAt(left + absl::Minutes(10));
  EXPECT_NE(Find<ForgetMemory>(), nullptr);
  Hold(0);
  EXPECT_THAT(HeldSteps(), ElementsAre(0));
  TickAt(left + absl::Minutes(30));
  EXPECT_EQ(Find<ForgetMemory>(), nullptr);
}

TEST_F(SessionCoreMemoryTest, ANewEpochEndsTheWait) {
  Run();
  Hold(4);
  LeaveIdle();
  Say(DesiredState::LOAD, {kJob.job_id, kJob.job_epoch + 1});
  ASSERT_NE(Find<LoadLayers>(), nullptr);
  TickAt(now_ + absl::Minutes(11));
  EXPECT_EQ(Find<ForgetMemory>(), nullptr);
}

TEST_F(SessionCoreMemoryTest, APartThatComesToAnIdleServerIsForgottenToo) {
  Open();
  Hold(4);
  TickAt(now_ + absl::Minutes(10));
  EXPECT_NE(Find<ForgetMemory>(), nullptr);
}

TEST_F(SessionCoreMemoryTest, IdleWithTheJobsIdMeansThatItHasEnded) {
  DesiredState over;
  over.set_goal(DesiredState::BE_IDLE);
  over.set_job_id(kJob.job_id);
  Run();
  Hold(4);
  Say(over, 0);
  EXPECT_EQ(Find<ForgetMemory>(), nullptr);
  Apply(Left{kJob});
  EXPECT_NE(Find<ForgetMemory>(), nullptr);
}

TEST_F(SessionCoreMemoryTest, AnIdleServerForgetsTheJobThatHasEnded) {
  Run();
  Hold(4);
  LeaveIdle();
  DesiredState over;
  over.set_goal(DesiredState::BE_IDLE);
  over.set_job_id("another");
  Say(over, 0);
  EXPECT_EQ(Find<ForgetMemory>(), nullptr);
  over.set_job_id(kJob.job_id);
  Say(over, 0);
  EXPECT_NE(Find<ForgetMemory>(), nullptr);
}

// ---- What is wanted --------------------------------------------------------

TEST_F(SessionCoreMemoryTest, AMemoryTierIsPassedOnWhenItChanges) {
  DesiredState desired = Desired(DesiredState::LOAD, kJob);
  desired.mutable_memory()->set_every_steps(1);
  desired.mutable_memory()->set_peer_address("a:1");
  Open();
  Say(desired, kJob.job_epoch);
  const SetMarks* marks = Find<SetMarks>();
  ASSERT_NE(marks, nullptr);
  EXPECT_EQ(marks->memory->peer_address(), "a:1");
  Say(desired, kJob.job_epoch);
  EXPECT_EQ(Find<SetMarks>(), nullptr);
  desired.mutable_memory()->set_every_steps(2);
  Say(desired, kJob.job_epoch);
  ASSERT_NE(Find<SetMarks>(), nullptr);
  EXPECT_EQ(Find<LoadLayers>(), nullptr);
  desired.clear_memory();
  Say(desired, kJob.job_epoch);
  ASSERT_NE(Find<SetMarks>(), nullptr);
  EXPECT_FALSE(Find<SetMarks>()->memory.has_value());
}

TEST_F(SessionCoreMemoryTest, AWarningIsLogged) {
  Run();
  Apply(Warned{kJob, "no copy of step 4"});
  EXPECT_THAT(Logged(), HasSubstr("no copy of step 4"));
  Apply(Warned{{"job-1", 2}, "of an epoch that is over"});
  EXPECT_THAT(effects_, IsEmpty());
}

// ---- Leaving ---------------------------------------------------------------

TEST_F(SessionCoreMemoryTest, ToldToStopItAsksToBeRelievedAndGoesOn) {
  Run();
  AskToLeave();
  ASSERT_NE(SentLeaving(), nullptr);
  EXPECT_EQ(SentLeaving()->deadline_seconds(), 30);
  EXPECT_EQ(SentLeaving()->reason(), "stage server one was told to stop");
  EXPECT_EQ(Find<LeaveEpoch>(), nullptr);
  now_ += absl::Seconds(1);
  FinishStep(1);
  EXPECT_THAT(Steps(), ElementsAre(1));
}

TEST_F(SessionCoreMemoryTest, RelievedItEnds) {
  Run();
  AskToLeave();
  SayIdle();
  EXPECT_NE(Find<LeaveEpoch>(), nullptr);
  Apply(Left{kJob});
  EXPECT_THAT(Phases(), ElementsAre(StageStatus::IDLE));
  ASSERT_NE(Find<Exit>(), nullptr);
  EXPECT_TRUE(Find<Exit>()->status.ok());
}

TEST_F(SessionCoreMemoryTest, AtItsDeadlineItStopsAnyway) {
  Run();
  AskToLeave();
  const absl::Time deadline = now_ + absl::Seconds(30);
  EXPECT_LE(core_.next_wake(), deadline);
  TickAt(deadline);
  EXPECT_THAT(Phases(), ElementsAre(StageStatus::FAULTED));
  EXPECT_NE(Find<LeaveEpoch>(), nullptr);
  Apply(Left{kJob});
  EXPECT_NE(Find<Exit>(), nullptr);
}

TEST_F(SessionCoreMemoryTest, ToldTwiceItStopsAtOnce) {
  Run();
  AskToLeave();
  AskToLeave(absl::ZeroDuration());
  EXPECT_NE(Find<LeaveEpoch>(), nullptr);
  Apply(Left{kJob});
  EXPECT_NE(Find<Exit>(), nullptr);
}

TEST_F(SessionCoreMemoryTest, ItAsksAgainInANewSessionWithWhatIsLeft) {
  Run();
  AskToLeave();
  now_ += absl::Seconds(10);
  Break();
  EXPECT_EQ(Find<Exit>(), nullptr);
  Reopen();
  ASSERT_NE(SentLeaving(), nullptr);
  EXPECT_LE(SentLeaving()->deadline_seconds(), 20);
  EXPECT_GT(SentLeaving()->deadline_seconds(), 15);
}

TEST_F(SessionCoreMemoryTest, WhileItLeavesItTakesNoOtherEpoch) {
  Run();
  AskToLeave();
  Say(DesiredState::LOAD, {kJob.job_id, kJob.job_epoch + 1});
  EXPECT_NE(Find<LeaveEpoch>(), nullptr);
  Apply(Left{kJob});
  EXPECT_EQ(Find<LoadLayers>(), nullptr);
  EXPECT_NE(Find<Exit>(), nullptr);
}

TEST_F(SessionCoreMemoryTest, AnIdleServerStopsAtOnce) {
  Open();
  AskToLeave();
  EXPECT_NE(Find<Exit>(), nullptr);
}

TEST_F(SessionCoreMemoryTest, AFaultedServerStopsAtOnce) {
  Run();
  Apply(Failed{kJob, absl::InternalError("boom")});
  AskToLeave();
  EXPECT_NE(Find<LeaveEpoch>(), nullptr);
}

}  // namespace
}  // namespace penstock
