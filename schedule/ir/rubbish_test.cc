// Files of a hundred megabytes that are no schedules, or absurd ones: the
// answer comes soon, is short and takes little memory.

#include <sys/resource.h>

#include <cstddef>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr size_t kSize = 100'000'000;
constexpr char kHeader[] =
    "penstock-schedule 1\nname x\nmicrobatches 1\nplacement r0 r1\n";

// `head`, then `unit` again and again.
std::string Rubbish(const std::string& head, const std::string& unit,
                    size_t size = kSize) {
  std::string text = head;
  text.reserve(size + 100 * unit.size());
  std::string block;
  for (int i = 0; i < 100; ++i) block += unit;
  while (text.size() < size) text += block;
  return text;
}

struct Usage {
  double seconds = 0;  // on a core
  double megabytes = 0;
};

Usage UsageNow() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return {static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec),
          usage.ru_maxrss / 1024.0};
}

struct Case {
  const char* head;
  const char* unit;
  const char* message;
};

class RubbishTest : public ::testing::TestWithParam<Case> {};

TEST_P(RubbishTest, IsRefusedSoonWithAShortMessageAndLittleMemory) {
  const std::string text = Rubbish(
      absl::StrCat(GetParam().head[0] == '+' ? kHeader : "",
                   absl::StartsWith(GetParam().head, "+") ? GetParam().head + 1
                                                          : GetParam().head),
      GetParam().unit);
  const Usage before = UsageNow();
  const absl::Status status = ParseSchedule(text).status();
  const Usage after = UsageNow();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
  EXPECT_LT(status.message().size(), 200u);
  EXPECT_LT(after.seconds - before.seconds, 20);
  EXPECT_LT(after.megabytes - before.megabytes, 1000);
}
// A head that begins with + goes on after a good header.
INSTANTIATE_TEST_SUITE_P(
    Files, RubbishTest,
    ::testing::Values(
        Case{"", "7", "line 1, column 1: expected \"penstock-schedule\""},
        Case{"", "\n", "line 100000001, column 1: expected \"penstock-sched"},
        Case{"", " ", "line 2, column 1: expected \"penstock-schedule\""},
        Case{"", "# r0: 0F0\n", "expected \"penstock-schedule\", got the end"},
        Case{"", "\xff", "got \"\\xff\\xff"},
        Case{"penstock-schedule 1\nname ", "a", "longer than 1000 characters"},
        Case{"penstock-schedule ", "9", "is larger than 2147483647"},
        Case{"penstock-schedule 1\nname x\nmicrobatches 1\nplacement", " -",
             "more than 1000000 stages"},
        Case{"penstock-schedule 1\nname x\nmicrobatches 1\nplacement r0", "+r0",
             "more than 1000000 ranks of a stage"},
        Case{"+", "edge activation h 0>1\n", "more than 1000000 edges"},
        Case{"+r0:", " 0F0 0B0 X", "line 5, column 13: expected an action"},
        Case{"+", "r0:\n", "line 6, column 1: expected \"r1:\", got \"r0:\""}));

// Not rubbish by the grammar: sixteen bytes of memory for one of text.
TEST(ParseScheduleTest, TheDensestListTakesMemoryInProportion) {
  const std::string text =
      Rubbish(absl::StrCat(kHeader, "r0:"), " N", 20'000'000);
  const Usage before = UsageNow();
  const absl::StatusOr<Schedule> schedule = ParseSchedule(text);
  const Usage after = UsageNow();
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_GT(schedule->ranks[0].size(), 9'000'000u);
  EXPECT_LT(after.seconds - before.seconds, 10);
  EXPECT_LT(after.megabytes - before.megabytes, 400);
}

}  // namespace
}  // namespace penstock
