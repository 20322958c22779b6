#include "coordinator/core/job_machine.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

constexpr char kPage[] = "docs/state_machines.md";

// From the first assignment to the last word of a server.
bool HoldsServers(JobState state) {
  return state == JOB_STATE_PLACING || state == JOB_STATE_LOADING ||
         state == JOB_STATE_RUNNING || state == JOB_STATE_SUSPENDING ||
         state == JOB_STATE_COMPLETING || state == JOB_STATE_CANCELLING;
}

TEST(StateMachinesPageTest, IsWhatTheTablesSay) {
  EXPECT_EQ(ReadFile(kPage).value_or("missing"), StateMachinesPage())
      << "print it again: bazel run //coordinator/core:write_state_machines > "
      << kPage;
}

TEST(JobTransitionsTest, NoPairOfStateAndTriggerIsListedTwice) {
  std::set<std::pair<JobState, JobTrigger>> seen;
  for (const JobTransition& row : JobTransitions()) {
    EXPECT_TRUE(seen.emplace(row.from, row.trigger).second) << Name(row.from);
  }
}

TEST(JobTransitionsTest, NothingLeavesATerminalState) {
  for (const JobTransition& row : JobTransitions()) {
    EXPECT_FALSE(IsTerminal(row.from)) << Name(row.from);
  }
}

TEST(JobTransitionsTest, EveryLiveStateCanBeCancelledOrIsBeing) {
  for (const JobTransition& row : JobTransitions()) {
    // PLACING lasts for one turn only.
    if (row.from == JOB_STATE_CANCELLING || row.from == JOB_STATE_PLACING) {
      continue;
    }
    EXPECT_NE(FindTransition(row.from, JobTrigger::kCancel), nullptr)
        << Name(row.from);
  }
}

TEST(JobTransitionsTest, EveryStateThatHoldsServersSurvivesARestart) {
  for (int state = JobState_MIN; state <= JobState_MAX; ++state) {
    const auto job_state = static_cast<JobState>(state);
    if (!HoldsServers(job_state)) continue;
    EXPECT_NE(FindTransition(job_state, JobTrigger::kRestarted), nullptr)
        << Name(job_state);
  }
}

TEST(JobTransitionsTest, EndsLetTheServersGo) {
  for (const JobTransition& row : JobTransitions()) {
    if (!HoldsServers(row.from) ||
        (!IsTerminal(row.to) && row.to != JOB_STATE_SUSPENDED)) {
      continue;
    }
    const bool releases =
        std::find(row.effects.begin(), row.effects.end(),
                  JobEffect::kReleaseServers) != row.effects.end();
    EXPECT_TRUE(releases || row.from == JOB_STATE_CANCELLING)
        << Name(row.from) << " > " << Name(row.to);
  }
}

TEST(JobTransitionsTest, EndsOfARunEndItsCheckpoints) {
  for (const JobTransition& row : JobTransitions()) {
    const bool ran = row.from == JOB_STATE_RUNNING ||
                     row.from == JOB_STATE_SUSPENDING ||
                     row.from == JOB_STATE_COMPLETING;
    if (!ran || HoldsServers(row.to)) continue;
    EXPECT_EQ(std::count(row.effects.begin(), row.effects.end(),
                         JobEffect::kEndCheckpoints),
              1)
        << Name(row.from) << " > " << Name(row.to);
  }
}

TEST(CheckpointTransitionsTest, OnlyACompleteOneExpiresOrIsDamaged) {
  for (const CheckpointTransition& row : CheckpointTransitions()) {
    if (row.to == CHECKPOINT_STATE_CORRUPT) {
      EXPECT_EQ(row.from, CHECKPOINT_STATE_COMMITTED);
    }
    if (row.to == CHECKPOINT_STATE_EXPIRING) {
      EXPECT_TRUE(row.from == CHECKPOINT_STATE_COMMITTED ||
                  row.from == CHECKPOINT_STATE_CORRUPT);
    }
  }
}

TEST(ServerTransitionsTest, NoPairOfStateAndTriggerIsListedTwice) {
  std::set<std::pair<ServerState, ServerTrigger>> seen;
  for (const ServerTransition& row : ServerTransitions()) {
    EXPECT_TRUE(seen.emplace(row.from, row.trigger).second) << Name(row.from);
  }
}

TEST(DutyTransitionsTest, NoPairOfDutyAndTriggerIsListedTwice) {
  std::set<std::pair<ServerDuty, DutyTrigger>> seen;
  for (const DutyTransition& row : DutyTransitions()) {
    EXPECT_TRUE(seen.emplace(row.from, row.trigger).second) << Name(row.from);
    EXPECT_NE(row.from, row.to);
  }
}

TEST(DutyTransitionsTest, EveryDutyCanBeEndedByAnOperator) {
  for (const ServerDuty duty : {SERVER_DUTY_CORDONED, SERVER_DUTY_DRAINING}) {
    const DutyTransition* row = FindTransition(duty, DutyTrigger::kUncordon);
    ASSERT_NE(row, nullptr) << Name(duty);
    EXPECT_EQ(row->to, SERVER_DUTY_UNSPECIFIED);
  }
}

TEST(ServerTransitionsTest, OnlyASuspectIsLost) {
  for (const ServerTransition& row : ServerTransitions()) {
    if (row.to == SERVER_STATE_LOST) {
      EXPECT_EQ(row.from, SERVER_STATE_SUSPECT);
    }
  }
}

}  // namespace
}  // namespace penstock
