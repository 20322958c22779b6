#include "client/render/top_view.h"

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kNow = absl::FromUnixSeconds(3600 * 12);

JobInfo Job(const std::string& name, JobState state, int64_t step) {
  JobInfo job;
  job.set_id("j-" + name);
  job.mutable_job()->set_name(name);
  job.mutable_job()->set_steps(100);
  job.set_state(state);
  if (step > 0) {
    job.mutable_latest()->set_step(step);
    job.mutable_latest()->set_step_seconds(0.5);
    job.mutable_latest()->set_loss(2.5);
  }
  return job;
}

std::string Screen(const ListJobsResponse& jobs,
                   const ListServersResponse& servers, int columns = 120) {
  return TopScreen(jobs, servers, "host:7070", kNow, absl::UTCTimeZone(),
                   columns);
}

TEST(TopScreenTest, AnEmptyClusterIsTwoLines) {
  ListServersResponse servers;
  servers.set_coordinator_build_version("1.0");
  servers.set_coordinator_term(3);
  EXPECT_EQ(Screen({}, servers),
            "12:00:00  coordinator host:7070, build 1.0, term 3\n"
            "jobs: none; stage servers: none\n");
}

TEST(TopScreenTest, JobsThatTrainHaveABarAndOthersTheirReason) {
  ListJobsResponse jobs;
  *jobs.add_jobs() = Job("fast", JOB_STATE_RUNNING, 40);
  *jobs.add_jobs() = Job("late", JOB_STATE_QUEUED, 0);
  jobs.mutable_jobs(1)->set_reason("wants 4 stage servers, 1 is idle");
  const std::string screen = Screen(jobs, {});
  EXPECT_THAT(screen,
              AllOf(HasSubstr("jobs: 1 QUEUED, 1 RUNNING"), HasSubstr("40/100"),
                    HasSubstr("2.5"), HasSubstr("late"), HasSubstr("QUEUED")));
}

TEST(TopScreenTest, AJobThatRecoversIsNoLiveLine) {
  ListJobsResponse jobs;
  *jobs.add_jobs() = Job("hurt", JOB_STATE_RECOVERING, 40);
  EXPECT_THAT(Screen(jobs, {}),
              AllOf(HasSubstr("RECOVERING"), Not(HasSubstr("[###"))));
}

TEST(TopScreenTest, ServersAreListed) {
  ListServersResponse servers;
  ServerInfo& server = *servers.add_servers();
  server.set_name("node-a");
  server.set_state(SERVER_STATE_SUSPECT);
  EXPECT_THAT(Screen({}, servers), AllOf(HasSubstr("stage servers: 1 SUSPECT"),
                                         HasSubstr("node-a"), EndsWith("\n")));
}

TEST(TopScreenTest, NoLineIsWiderThanTheTerminal) {
  ListJobsResponse jobs;
  *jobs.add_jobs() =
      Job("größer-und-länger-als-die-zeile", JOB_STATE_QUEUED, 0);
  for (const absl::string_view line :
       absl::StrSplit(Screen(jobs, {}, 20), '\n')) {
    int characters = 0;
    for (const char byte : line) characters += (byte & 0xC0) != 0x80;
    EXPECT_LE(characters, 20) << line;
  }
}

}  // namespace
}  // namespace penstock
