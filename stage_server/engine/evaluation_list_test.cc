#include "stage_server/engine/evaluation_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Texts(const Schedule& schedule, int rank, int count) {
  const auto list = EvaluationList(schedule, RankId(rank), count);
  EXPECT_TRUE(list.ok()) << list.status();
  std::vector<std::string> texts;
  for (const Action& action : *list) {
    texts.push_back(ToString(action, schedule.edges));
  }
  return texts;
}

TEST(EvaluationListTest, OfAFlushIsTheForwardsOfItsSteps) {
  const Schedule schedule = *ParseSchedule(R"(penstock-schedule 1
name by_hand
microbatches 2
placement r0 r1
edge activation x 0>1
edge tied_weight w 0>1
r0: 0F0+1 0SF0[x>r1] 0SF1[x>r1] 0RB0[x<r1] 0B0 0RB1[x<r1] 0B1 0RB*[w<r1] N 0U 0SF*[w>r1]
r1: 1RF0[x<r0] 1F0& 1RF1[x<r0] 1B0 1SB0[x>r0] 1F1 1B1 1SB1[x>r0] 1SB*[w>r0] N 1U 1RF*[w<r0]
)");
  EXPECT_THAT(Texts(schedule, 0, 3),
              ElementsAre("0F0", "0F1", "0SF0[x>r1]", "0SF1[x>r1]", "0F2",
                          "0SF2[x>r1]"));
  EXPECT_THAT(Texts(schedule, 1, 3),
              ElementsAre("1RF0[x<r0]", "1F0", "1RF1[x<r0]", "1F1",
                          "1RF2[x<r0]", "1F2"));
}

constexpr char kNeverDrains[] = R"(penstock-schedule 1
name by_hand
microbatches 1
policy stash
placement r0 r1
versions 1/1 1/0
edge activation x 0>1
prologue
r0: 0F0@0 0SF0[x>r1]
r1:
period
r0: 0F1@0 0SF1[x>r1] 0RB0[x<r1] 0B0@0 0U@1
r1: 1RF0[x<r0] 1F0@0 1B0@0 1SB0[x>r0] 1U@1
epilogue
r0: 0RB0[x<r1] 0B0@0 0U@1
r1: 1RF0[x<r0] 1F0@0 1B0@0 1SB0[x>r0] 1U@1
)";

TEST(EvaluationListTest, OfAListThatNeverDrainsIsTheForwardsOfARun) {
  const Schedule schedule = *ParseSchedule(kNeverDrains);
  for (const int count : {1, 4}) {
    const std::vector<std::string> first = Texts(schedule, 0, count);
    const std::vector<std::string> second = Texts(schedule, 1, count);
    ASSERT_EQ(first.size(), 2u * count);
    ASSERT_EQ(second.size(), 2u * count);
    for (int b = 0; b < count; ++b) {
      const std::string number = std::to_string(b);
      EXPECT_EQ(first[2 * b], "0F" + number);
      EXPECT_EQ(first[2 * b + 1], "0SF" + number + "[x>r1]");
      EXPECT_EQ(second[2 * b], "1RF" + number + "[x<r0]");
      EXPECT_EQ(second[2 * b + 1], "1F" + number);
    }
  }
}

TEST(EvaluationListTest, RefusesWhatIsNoRun) {
  Schedule schedule = *ParseSchedule(kNeverDrains);
  schedule.period[0].clear();
  EXPECT_FALSE(EvaluationList(schedule, RankId(0), 1).ok());
}

}  // namespace
}  // namespace penstock
