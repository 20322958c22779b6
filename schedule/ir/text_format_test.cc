#include "schedule/ir/text_format.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

const std::vector<Edge>& Edges() {
  static const auto* edges = new std::vector<Edge>{
      {EdgeKind::kActivation, "h3", StageId(0), StageId(1)},
      {EdgeKind::kActivation, "h3", StageId(0), StageId(2)},
      {EdgeKind::kActivation, "h7", StageId(1), StageId(2)},
      {EdgeKind::kTiedWeight, "wte", StageId(0), StageId(2)},
  };
  return *edges;
}

constexpr char kFile[] = R"(penstock-schedule 1
name by_hand
microbatches 1
placement r0 r1 r0+r1 -
edge activation h3 0>1
edge activation h3 0>2
edge activation h7 1>2
edge tied_weight wte 0>2
r0: 0F0 0SF0[h3#0>r1] 2RF0[h7<r1] 2F0@3 2I0 2W0 0R0 0G N 0U
r1: 1RF0[h3<r0] 1F0 2SB*[wte>r0]
r2:
)";

class RoundTripTest : public ::testing::TestWithParam<const char*> {};

TEST_P(RoundTripTest, TextSurvives) {
  const absl::StatusOr<Action> action = ParseAction(GetParam(), Edges());
  ASSERT_TRUE(action.ok()) << action.status();
  EXPECT_EQ(ToString(*action, Edges()), GetParam());
}
INSTANTIATE_TEST_SUITE_P(
    EveryOp, RoundTripTest,
    ::testing::Values("2F0", "0I13", "10W7", "3F5@1", "0B2147483647",
                      "1B0@2147483647", "2R4", "N", "0U", "12G", "1SF3[h7>r1]",
                      "2RF3[h7<r0]", "2SB0[h7>r0]", "1RB12[h7<r1]",
                      "2SB*[wte>r0]", "0RB*[wte<r1]", "0SF*[wte>r1]",
                      "2RF*[wte<r0]", "0SF1[h3#1>r2]", "1RF1[h3<r2]",
                      "5SF1[h3#0>r2]", "0F2+3", "0F2+3@4&", "0F4&", "1B2.0",
                      "1I2.1@7", "1W0.0&", "0R4@2", "0U@3", "0G@12",
                      "1SB3.1[h3>r0]", "0RB3.0[h3#0<r1]"));

struct BadAction {
  const char* text;
  const char* message;
};

class BadActionTest : public ::testing::TestWithParam<BadAction> {};

TEST_P(BadActionTest, SaysColumnAndWhatWasExpected) {
  const absl::StatusOr<Action> action = ParseAction(GetParam().text, Edges());
  ASSERT_FALSE(action.ok());
  EXPECT_EQ(action.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(action.status().message(), HasSubstr(GetParam().message));
}
INSTANTIATE_TEST_SUITE_P(
    Texts, BadActionTest,
    ::testing::Values(
        BadAction{"", "column 1: expected an action such as \"2F0\", got the"},
        BadAction{"2X0", "column 2: expected an op (F B I W R SF RF SB RB G U"},
        BadAction{"F0", "column 1: expected an action"},
        BadAction{"2F", "column 3: expected a microbatch, got the end"},
        BadAction{"2F-1", "column 3: expected a microbatch, got \"-1\""},
        BadAction{"02F0", "column 1: an action such as \"2F0\" has a leading"},
        BadAction{"2F01", "column 3: a microbatch has a leading zero"},
        BadAction{"2F2147483648", "a microbatch is larger than 2147483647"},
        BadAction{"2F99999999999999999999999", "is larger than"},
        BadAction{"2F0@", "expected a weight version"},
        BadAction{"2F*", "expected a microbatch"},
        BadAction{"2F0 ", "column 4: expected the end"},
        BadAction{"0F2+", "column 5: expected the microbatch after it, got"},
        BadAction{"0F2+4", "column 5: expected 3, the microbatch after 2"},
        BadAction{"0F2147483647+2147483648", "larger than 2147483647"},
        BadAction{"0B2+3", "column 4: expected the end, got \"+3\""},
        BadAction{"0B2.2", "column 5: expected a half (0 or 1), got \"2\""},
        BadAction{"0F2.0", "column 4: expected the end, got \".0\""},
        BadAction{"0R2.0", "column 4: expected the end"},
        BadAction{"1SF0.0[h7>r2]",
                  "column 5: expected \"[\", got \".0[h7>r2]\""},
        BadAction{"2SB*.0[wte>r0]", "column 5: expected \"[\""},
        BadAction{"0U&", "column 3: expected the end, got \"&\""},
        BadAction{"0U@", "column 4: expected a weight version"},
        BadAction{"0F1@2147483648", "a weight version is larger than"},
        BadAction{"0F4&3B2", "column 5: expected the end, got \"3B2\""},
        BadAction{"0U0", "column 3: expected the end, got \"0\""},
        BadAction{"N0", "expected the end"},
        BadAction{"1SF0", "expected \"[\", got the end"},
        BadAction{"1SF0[h7<r2]", "column 8: expected \">r\", got \"<r2]\""},
        BadAction{"1SF0[h7>r2", "expected \"]\", got the end"},
        BadAction{"1SF0[h9>r2]", "no edge carries \"h9\" from stage 1"},
        BadAction{"1RF0[h7<r2]", "no edge carries \"h7\" to stage 1"},
        BadAction{"0SF0[h3>r1]", "more than one edge carries \"h3\" from"},
        BadAction{"0SF0[h3#2>r1]", "edge 2 carries no \"h3\""},
        BadAction{"0SF0[h3#9>r1]", "edge 9 carries no \"h3\""},
        BadAction{"1SF0[h7#2>r1]", "\"h7\" is enough to name edge 2"},
        BadAction{"\x01\xff", "\"\\x01\\xff\" is not an action"}));

TEST(ToStringTest, EdgeThatDoesNotExistIsShownByNumber) {
  const Action action = Communicate(Op::kSendForward, StageId(0),
                                    MicrobatchId(3), EdgeId(7), RankId(1));
  EXPECT_EQ(ToString(action), "0SF3[#7>r1]");
  EXPECT_FALSE(ParseAction("0SF3[#7>r1]").ok());
}

TEST(PrintScheduleTest, PrintsWhatWasParsed) {
  const absl::StatusOr<Schedule> schedule = ParseSchedule(kFile);
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(PrintSchedule(*schedule), kFile);
  EXPECT_EQ(schedule->num_ranks(), 3);
  EXPECT_EQ(schedule->num_stages(), 4);
  EXPECT_EQ(schedule->edges, Edges());
  EXPECT_EQ(schedule->ranks[1][2],
            Communicate(Op::kSendBackward, StageId(2), kWholeStep, EdgeId(3),
                        RankId(0)));
}

TEST(ParseScheduleTest, CommentsBlankLinesAndBlanksAreNotKept) {
  const std::string loose = absl::StrReplaceAll(
      kFile, {{"\n", " \r\n\n  # a remark\n"}, {" 0U", "\t  0U "}});
  const absl::StatusOr<Schedule> schedule = ParseSchedule(loose);
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(PrintSchedule(*schedule), kFile);
}

TEST(ParseScheduleTest, LastLineNeedsNoNewline) {
  std::string text = kFile;
  text.pop_back();
  EXPECT_TRUE(ParseSchedule(text).ok());
}

struct BadFile {
  const char* from;
  const char* to;
  const char* message;
};

class BadFileTest : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadFileTest, SaysLineAndColumn) {
  const std::string text =
      absl::StrReplaceAll(kFile, {{GetParam().from, GetParam().to}});
  ASSERT_NE(text, kFile);
  const absl::StatusOr<Schedule> schedule = ParseSchedule(text);
  ASSERT_FALSE(schedule.ok());
  EXPECT_EQ(schedule.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(schedule.status().message(), HasSubstr(GetParam().message));
}
INSTANTIATE_TEST_SUITE_P(
    Texts, BadFileTest,
    ::testing::Values(
        BadFile{"penstock-schedule", "pipeline",
                "line 1, column 1: expected \"penstock-schedule\""},
        BadFile{"schedule 1", "schedule 2", "line 1, column 19: version 2 of"},
        BadFile{"name by_hand", "name", "line 2, column 5: expected the sched"},
        BadFile{"name by_hand", "name by hand",
                "line 2, column 9: expected the end of the line"},
        BadFile{"microbatches 1", "microbatches -1",
                "line 3, column 14: expected the number of microbatches"},
        BadFile{"r0+r1", "r0+1", "line 4, column 20: expected \"r\""},
        BadFile{"edge activation h7", "edge skip h7",
                "line 7, column 6: expected \"activation\" or \"tied_weight\""},
        BadFile{"h7 1>2", "h7 1-2", "line 7, column 21: expected \">\""},
        BadFile{"2W0", "2Q0", "line 9, column 46: expected an op"},
        BadFile{"r1: 1", "r2: 1", "line 10, column 1: expected \"r1:\", got"},
        BadFile{"0G N", "0GN", "column 55: expected a blank, got \"N\""},
        BadFile{"r2:\n", "epilogue\n", "line 11, column 1: expected \"r2:\""}));

constexpr char kContinuous[] = R"(penstock-schedule 1
name by_hand
microbatches 2
policy grouped
accumulation as_listed
placement r0 r1+r2
versions 2/1 1/0
edge activation h 0>1
prologue
r0: 0F0+1@0 0SF0[h>r1]
r1: 1RF0[h<r0] 1F0&1B0.0 1B0.1& 1SB0.0[h>r0] 1F1
r2:
period
r0:
r1: 0F4&3B2&1F5& N
r2: 1G@3 1U@3
epilogue
r0:
r1:
r2: 1F9&
)";

TEST(PrintScheduleTest, PrintsTheContinuousScheduleThatWasParsed) {
  const absl::StatusOr<Schedule> schedule = ParseSchedule(kContinuous);
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(PrintSchedule(*schedule), kContinuous);
  EXPECT_EQ(schedule->policy, WeightPolicy::kGrouped);
  EXPECT_EQ(schedule->accumulation, AccumulationOrder::kAsListed);
  EXPECT_EQ(schedule->versions, (std::vector<VersionRule>{{2, 1}, {1, 0}}));
  EXPECT_EQ(schedule->num_ranks(), 3);
  EXPECT_EQ(schedule->period.size(), 3u);
  EXPECT_EQ(schedule->epilogue.size(), 3u);
  EXPECT_EQ(schedule->ranks[0][0].num_microbatches, 2);
  EXPECT_TRUE(schedule->ranks[1][1].overlaps_next);
  EXPECT_EQ(schedule->ranks[1][3].half, Half::kSecond);
  EXPECT_EQ(schedule->period[2][1].version, 3);
}

TEST(PrintScheduleTest, PrintsARunThatIsWrittenOut) {
  const std::string text =
      "penstock-schedule 1\nname run\nmicrobatches 1\npolicy stash\n"
      "placement r0\nversions 1/0\nr0: 0F0@0 0B0@0 0U@1\n";
  const absl::StatusOr<Schedule> schedule = ParseSchedule(text);
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(PrintSchedule(*schedule), text);
  EXPECT_TRUE(schedule->period.empty());
}

TEST(ParseScheduleTest, DefaultsAndBlanksInsideAPairAreNotKept) {
  const absl::StatusOr<Schedule> schedule = ParseSchedule(
      "penstock-schedule 1\nname x\nmicrobatches 1\npolicy flush\n"
      "accumulation ascending\nplacement r0\nr0: 0F0&  0B0\n");
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(PrintSchedule(*schedule),
            "penstock-schedule 1\nname x\nmicrobatches 1\nplacement r0\n"
            "r0: 0F0&0B0\n");
}

class BadContinuousFileTest : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadContinuousFileTest, SaysLineAndColumn) {
  const std::string text =
      absl::StrReplaceAll(kContinuous, {{GetParam().from, GetParam().to}});
  ASSERT_NE(text, kContinuous);
  const absl::StatusOr<Schedule> schedule = ParseSchedule(text);
  ASSERT_FALSE(schedule.ok());
  EXPECT_THAT(schedule.status().message(), HasSubstr(GetParam().message));
}
INSTANTIATE_TEST_SUITE_P(
    Texts, BadContinuousFileTest,
    ::testing::Values(
        BadFile{"policy grouped", "policy weekly",
                "line 4, column 8: expected a policy (flush stash vertical"},
        BadFile{"policy grouped", "policy groupedly",
                "line 4, column 15: expected the end of the line"},
        BadFile{"policy grouped\n", "",
                "line 6, column 1: expected \"r0:\", got \"versions\""},
        BadFile{"as_listed", "sideways",
                "line 5, column 14: expected an order (ascending"},
        BadFile{"versions 2/1 1/0\n", "",
                "line 7, column 1: expected \"versions\", got \"edge\""},
        BadFile{"2/1 1/0", "2/1",
                "line 7, column 13: expected a rule such as \"4/1\" for each "
                "of 2 stages, got the end"},
        BadFile{"2/1 1/0", "2/1 1/0 3/0",
                "line 7, column 18: expected the end of the line"},
        BadFile{"1/0", "0/0", "line 7, column 14: microbatches per update are"},
        BadFile{"1/0", "1-0", "line 7, column 15: expected \"/\""},
        BadFile{"1/0", "1/2147483648", "column 16: a delay in updates is"},
        BadFile{"prologue\nr0:", "prologue\nr1:",
                "line 10, column 1: expected \"r0:\", got \"r1:\""},
        BadFile{"period\n", "",
                "line 13, column 1: expected \"r3:\" or \"period\""},
        BadFile{"r2: 1G@3 1U@3\n", "",
                "line 16, column 1: expected \"r2:\", got \"epilogue\""},
        BadFile{"1U@3\n", "1U@3\nr3:\n",
                "line 17, column 1: expected \"epilogue\", got \"r3:\""},
        BadFile{"r2: 1F9&\n", "",
                "line 20, column 1: expected \"r2:\", got the"},
        BadFile{"1F9&\n", "1F9&\nr3:\n",
                "line 21, column 1: expected the end of the file, got \"r3:\""},
        BadFile{"1B0.1& 1SB", "1B0.1&1SB",
                "line 11, column 32: expected a blank, or F B I W R"},
        BadFile{"1F0&1B0.0", "1F0 &1B0.0",
                "line 11, column 20: expected an action"}));

TEST(ParseScheduleTest, EmptyTextSaysWhatShouldBegin) {
  EXPECT_THAT(ParseSchedule("").status().message(),
              HasSubstr("line 1, column 1: expected \"penstock-schedule\", got "
                        "the end"));
}

TEST(ParseScheduleTest, EveryTruncationOfAContinuousScheduleIsRefused) {
  const std::string text = kContinuous;
  // Without its last characters the last action is another one.
  for (size_t size = 0; size < text.rfind("r2:") + 3; ++size) {
    EXPECT_THAT(ParseSchedule(text.substr(0, size)).status().message(),
                HasSubstr("line "))
        << size;
  }
}

TEST(ParseScheduleTest, MoreThanAMillionStagesOrRanksAreRefused) {
  std::string stages = "penstock-schedule 1\nname x\nmicrobatches 1\nplacement";
  for (int i = 0; i <= 1'000'000; ++i) stages += " -";
  EXPECT_THAT(ParseSchedule(stages).status().message(),
              HasSubstr("line 4, column 2000011: more than 1000000 stages"));
}

TEST(ParseScheduleTest, EveryTruncationIsReadOrRefused) {
  const std::string text = kFile;
  for (size_t size = 0; size < text.size(); ++size) {
    const absl::StatusOr<Schedule> schedule =
        ParseSchedule(text.substr(0, size));
    if (!schedule.ok()) {
      EXPECT_THAT(schedule.status().message(), HasSubstr("line "));
    }
  }
}

// Bytes of a good file are replaced, removed, doubled or moved at random, the
// same on each run; what is still read must print and parse to the same.
TEST(ParseScheduleTest, MutatedTextIsReadTheSameAfterPrintingOrRefused) {
  constexpr char kBytes[] = "0123456789rFBIWRSGUN[]<>#*@+-:&/ \n\t.a\xff";
  int accepted = 0;
  for (uint64_t seed = 0; seed < 20000; ++seed) {
    std::string text = seed % 2 == 0 ? kFile : kContinuous;
    const int edits = 1 + static_cast<int>(RandomKey(seed, {0}) % 3);
    for (int edit = 1; edit <= edits; ++edit) {
      const uint64_t draw = RandomKey(seed, {static_cast<uint64_t>(edit)});
      const size_t at = (draw >> 8) % text.size();
      const char byte = kBytes[(draw >> 40) % sizeof(kBytes)];
      switch (draw % 4) {
        case 0:
          text[at] = byte;
          break;
        case 1:
          text.erase(at, 1);
          break;
        case 2:
          text.insert(at, 1, byte);
          break;
        default:
          text.insert(at, text.substr((draw >> 24) % text.size(), 12));
      }
    }
    const absl::StatusOr<Schedule> schedule = ParseSchedule(text);
    if (!schedule.ok()) {
      ASSERT_THAT(schedule.status().message(), HasSubstr("column "));
      continue;
    }
    ++accepted;
    const std::string printed = PrintSchedule(*schedule);
    const absl::StatusOr<Schedule> again = ParseSchedule(printed);
    ASSERT_TRUE(again.ok()) << again.status() << "\n" << printed;
    ASSERT_EQ(*again, *schedule);
    ASSERT_EQ(PrintSchedule(*again), printed);
  }
  EXPECT_GT(accepted, 100);
}

TEST(ParseActionTest, LongRubbishGetsAShortAnswer) {
  const absl::Status status =
      ParseAction(std::string(10'000'000, '7')).status();
  EXPECT_THAT(status.message(), HasSubstr("is larger than 2147483647"));
  EXPECT_LT(status.message().size(), 500u);
}

TEST(ParseScheduleTest, LongListsAreReadWhole) {
  std::string text =
      "penstock-schedule 1\nname x\nmicrobatches 1\nplacement r0\nr0:";
  for (int i = 0; i < 3000; ++i) absl::StrAppend(&text, " 0F", i, "&0B", i);
  text += "\n";
  const absl::StatusOr<Schedule> schedule = ParseSchedule(text);
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(schedule->ranks[0].size(), 6000u);
  EXPECT_EQ(PrintSchedule(*schedule), text);
}

}  // namespace
}  // namespace penstock
