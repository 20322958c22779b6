#include "schedule/verifier/memory_peak.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/text_format.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

Schedule Read(const std::string& rest) {
  const absl::StatusOr<Schedule> schedule =
      ParseSchedule(absl::StrCat("penstock-schedule 1\nname by_hand\n", rest));
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return schedule.value_or(Schedule());
}

struct Published {
  const char* generator;
  double most, least;
};

class PublishedPeakTest : public ::testing::TestWithParam<Published> {};

// The table of design 02: eight ranks, 32 microbatches.
TEST_P(PublishedPeakTest, MicrobatchesInFlight) {
  const absl::StatusOr<Schedule> schedule =
      Generate(GetParam().generator, {8, 0, 32});
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  std::vector<double> peaks;
  for (const RankPeak& peak : PeakMemory(*schedule)) {
    peaks.push_back(peak.in_flight);
  }
  EXPECT_EQ(*std::max_element(peaks.begin(), peaks.end()), GetParam().most);
  EXPECT_EQ(*std::min_element(peaks.begin(), peaks.end()), GetParam().least);
}
INSTANTIATE_TEST_SUITE_P(Schedules, PublishedPeakTest,
                         ::testing::Values(Published{"one_f_one_b", 8, 1},
                                           Published{"gpipe", 32, 32},
                                           Published{"interleaved", 11.5, 4.5},
                                           Published{"zb_h1", 8, 8},
                                           Published{"zb_h2", 15, 15},
                                           Published{"interleaved_zb", 8, 8},
                                           Published{"zbv", 8, 8},
                                           Published{"pipedream", 8, 1}));

TEST(PeakMemoryTest, BytesFollowForwardsRecomputesAndBackwards) {
  const Schedule plain =
      Read("microbatches 2\nplacement r0\nr0: 0F0 0F1 0I0 0W0 0B1 N 0U\n");
  const Schedule again = Read(
      "microbatches 2\nplacement r0\nr0: 0F0 0F1 0R0 0I0 0W0 0R1 0B1 N 0U\n");
  const std::vector<StageBytes> sizes = {
      {.state = 1000, .weights = 100, .activation = 10, .input = 1}};
  EXPECT_EQ(PeakMemory(plain, sizes)[0].bytes, 1120);
  EXPECT_EQ(PeakMemory(plain, sizes)[0].bytes_position, 1);
  // Two inputs, then the second input beside the first's activation.
  EXPECT_EQ(PeakMemory(again, sizes)[0].bytes, 1111);
  EXPECT_EQ(PeakMemory(again, sizes)[0].bytes_position, 2);
  EXPECT_EQ(PeakMemory(again, sizes)[0].in_flight, 2);
}

TEST(PeakMemoryTest, HalvesGoOneByOneAndVersionsCount) {
  const Schedule halves =
      Read("microbatches 2\nplacement r0\nr0: 0F0 0B0.0 0F1 0B0.1 0B1\n");
  EXPECT_EQ(PeakMemory(halves)[0].in_flight, 1.5);
  const absl::StatusOr<Schedule> stash = Generate("pipedream", {3, 0, 1});
  ASSERT_TRUE(stash.ok()) << stash.status();
  const std::vector<StageBytes> sizes(3, {.weights = 100});
  const std::vector<RankPeak> peaks = PeakMemory(*stash, sizes);
  EXPECT_EQ(peaks[0].bytes, 300);
  EXPECT_EQ(peaks[2].bytes, 100);
}

TEST(MemoryBoundTest, TellsWhereARankHoldsTooMuch) {
  const Schedule schedule = Read(
      "microbatches 2\nplacement r0 r1\nr0: 0F0 0F1 0B0 0B1\n"
      "r1: 1F0 1B0 1F1 1B1\n");
  VerifyOptions options{.lowered = false};
  options.memory.in_flight = {1};
  std::vector<Violation> violations = Verify(schedule, options);
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].rule, "memory_bound");
  EXPECT_EQ(violations[0].rank, RankId(0));
  EXPECT_EQ(violations[0].position, 1);
  EXPECT_EQ(violations[0].message,
            "2 microbatches are in flight at 0F1, limit 1");
  options.memory.in_flight = {2, 1};
  EXPECT_TRUE(Verify(schedule, options).empty());
  options.memory.sizes = {{.state = 5, .activation = 3},
                          {.state = 5, .activation = 3}};
  options.memory.bytes = {10};
  violations = Verify(schedule, options);
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_THAT(violations[0].message,
              HasSubstr("needs 11 bytes at 0F1, limit 10"));
  options.memory.bytes = {11};
  EXPECT_TRUE(Verify(schedule, options).empty());
  options.memory.bytes = {4};
  options.memory.sizes = {{.state = 5}, {.state = 4}};
  violations = Verify(schedule, options);
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_THAT(violations[0].message, HasSubstr("needs 5 bytes at its start"));
}

}  // namespace
}  // namespace penstock
