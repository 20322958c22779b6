#include "schedule/simulator/chrome_trace.h"

#include <map>
#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "schedule/simulator/simulation_fixture.h"

namespace penstock {
namespace {

// The trace's events by phase.
std::map<std::string, std::vector<nlohmann::json>> Events(
    absl::Span<const RunView> runs) {
  std::map<std::string, std::vector<nlohmann::json>> events;
  const nlohmann::json trace = nlohmann::json::parse(ChromeTrace(runs));
  for (const nlohmann::json& event : trace["traceEvents"]) {
    events[event["ph"]].push_back(event);
  }
  return events;
}

TEST(ChromeTraceTest, ASliceIsAnActionOnItsRank) {
  const Schedule schedule = OverChain("one_f_one_b", 2, 2);
  const Timeline run = Simulated(schedule, UniformCosts(schedule, {}));
  auto events = Events({{.schedule = &schedule, .timeline = &run}});
  ASSERT_EQ(events["X"].size(), 8u);
  const nlohmann::json& slice = events["X"][4];
  EXPECT_EQ(slice["name"], "1F0");
  EXPECT_EQ(slice["cat"], "forward");
  EXPECT_EQ(slice["tid"], 1);
  EXPECT_EQ(slice["ts"], 1e6);
  EXPECT_EQ(slice["dur"], 1e6);
  EXPECT_EQ(slice["args"], nlohmann::json({{"stage", 1}, {"microbatch", 0}}));
}

TEST(ChromeTraceTest, NamesRunsAndRanks) {
  const Schedule schedule = OverChain("one_f_one_b", 2, 2);
  const Timeline run = Simulated(schedule, UniformCosts(schedule, {}));
  auto events =
      Events({{.schedule = &schedule, .timeline = &run},
              {.title = "a \"b\"\n", .schedule = &schedule, .timeline = &run}});
  ASSERT_EQ(events["M"].size(), 6u);
  EXPECT_EQ(events["M"][0]["args"]["name"], "one_f_one_b");
  EXPECT_EQ(events["M"][2]["args"]["name"], "r1");
  EXPECT_EQ(events["M"][3]["pid"], 1);
  EXPECT_EQ(events["M"][3]["args"]["name"], "a \"b\"\n");
}

TEST(ChromeTraceTest, AnArrowIsAMessage) {
  const Schedule schedule = OverChain("one_f_one_b", 2, 1);
  const Timeline run =
      Simulated(schedule, UniformCosts(schedule, {.hop = 0.25}),
                {.record_transfers = true});
  auto events = Events({{.schedule = &schedule, .timeline = &run}});
  ASSERT_EQ(events["s"].size(), 2u);
  ASSERT_EQ(events["f"].size(), 2u);
  EXPECT_EQ(events["s"][0]["id"], events["f"][0]["id"]);
  EXPECT_EQ(events["s"][0]["tid"], 0);
  EXPECT_EQ(events["s"][0]["ts"], 1e6);
  EXPECT_EQ(events["f"][0]["tid"], 1);
  EXPECT_EQ(events["f"][0]["ts"], 1.25e6);
}

TEST(ChromeTraceTest, ACounterIsTheMicrobatchesInFlight) {
  const Schedule schedule = OverChain("gpipe", 1, 3);
  const Timeline run = Simulated(schedule, UniformCosts(schedule, {}));
  auto events = Events({{.schedule = &schedule, .timeline = &run}});
  double most = 0;
  for (const nlohmann::json& point : events["C"]) {
    EXPECT_EQ(point["name"], "in flight r0");
    most = std::max(most, point["args"]["microbatches"].get<double>());
  }
  EXPECT_EQ(most, 3);
  EXPECT_EQ(events["C"].back()["args"]["microbatches"], 0);
}

TEST(ChromeTraceTest, AVersionIsAnArgument) {
  Action forward = Forward(StageId(0), MicrobatchId(0));
  Action backward = Backward(StageId(0), MicrobatchId(0));
  Action update = Update(StageId(0));
  forward.version = backward.version = update.version = 3;
  const Schedule schedule = OfLists(1, {{forward, backward, update}});
  const Timeline run = Simulated(schedule, UniformCosts(schedule, {}));
  auto events = Events({{.schedule = &schedule, .timeline = &run}});
  EXPECT_EQ(events["X"][0]["args"]["version"], 3);
  EXPECT_EQ(events["X"][2]["cat"], "update");
}

TEST(ChromeTraceTest, OfNothingIsATraceWithoutEvents) {
  EXPECT_EQ(nlohmann::json::parse(ChromeTrace({}))["traceEvents"].size(), 0u);
}

}  // namespace
}  // namespace penstock
