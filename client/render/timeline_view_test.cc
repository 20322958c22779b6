#include "client/render/timeline_view.h"

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "client/render/fractions_view.h"
#include "client/schedules/traced_steps.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

MeasuredJob Job() {
  const GetTimelineResponse step = TracedStep(3, 1.0);
  absl::StatusOr<MeasuredJob> job = MeasureJob(step, {step});
  EXPECT_TRUE(job.ok()) << job.status();
  return job.ok() ? *std::move(job) : MeasuredJob();
}

TEST(FractionsViewTest, OnlyWhatIsKnownIsShown) {
  Fractions fractions;
  EXPECT_EQ(FractionsText(fractions), "");
  fractions.set_balance(0.971);
  fractions.set_schedule(0.842);
  fractions.set_runtime(0.98);
  EXPECT_EQ(FractionsText(fractions),
            "balance 97.1 % x schedule 84.2 % x runtime 98.0 %");
  EXPECT_TRUE(FractionsToJson(fractions)["kernel"].is_null());
  EXPECT_EQ(FractionsToJson(fractions)["runtime"], 0.98);
  fractions.set_kernel(0.5);
  EXPECT_THAT(FractionsText(fractions), HasSubstr("kernel 50.0 % x balance"));
}

TEST(TimelineViewTest, MeasuredStandsAbovePredictedOnOneScale) {
  const std::string text = TimelineText(Job(), "traced");
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  EXPECT_THAT(lines[0], HasSubstr("traced, step 3: measured "));
  EXPECT_THAT(lines[0], HasSubstr("from the costs of step 3"));
  EXPECT_EQ(lines[2], "measured");
  EXPECT_EQ(lines[5], "predicted");
  // The first rank begins with its forwards, the second one waits for them.
  EXPECT_THAT(lines[3], HasSubstr("r0 |FFFF"));
  EXPECT_THAT(lines[4], HasSubstr("r1 |.......FF"));
  EXPECT_EQ(lines[3].size(), lines[6].size());
  // They agree but for a column here and there.
  EXPECT_EQ(lines[3].substr(0, 20), lines[6].substr(0, 20));
  EXPECT_THAT(text, HasSubstr("BUSY"));
  EXPECT_THAT(text, HasSubstr("x runtime "));
  EXPECT_THAT(text, HasSubstr("\nclocks agree to 0.015 ms\n"));
}

TEST(TimelineViewTest, VersionsThatActionsReadAreTold) {
  EXPECT_THAT(TimelineText(Job(), "traced"),
              Not(HasSubstr("weight versions read")));
  const GetTimelineResponse step = TracedStep(9, 1.0, 9, "pipedream_2bw");
  const absl::StatusOr<MeasuredJob> job = MeasureJob(step, {step});
  ASSERT_TRUE(job.ok()) << job.status();
  const std::string text = TimelineText(*job, "traced");
  // Update 9 ends step 9, whose microbatches, 32 to 35, read version 7.
  EXPECT_THAT(text, HasSubstr("weight versions read\n  r0  "));
  EXPECT_THAT(text, HasSubstr("35@7"));
  EXPECT_EQ(TimelineToJson(*job)["measured"]["ranks"][1]["actions"].size(),
            job->schedule.ranks[1].size());
}

TEST(TimelineViewTest, JsonHasEveryActionOfBoth) {
  const MeasuredJob job = Job();
  const auto json = TimelineToJson(job);
  EXPECT_EQ(json["step"], 3);
  EXPECT_EQ(json["cost_steps"][0], 3);
  EXPECT_EQ(json["clock_errors"][0], 0);
  EXPECT_NEAR(json["clock_errors"][1].get<double>(), 15e-6, 1e-9);
  for (const char* run : {"measured", "predicted"}) {
    ASSERT_EQ(json[run]["ranks"].size(), 2u);
    const auto& rank = json[run]["ranks"][0];
    EXPECT_EQ(rank["actions"].size(), job.schedule.ranks[0].size());
    EXPECT_EQ(rank["actions"][0]["action"], "0F0");
    EXPECT_NEAR(rank["actions"][0]["end"].get<double>(), 1e-3, 1e-6);
    EXPECT_GT(rank["busy"].get<double>(), 0.01);
  }
  EXPECT_GT(json["fractions"]["runtime"].get<double>(), 0.99);
}

}  // namespace
}  // namespace penstock
