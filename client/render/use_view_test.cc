#include "client/render/use_view.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

void AddUse(RankInfo& rank, int edge, bool backward, int64_t messages,
            int64_t bytes, int64_t tensor_bytes) {
  EdgeUse& use = *rank.mutable_use()->add_edges();
  use.set_edge(edge);
  use.set_backward(backward);
  use.set_messages(messages);
  use.set_bytes(bytes);
  use.set_tensor_bytes(tensor_bytes);
}

// Two ranks; "skip" goes from stage 0 to stage 3.
JobInfo Trained() {
  JobInfo info;
  for (const char* tensor : {"h1", "skip"}) {
    auto& edge = *info.mutable_plan()->mutable_schedule()->add_edges();
    edge.set_tensor(tensor);
    edge.set_from_stage(0);
    edge.set_to_stage(3);
  }
  RankInfo& first = *info.add_ranks();
  first.mutable_predicted_memory()->set_peak_bytes(2048);
  first.mutable_use()->mutable_memory()->set_peak_bytes(1024);
  RankInfo& second = *info.add_ranks();
  second.mutable_predicted_memory()->set_peak_bytes(4096);
  second.mutable_use()->mutable_memory()->set_peak_bytes(5 << 20);
  AddUse(first, 1, false, 4, 2000, 4000);
  AddUse(second, 1, false, 4, 2000, 4000);
  AddUse(second, 1, true, 1, 10, 20);
  return info;
}

TEST(UseViewTest, NothingKnownShowsNothing) {
  JobInfo info;
  info.add_ranks();
  EXPECT_EQ(MemoryTable(info), "");
  EXPECT_EQ(EdgeTable(info), "");
  EXPECT_EQ(PeakMemoryText(info), "");
  EXPECT_TRUE(EdgesToJson(info).empty());
}

TEST(UseViewTest, ExpectedAndMeasuredMemoryStandBelowEachOther) {
  const std::string table = MemoryTable(Trained());
  EXPECT_THAT(table, HasSubstr("0     expected"));
  EXPECT_THAT(table, HasSubstr("2.00 KiB\n0     measured"));
  EXPECT_THAT(table, HasSubstr("5.00 MiB\n"));
}

TEST(UseViewTest, ThePeakIsThatOfTheRankThatHoldsMost) {
  EXPECT_EQ(PeakMemoryText(Trained()),
            "5.00 MiB on rank 1 (expected 4.00 KiB)");
}

TEST(UseViewTest, AnEdgeAddsUpWhatItsRanksSent) {
  const std::string table = EdgeTable(Trained());
  EXPECT_THAT(table, HasSubstr("skip              stage 0  stage 3  8"));
  EXPECT_THAT(table, HasSubstr("3.91 KiB     7.81 KiB"));
  EXPECT_THAT(table, HasSubstr("gradient of skip  stage 3  stage 0  1"));
  EXPECT_THAT(table, Not(HasSubstr("h1")));
}

TEST(UseViewTest, JsonHasBytes) {
  const nlohmann::ordered_json rows = EdgesToJson(Trained());
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["edge"], "skip");
  EXPECT_EQ(rows[0]["direction"], "forward");
  EXPECT_EQ(rows[0]["bytes"], 4000);
  EXPECT_EQ(rows[0]["tensor_bytes"], 8000);
  EXPECT_EQ(rows[1]["from_stage"], 3);
  EXPECT_EQ(MemoryToJson(Trained().ranks(0).predicted_memory())["peak"], 2048);
}

TEST(UseViewTest, AnEdgeThatThePlanDoesNotHaveIsLeftOut) {
  JobInfo info = Trained();
  AddUse(*info.mutable_ranks(0), 7, false, 1, 1, 1);
  EXPECT_EQ(EdgesToJson(info).size(), 2u);
}

}  // namespace
}  // namespace penstock
