#include <limits>
#include <string>
#include <vector>

#include "client/render/error_text.h"
#include "client/render/progress_line.h"
#include "client/render/quantity.h"
#include "client/render/table.h"
#include "client/render/yaml_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(TableTest, PadsColumnsAndMarksEmptyCells) {
  EXPECT_EQ(
      RenderTable({"ID", "NAME", "WHY"}, {{"1", "gpt-nano", ""}, {"20", "x"}}),
      "ID  NAME      WHY\n"
      "1   gpt-nano  -\n"
      "20  x         -\n");
}

TEST(TableTest, WidthCountsCharactersNotBytes) {
  EXPECT_EQ(RenderTable({"A", "B"}, {{"\xC3\xA9\xC3\xA9", "x"}}),
            "A   B\n\xC3\xA9\xC3\xA9  x\n");
}

TEST(TableTest, WithoutRowsIsTheHeading) {
  EXPECT_EQ(RenderTable({"A", "B"}, {}), "A  B\n");
}

TEST(QuantityTest, HasThreeDigitsAndAUnit) {
  EXPECT_EQ(RateText(12345), "12.3k");
  EXPECT_EQ(RateText(999.4), "999");
  EXPECT_EQ(RateText(999.6), "1.00k");
  EXPECT_EQ(RateText(2.5e6), "2.50M");
  EXPECT_EQ(RateText(0), "0");
  EXPECT_EQ(PercentText(0.2134), "21.3 %");
  EXPECT_EQ(SecondsText(0.0451), "45.1 ms");
  EXPECT_EQ(SecondsText(2.5), "2.5 s");
  EXPECT_EQ(SecondsText(59.96), "1m 00s");
  EXPECT_EQ(SecondsText(65), "1m 05s");
  EXPECT_EQ(SecondsText(3600 * 5 + 125), "5h 02m");
  EXPECT_EQ(CountText(0), "0");
  EXPECT_EQ(CountText(999), "999");
  EXPECT_EQ(CountText(1234567), "1,234,567");
  EXPECT_EQ(CountText(-1234), "-1,234");
  EXPECT_EQ(BytesText(0), "0 B");
  EXPECT_EQ(BytesText(999), "999 B");
  EXPECT_EQ(BytesText(1000), "0.98 KiB");
  EXPECT_EQ(BytesText(12'600), "12.3 KiB");
  EXPECT_EQ(BytesText(1'342'177'280), "1.25 GiB");
  EXPECT_EQ(BytesText(int64_t{5} << 40), "5 TiB");
  EXPECT_EQ(LossText(2.91349), "2.913");
  EXPECT_EQ(LossText(2.07), "2.070");
}

TEST(QuantityTest, NotFiniteIsNoNumber) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(LossText(nan), "nan");
  EXPECT_EQ(LossText(infinity), "inf");
  EXPECT_EQ(RateText(nan), "-");
  EXPECT_EQ(SecondsText(infinity), "-");
  EXPECT_EQ(PercentText(nan), "-");
}

TEST(QuantityTest, TimesThatHaveNotComeAreEmpty) {
  EXPECT_EQ(TimeText(0, absl::UTCTimeZone()), "");
  EXPECT_EQ(StableTimeText(0), "");
  EXPECT_EQ(StableTimeText(1'700'000'000'123'000'000),
            "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(TimeText(1'700'000'000'000'000'000, absl::UTCTimeZone()),
            "2023-11-14 22:13:20");
}

TEST(QuantityTest, AgeIsInOneUnit) {
  const absl::Time now = absl::FromUnixSeconds(1'000'000);
  const auto age = [&](int64_t seconds) {
    return AgeText(absl::ToUnixNanos(now - absl::Seconds(seconds)), now);
  };
  EXPECT_EQ(age(5), "5s");
  EXPECT_EQ(age(119), "119s");
  EXPECT_EQ(age(120), "2m");
  EXPECT_EQ(age(7200), "2h");
  EXPECT_EQ(age(3 * 86400), "3d");
  EXPECT_EQ(age(-5), "0s");
}

ProgressSnapshot Snapshot() {
  ProgressSnapshot progress;
  progress.name = "gpt-nano";
  progress.steps = 200;
  progress.record.set_step(123);
  progress.record.set_loss(2.9134);
  progress.record.set_tokens_per_second(12345);
  progress.record.set_step_seconds(0.0451);
  progress.record.set_bubble_fraction(0.213);
  progress.eta_seconds = 3.4;
  return progress;
}

TEST(ProgressLineTest, WideTerminalShowsABar) {
  EXPECT_EQ(LiveLine(Snapshot(), 120),
            "gpt-nano  123/200 [##################------------] loss 2.913  "
            "12.3k tok/s  45.1 ms/step  bubble 21.3 %  ETA 3.4 s");
}

TEST(ProgressLineTest, NarrowTerminalDropsTheBarThenTheEnd) {
  EXPECT_EQ(LiveLine(Snapshot(), 86),
            "gpt-nano  123/200  loss 2.913  12.3k tok/s  45.1 ms/step  bubble "
            "21.3 %  ETA 3.4 s");
  EXPECT_EQ(LiveLine(Snapshot(), 30), "gpt-nano  123/200  loss 2.913 ");
}

TEST(ProgressLineTest, NeverWiderThanTheTerminal) {
  for (int columns = 0; columns < 200; ++columns) {
    EXPECT_LE(LiveLine(Snapshot(), columns).size(), columns);
  }
}

TEST(ProgressLineTest, PlainLineHasNoControlCharacters) {
  EXPECT_EQ(PlainLine(Snapshot()),
            "step 123/200  loss 2.913  tokens/s 12.3k  step time 45.1 ms  "
            "bubble 21.3 %  ETA 3.4 s");
}

TEST(ProgressLineTest, HeldOutLossIsOfStepsThatWereEvaluated) {
  ProgressSnapshot progress = Snapshot();
  progress.record.set_evaluation_loss(3.25);
  for (const std::string& line :
       {PlainLine(progress), LiveLine(progress, 120)}) {
    EXPECT_THAT(line, HasSubstr("bubble 21.3 %  held-out loss 3.25"));
  }
}

TEST(ProgressLineTest, UnknownEtaIsLeftOut) {
  ProgressSnapshot progress = Snapshot();
  progress.eta_seconds = -1;
  EXPECT_THAT(PlainLine(progress), Not(HasSubstr("ETA")));
  EXPECT_THAT(LiveLine(progress, 120), Not(HasSubstr("ETA")));
}

TEST(ProgressLineTest, BarStaysWithinItsEnds) {
  EXPECT_EQ(Bar(0, 6), "[----]");
  EXPECT_EQ(Bar(0.5, 6), "[##--]");
  EXPECT_EQ(Bar(1, 6), "[####]");
  EXPECT_EQ(Bar(7, 6), "[####]");
  EXPECT_EQ(Bar(-1, 6), "[----]");
  EXPECT_EQ(Bar(0.5, 0), "[]");
}

ProgressRecord RecordAt(int64_t step, double seconds) {
  ProgressRecord record;
  record.set_step(step);
  record.set_step_seconds(0.5);
  record.set_finished_unix_nanos(static_cast<int64_t>(seconds * 1e9));
  return record;
}

TEST(LineThinnerTest, ShowsFirstLastAndOneASecond) {
  LineThinner thinner(1);
  EXPECT_TRUE(thinner.Shows(RecordAt(1, 10), 100));
  EXPECT_FALSE(thinner.Shows(RecordAt(2, 10.9), 100));
  EXPECT_TRUE(thinner.Shows(RecordAt(3, 11), 100));
  EXPECT_FALSE(thinner.Shows(RecordAt(4, 11.5), 100));
  EXPECT_TRUE(thinner.Shows(RecordAt(100, 11.6), 100));
}

TEST(LineThinnerTest, ShowsEveryStepThatWasEvaluated) {
  LineThinner thinner(1);
  EXPECT_TRUE(thinner.Shows(RecordAt(1, 10), 100));
  ProgressRecord evaluated = RecordAt(2, 10.1);
  evaluated.set_evaluation_loss(1.5);
  EXPECT_TRUE(thinner.Shows(evaluated, 100));
  EXPECT_FALSE(thinner.Shows(RecordAt(3, 10.2), 100));
}

TEST(LineThinnerTest, LongJobsShowFewer) {
  LineThinner thinner(1);
  EXPECT_TRUE(thinner.Shows(RecordAt(1, 1000), 100));
  EXPECT_TRUE(thinner.Shows(RecordAt(2, 1100), 100));
  EXPECT_FALSE(thinner.Shows(RecordAt(3, 1101.5), 100));
  EXPECT_TRUE(thinner.Shows(RecordAt(4, 1103), 100));
}

TEST(EtaEstimateTest, IsStepsLeftTimesTheMeanStep) {
  EtaEstimate eta;
  EXPECT_DOUBLE_EQ(eta.Update(RecordAt(1, 0), 11), 5);
  EXPECT_DOUBLE_EQ(eta.Update(RecordAt(2, 0), 11), 4.5);
  EXPECT_LT(eta.Update(RecordAt(11, 0), 11), 0);
}

TEST(ErrorTextTest, EachLineSaysWhoseErrorItIs) {
  EXPECT_EQ(ErrorText(absl::InvalidArgumentError("a: one\nb: two")),
            "penstock: error: a: one\npenstock: error: b: two\n");
  EXPECT_EQ(ErrorText(absl::UnknownError("it said:\n  no\n")),
            "penstock: error: it said:\n  no\n");
  EXPECT_EQ(ErrorText(absl::UnknownError("")),
            "penstock: error: unknown error\n");
  EXPECT_THAT(ErrorText(absl::InternalError("x")), HasSubstr("bug"));
}

TEST(YamlTextTest, KeepsOrderAndQuotesWhatYamlWouldMisread) {
  const nlohmann::ordered_json json = {
      {"name", "gpt"},
      {"digest", "12e5"},
      {"flag", "yes"},
      {"none", nullptr},
      {"loss", 2.5},
      {"reason", ""},
      {"ranks", nlohmann::ordered_json::array()},
      {"layers", {{"a", "b"}, {"c"}}},
      {"stages", {{{"n", 1}}, {{"n", 2}}}}};
  EXPECT_EQ(YamlText(json),
            "name: gpt\n"
            "digest: \"12e5\"\n"
            "flag: \"yes\"\n"
            "none: null\n"
            "loss: 2.5\n"
            "reason: \"\"\n"
            "ranks: []\n"
            "layers: [[a, b], [c]]\n"
            "stages:\n"
            "  - n: 1\n"
            "  - n: 2\n");
}

}  // namespace
}  // namespace penstock
