// What a person is told about a schedule file that is wrong: line, column and
// what was expected, whether the parser finds it or the verifier.

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/text_format.h"
#include "schedule/ir/text_places.h"
#include "schedule/verifier/broken_schedules.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr char kSound[] = R"(penstock-schedule 1
name by_hand
microbatches 2
placement r0 r1
edge activation h 0>1
r0: 0F0 0SF0[h>r1] 0F1 0SF1[h>r1] 0RB0[h<r1] 0B0 0RB1[h<r1] 0B1 N 0U
r1: 1RF0[h<r0] 1F0 1B0 1SB0[h>r0] 1RF1[h<r0] 1F1 1B1 1SB1[h>r0] N 1U
)";

// What is wrong with a file, a line each; "" of a good one.
std::string Check(const std::string& text) {
  const absl::StatusOr<Schedule> schedule = ParseSchedule(text);
  if (!schedule.ok()) return std::string(schedule.status().message());
  const TextPlaces places(text);
  std::string lines;
  for (const Violation& violation : Verify(*schedule)) {
    absl::StrAppend(&lines, PlaceOf(violation, places), ": ",
                    Summarize(violation), "\n");
  }
  return lines;
}

struct BadFile {
  const char* what;
  const char* base;
  Edits edits;
  const char* message;
};

class BadFileTest : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadFileTest, IsRefusedWithLineColumnAndWhatWasExpected) {
  EXPECT_THAT(Check(Edited(GetParam().base, GetParam().edits)),
              HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadFileTest,
    ::testing::Values(
        BadFile{"truncated_in_a_word",
                kSound,
                {{"1SB1[h>r0] N 1U\n", "1SB1[h"}},
                "line 7, column 60: expected \">r\", got the end"},
        BadFile{"truncated_in_a_list",
                kSound,
                {{" N 1U\n", ""}},
                "line 7, column 1: complete: r1: N is missing"},
        BadFile{"truncated_before_a_list",
                kSound,
                {{kSound + std::string(kSound).find("r1: 1RF"), ""}},
                "placement: stage 1 is placed on rank 1 of 1"},
        BadFile{"truncated_before_the_epilogue",
                kPipedreamText,
                {{kPipedreamText + std::string(kPipedreamText).find("epilogue"),
                  ""}},
                "line 14, column 1: expected \"epilogue\", got the end"},
        BadFile{"unknown_op",
                kSound,
                {{"0B0 ", "0Q0 "}},
                "line 6, column 47: expected an op (F B I W R SF RF SB RB G U),"
                " got \"Q0\""},
        BadFile{"duplicate_cell",
                kSound,
                {{"0B0 ", "0B0 0B0 "}},
                "line 6, column 50: complete: r0 action 6: 0B0 is there twice"},
        BadFile{"missing_microbatch",
                kSound,
                {{"0F1 ", ""}},
                "line 6, column 1: complete: r0: 0F1 is missing"},
        BadFile{
            "cyclic_waits",
            kSound,
            {{"0F1 0SF1[h>r1] 0RB0[h<r1] 0B0", "0RB0[h<r1] 0B0 0F1 0SF1[h>r1]"},
             {"1F0 1B0 1SB0[h>r0] 1RF1[h<r0] 1F1 1B1 1SB1[h>r0]",
              "1RF1[h<r0] 1F0 1B0 1SB0[h>r0] 1F1 1B1 1SB1[h>r0]"}},
            "line 6, column 20: deadlock_free: r0 action 2: wait cycle: "
            "r0 at 0RB0[h<r1] waits for 1SB0[h>r0] of r1; r1 at 1RF1[h<r0]"
            " waits for 0SF1[h>r1] of r0"},
        BadFile{"format_version",
                kSound,
                {{"schedule 1", "schedule 3"}},
                "line 1, column 19: version 3 of the format is not known; "
                "expected 1"},
        BadFile{
            "weight_version_in_the_period",
            kPipedreamText,
            {{"0SF2[h>r1] 0RB1[h<r1] 0B1@0", "0SF2[h>r1] 0RB1[h<r1] 0B1@1"}},
            "line 12, column 33: weight_version: r0 action 10: 0B1@1 reads "
            "another version than 0F1@0"},
        BadFile{"weight_version_in_the_epilogue",
                kPipedreamText,
                {{"epilogue\nr0: 0RB1[h<r1] 0B1@0",
                  "epilogue\nr0: 0RB1[h<r1] 0B1@1"}},
                "line 15, column 16: weight_version: r0"},
        BadFile{"stage_on_a_rank_that_does_not_hold_it",
                kSound,
                {{"1B0 ", "0B0 "}},
                "line 7, column 20: placement: r1 action 2: 0B0"},
        BadFile{
            "rank_out_of_range",
            kSound,
            {{"placement r0 r1", "placement r0 r7"}},
            "line 1, column 1: placement: stage 1 is placed on rank 7 of 2"},
        BadFile{"microbatch_out_of_range",
                kSound,
                {{"0F1 ", "0F2147483648 "}},
                "line 6, column 22: a microbatch is larger than 2147483647"},
        BadFile{"microbatch_beyond_the_step",
                kSound,
                {{"0F1 ", "0F2 "}},
                "line 6, column 20: placement: r0 action 2: 0F2: there is no "
                "microbatch 2 of 2"}),
    [](const auto& info) { return std::string(info.param.what); });

TEST(BadFileTest, TheFilesThatTheseAreMadeOfAreSound) {
  EXPECT_EQ(Check(kSound), "");
  EXPECT_EQ(Check(kPipedreamText), "");
}

}  // namespace
}  // namespace penstock
