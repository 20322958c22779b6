#include "coordinator/core/status_line.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

void Add(JobState job_state, ClusterState& state) {
  state.jobs[absl::StrCat("job-", state.jobs.size())].info.set_state(job_state);
}

TEST(StatusLineTest, AnEmptyClusterHasNothing) {
  EXPECT_EQ(StatusLine(ClusterState()),
            "no jobs; 0 of 0 stage servers connected");
}

TEST(StatusLineTest, JobsAreCountedByWhatTheyNeed) {
  ClusterState state;
  for (const JobState running :
       {JOB_STATE_PLACING, JOB_STATE_LOADING, JOB_STATE_RUNNING,
        JOB_STATE_COMPLETING, JOB_STATE_RECOVERING, JOB_STATE_SUSPENDING,
        JOB_STATE_CANCELLING}) {
    Add(running, state);
  }
  Add(JOB_STATE_SUBMITTED, state);
  Add(JOB_STATE_QUEUED, state);
  Add(JOB_STATE_SUSPENDED, state);
  EXPECT_EQ(StatusLine(state),
            "jobs: 7 running, 2 waiting, 1 suspended; 0 of 0 stage servers "
            "connected");
}

TEST(StatusLineTest, JobsThatHaveEndedAreLeftOut) {
  ClusterState state;
  for (const JobState ended :
       {JOB_STATE_SUCCEEDED, JOB_STATE_FAILED, JOB_STATE_CANCELLED}) {
    Add(ended, state);
  }
  EXPECT_EQ(StatusLine(state), "no jobs; 0 of 0 stage servers connected");
}

TEST(StatusLineTest, AServerWithoutASessionIsNotConnected) {
  ClusterState state;
  state.servers["a"].session = 7;
  state.servers["b"].session = 0;
  EXPECT_EQ(StatusLine(state), "no jobs; 1 of 2 stage servers connected");
}

}  // namespace
}  // namespace penstock
