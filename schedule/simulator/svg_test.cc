#include "schedule/simulator/svg.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/simulator/simulation_fixture.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

int Count(absl::string_view text, absl::string_view part) {
  int count = 0;
  for (size_t at = text.find(part); at != absl::string_view::npos;
       at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

// A picture of the run with tF = tI = tW = 1.
std::string Picture(const Schedule& schedule, const SvgOptions& options = {},
                    const UniformTimes& times = {},
                    const SimulateOptions& how = {}) {
  const Timeline timeline =
      Simulated(schedule, UniformCosts(schedule, times), how);
  return TimelineSvg({{.schedule = &schedule, .timeline = &timeline}}, options);
}

TEST(TimelineSvgTest, HasABoxForEveryComputeActionAndARowForEveryRank) {
  const std::string svg = Picture(OverChain("one_f_one_b", 4, 8));
  EXPECT_EQ(Count(svg, "<g><title>"), 4 * 8 * 2);
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_THAT(svg, HasSubstr(absl::StrCat(">r", rank, "</text>")));
  }
  EXPECT_EQ(Count(svg, "fill=\"url(#idle)\""), 4 + 1);  // and the legend
}

TEST(TimelineSvgTest, TellsActionAndTimesAsTooltip) {
  const std::string svg = Picture(OverChain("one_f_one_b", 2, 2));
  EXPECT_THAT(svg, HasSubstr("<title>1F0, 1 to 2</title>"));
  EXPECT_THAT(svg, HasSubstr("<title>1B0, 2 to 4</title>"));
}

TEST(TimelineSvgTest, TellsMakespanAndBubbles) {
  EXPECT_THAT(
      Picture(OverChain("one_f_one_b", 4, 8), {.time_unit = "s"}),
      HasSubstr("makespan 33 s, bubble 27.3 % (span 15.8 %), in flight 4"));
}

TEST(TimelineSvgTest, LegendExplainsJustWhatOccurs) {
  const std::string fused = Picture(OverChain("one_f_one_b", 2, 2));
  EXPECT_THAT(fused, HasSubstr(">B backward<"));
  EXPECT_THAT(fused, Not(HasSubstr(">W weight gradient<")));
  EXPECT_THAT(fused, Not(HasSubstr("lighter")));
  EXPECT_THAT(Picture(OverChain("interleaved", 2, 2, 2)),
              HasSubstr("(lighter: later chunk)"));
}

// One stage on one rank.
Schedule OneRank(int m, std::vector<Action> actions) {
  return OfLists(m, {std::move(actions)});
}

TEST(TimelineSvgTest, ShowsVersionsAndUpdates) {
  Action forward = Forward(StageId(0), MicrobatchId(0));
  Action backward = Backward(StageId(0), MicrobatchId(0));
  forward.version = backward.version = 1;
  const std::string svg =
      Picture(OneRank(1, {forward, backward, Update(StageId(0))}));
  EXPECT_THAT(svg, HasSubstr(">v1</text>"));
  EXPECT_THAT(svg, HasSubstr(">update</text>"));
  EXPECT_THAT(svg, HasSubstr("<title>0U, 3 to 3</title>"));
}

TEST(TimelineSvgTest, TellsVersionsThatOnlyTheScheduleKnows) {
  Schedule schedule = OverChain("gpipe", 1, 4);
  schedule.versions = {{.microbatches_per_update = 1, .delay = 2}};
  EXPECT_THAT(Picture(schedule), HasSubstr("<title>0F3@1, 3 to 4</title>"));
}

TEST(TimelineSvgTest, FramesOverlappedPairs) {
  Action first = Forward(StageId(0), MicrobatchId(1));
  first.overlaps_next = true;
  const std::string svg =
      Picture(OneRank(2, {Forward(StageId(0), MicrobatchId(0)), first,
                          Backward(StageId(0), MicrobatchId(0)),
                          Backward(StageId(0), MicrobatchId(1))}));
  // The pair, and the legend.
  EXPECT_EQ(Count(svg, "fill=\"none\" stroke=\"#000000\""), 2);
}

TEST(TimelineSvgTest, WritesHalvesAndDoubles) {
  Action both = Forward(StageId(0), MicrobatchId(0));
  both.num_microbatches = 2;
  Action first = Backward(StageId(0), MicrobatchId(0));
  first.half = Half::kFirst;
  Action second = first;
  second.half = Half::kSecond;
  const std::string svg = Picture(
      OneRank(2, {both, first, second, Backward(StageId(0), MicrobatchId(1))}));
  EXPECT_THAT(svg, HasSubstr(">0+1</text>"));
  EXPECT_THAT(svg, HasSubstr(">0.1</text>"));
}

TEST(TimelineSvgTest, DrawsRecordedMessagesThatTakeTime) {
  const Schedule schedule = OverChain("one_f_one_b", 2, 2);
  const SimulateOptions recorded = {.record_transfers = true};
  EXPECT_EQ(Count(Picture(schedule, {}, {.hop = 0.5}, recorded), "#00000066"),
            4);
  EXPECT_EQ(Count(Picture(schedule, {}, {}, recorded), "#00000066"), 0);
}

TEST(TimelineSvgTest, RunsShareOneScale) {
  const Schedule slow = OverChain("naive", 2, 2);
  const Schedule fast = OverChain("gpipe", 2, 2);
  const Timeline slow_run = Simulated(slow, UniformCosts(slow, {}));
  const Timeline fast_run = Simulated(fast, UniformCosts(fast, {}));
  const std::string both = TimelineSvg(
      {{.schedule = &slow, .timeline = &slow_run},
       {.title = "a < b", .schedule = &fast, .timeline = &fast_run}});
  EXPECT_THAT(both, HasSubstr(">naive</text>"));
  EXPECT_THAT(both, HasSubstr(">a &lt; b</text>"));
  const std::string first =
      TimelineSvg({{.schedule = &slow, .timeline = &slow_run}});
  const std::string box = "<title>0F0, 0 to 1</title><rect x=\"76\"";
  EXPECT_EQ(Count(both, box), 2);
  // The same width of a unit of time.
  const size_t tick =
      first.find("<line x1=", first.find("<line x1=\"76\"") + 1);
  EXPECT_THAT(both, HasSubstr(first.substr(tick, 20)));
}

TEST(TimelineSvgTest, MarksActions) {
  const Schedule schedule = OverChain("gpipe", 2, 2);
  const Timeline run = Simulated(schedule, UniformCosts(schedule, {}));
  const std::string svg = TimelineSvg(
      {{.schedule = &schedule, .timeline = &run, .marked = {{false, true}}}});
  EXPECT_THAT(svg, HasSubstr(">differs</text>"));
  EXPECT_EQ(Count(svg, "stroke=\"#e00000\" stroke-width"), 1);
}

TEST(TimelineSvgTest, ALongRunKeepsTheWidthAndLeavesNumbersOut) {
  const std::string svg =
      Picture(OverChain("gpipe", 2, 2000), {.max_width = 1000});
  EXPECT_THAT(svg, HasSubstr("<svg xmlns=\"http://www.w3.org/2000/svg\" "
                             "width=\"1096\""));
  EXPECT_THAT(svg, Not(HasSubstr(">1999</text>")));
}

TEST(TimelineSvgTest, ColoursByMicrobatch) {
  const Schedule schedule = OverChain("gpipe", 2, 3);
  const std::string svg = Picture(schedule, {.colour = ColourBy::kMicrobatch});
  for (int b = 0; b < 3; ++b) {
    EXPECT_THAT(svg, HasSubstr(ColourOf(MicrobatchId(b), Op::kForward).Hex()));
  }
}

TEST(TimelineSvgTest, NothingAndUnfinishedRunsAreDrawn) {
  EXPECT_THAT(TimelineSvg({}), HasSubstr("<svg "));
  const Schedule schedule = OverChain("gpipe", 2, 2);
  Timeline cut;
  cut.ranks = {{{.start = 0, .end = 1}, {}}, {}};
  const std::string svg =
      TimelineSvg({{.schedule = &schedule, .timeline = &cut}});
  EXPECT_EQ(Count(svg, "<g><title>"), 1);
}

Action At(int stage, int microbatch) {
  return Forward(StageId(stage), MicrobatchId(microbatch));
}

TEST(ShadesTest, TellsChunksAndCopiesApartButNotReplicas) {
  const Schedule chunks = OverChain("interleaved", 2, 2, 2);
  EXPECT_EQ(Shades(chunks).count(), 2);
  EXPECT_EQ(Shades(chunks).LightnessOf(RankId(0), At(0, 0)), 0);
  EXPECT_GT(Shades(chunks).LightnessOf(RankId(0), At(2, 0)), 0.5);

  const Schedule copies = OverChain("chimera", 4, 4);
  EXPECT_EQ(Shades(copies).noun(), "copy");
  EXPECT_EQ(Shades(copies).LightnessOf(RankId(3), At(3, 0)), 0);
  EXPECT_GT(Shades(copies).LightnessOf(RankId(3), At(0, 2)), 0.5);

  Schedule replicas = OverChain("gpipe", 2, 2);
  replicas.placement = {{RankId(0), RankId(1)}};
  EXPECT_EQ(Shades(replicas).count(), 1);
}

TEST(ColourTest, IsWrittenInHexAndKnowsWhichInkToUse) {
  EXPECT_EQ((Colour{0, 0.5, 1}).Hex(), "#0080ff");
  EXPECT_TRUE(ColourOf(Op::kForward).IsDark());
  EXPECT_FALSE(Lighter(ColourOf(Op::kForward), 0.6).IsDark());
  EXPECT_EQ(Lighter({0, 0, 0}, 1).Hex(), "#ffffff");
}

}  // namespace
}  // namespace penstock
