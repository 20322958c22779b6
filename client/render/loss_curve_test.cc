#include "client/render/loss_curve.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Whether every tag that opens is closed in order.
bool IsWellFormed(const std::string& xml) {
  std::vector<std::string> open;
  for (size_t at = xml.find('<'); at != std::string::npos;
       at = xml.find('<', at + 1)) {
    const size_t end = xml.find('>', at);
    if (end == std::string::npos) return false;
    const std::string tag = xml.substr(at + 1, end - at - 1);
    if (tag.find('<') != std::string::npos) return false;
    if (tag[0] == '/') {
      if (open.empty() || open.back() != tag.substr(1)) return false;
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
  }
  return open.empty();
}

std::vector<LossPoint> Falling(int steps) {
  std::vector<LossPoint> points;
  for (int step = 1; step <= steps; ++step) {
    points.push_back({step, 2 + 3.5 * std::exp(-step / 50.0)});
  }
  return points;
}

TEST(LossCurveTest, HasTitleUnitsAndTheLastValue) {
  const std::string svg = LossCurveSvg("gpt-nano (j-1)", Falling(200));
  EXPECT_TRUE(IsWellFormed(svg));
  EXPECT_THAT(svg, HasSubstr(">gpt-nano (j-1)<"));
  EXPECT_THAT(svg, HasSubstr(">loss (nats per token)<"));
  EXPECT_THAT(svg, HasSubstr(">step (optimizer updates)<"));
  EXPECT_THAT(svg, HasSubstr(">step 200: loss 2.064<"));
  EXPECT_THAT(svg, HasSubstr("<polyline"));
}

TEST(LossCurveTest, TitleIsEscaped) {
  const std::string svg = LossCurveSvg("a<b> & \"c\"", Falling(3));
  EXPECT_TRUE(IsWellFormed(svg));
  EXPECT_THAT(svg, HasSubstr("a&lt;b&gt; &amp; &quot;c&quot;"));
}

TEST(LossCurveTest, WithoutStepsSaysSo) {
  const std::string svg = LossCurveSvg("x", {});
  EXPECT_TRUE(IsWellFormed(svg));
  EXPECT_THAT(svg, HasSubstr("no finished step"));
}

TEST(LossCurveTest, OddDataStillMakesAPicture) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const std::vector<LossPoint>& points :
       {std::vector<LossPoint>{{1, 3.0}},
        std::vector<LossPoint>{{1, 3.0}, {2, 3.0}},
        std::vector<LossPoint>{{1, 0.0}, {2, 0.0}},
        std::vector<LossPoint>{{1, 1e300}, {2, -1e300}},
        std::vector<LossPoint>{{1, 1e17}, {2, 1e17 + 16}},
        std::vector<LossPoint>{{1, 3.0}, {2, nan}, {3, infinity}, {4, 2.0}}}) {
    const std::string svg = LossCurveSvg("x", points);
    EXPECT_TRUE(IsWellFormed(svg));
    EXPECT_THAT(svg, Not(HasSubstr("nan")));
    EXPECT_THAT(svg, Not(HasSubstr("inf")));
  }
}

TEST(LossCurveTest, LongRunsAreThinned) {
  const std::string svg = LossCurveSvg("x", Falling(100'000));
  EXPECT_LT(svg.size(), 60'000);
  EXPECT_THAT(svg, HasSubstr("<path"));
}

TEST(RoundTicksTest, AreRoundAndCoverTheRange) {
  EXPECT_THAT(RoundTicks(0, 10, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(RoundTicks(2.1, 5.4, 6), ElementsAre(2, 3, 4, 5, 6));
  EXPECT_THAT(RoundTicks(1, 200, 4), ElementsAre(0, 50, 100, 150, 200));
  EXPECT_THAT(RoundTicks(3, 3, 5), ElementsAre(3));
}

TEST(LossCurveTest, SmallCurveIsThisPicture) {
  const std::string svg = LossCurveSvg("job", {{1, 5}, {2, 4}, {3, 3}});
  EXPECT_THAT(svg, HasSubstr("points=\"64.0,48.0 400.0,206.0 736.0,364.0\""));
}

}  // namespace
}  // namespace penstock
