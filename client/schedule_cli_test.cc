// `penstock schedule` and `penstock simulate`, which need no coordinator.

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr char kSound[] =
    "penstock-schedule 1\nname mine\nmicrobatches 2\nplacement r0 r1\n"
    "r0: 0F0 0F1 0B0 0B1\nr1: 1F0 1B0 1F1 1B1\n";

using ScheduleCliTest = CliFixture;

TEST_F(ScheduleCliTest, ListNamesSchedulesWithTheirSources) {
  EXPECT_EQ(Run({"schedule", "list", "-o", "wide"}), 0);
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("one_f_one_b"), HasSubstr("Chimera"),
                                HasSubstr("order=fifo|lifo")));
  EXPECT_EQ(Run({"schedule", "list", "-o", "json"}), 0);
  EXPECT_EQ(Json()[0]["name"], "naive");
}

TEST_F(ScheduleCliTest, ShowPrintsTheGrid) {
  EXPECT_EQ(Run({"schedule", "show", "chimera", "--ranks", "4",
                 "--microbatches", "4"}),
            0);
  EXPECT_THAT(out_.str(), StartsWith("step  r0    r1    r2    r3\n"
                                     "   0  0F0   .     .     0F2\n"));
}

TEST_F(ScheduleCliTest, ShowDrawsAndTraces) {
  EXPECT_EQ(Run({"schedule", "show", "zb_h1", "-o", "svg"}), 0);
  EXPECT_THAT(out_.str(), AllOf(StartsWith("<svg "), HasSubstr(">zb_h1<")));
  EXPECT_EQ(Run({"schedule", "show", "zb_h1", "-o", "trace"}), 0);
  EXPECT_GT(Json()["traceEvents"].size(), 96u);
  EXPECT_EQ(
      Run({"schedule", "show", "gpipe", "-p", "2", "-m", "1", "-o", "json"}),
      0);
  EXPECT_EQ(Json()["lists"][1], nlohmann::json({"1F0", "1B0"}));
}

TEST_F(ScheduleCliTest, AContinuousScheduleIsShownOverItsPeriods) {
  EXPECT_EQ(Run({"schedule", "show", "pipedream", "-p", "2", "-m", "2",
                 "--periods", "3", "-o", "svg"}),
            0);
  EXPECT_THAT(out_.str(), HasSubstr("<title>0F5@"));
}

TEST_F(ScheduleCliTest, ParametersReachTheGenerator) {
  EXPECT_EQ(Run({"schedule", "show", "gpipe", "-p", "1", "-m", "2", "--param",
                 "order=lifo", "-o", "json"}),
            0);
  EXPECT_EQ(Json()["lists"][0], nlohmann::json({"0F0", "0F1", "0B1", "0B0"}));
  EXPECT_EQ(Run({"schedule", "show", "gpipe", "--param", "order"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("--param wants name=value"));
  EXPECT_EQ(Run({"schedule", "show", "gpipe", "--param", "ordr=lifo"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("did you mean \"order\"?"));
}

TEST_F(ScheduleCliTest, ReplicasShareTheMicrobatches) {
  EXPECT_EQ(Run({"schedule", "show", "gpipe", "-p", "2", "-m", "2",
                 "--replicas", "2,1", "-o", "json"}),
            0);
  EXPECT_EQ(Json()["lists"][1], nlohmann::json({"0F1", "0B1"}));
  EXPECT_EQ(Json()["lists"][2], nlohmann::json({"1F0", "1F1", "1B0", "1B1"}));
  EXPECT_EQ(
      Run({"schedule", "show", "gpipe", "-p", "2", "-m", "2", "--replicas", "2",
           "--rank-order", "data_major", "-o", "json"}),
      0);
  EXPECT_EQ(Json()["lists"][1], nlohmann::json({"0F1", "0B1"}));
  EXPECT_EQ(Run({"schedule", "show", "gpipe", "-p", "2", "-m", "2",
                 "--replicas", "3"}),
            2);
  EXPECT_THAT(err_.str(), HasSubstr("want at most 2"));
  // Each pipeline takes as long for its half as one does for it alone.
  EXPECT_EQ(Run({"simulate", "--schedule", "interleaved", "-p", "2", "-m", "8",
                 "--replicas", "2", "-o", "json"}),
            0);
  const nlohmann::json two = Json();
  EXPECT_EQ(Run({"simulate", "--schedule", "interleaved", "-p", "2", "-m", "4",
                 "-o", "json"}),
            0);
  EXPECT_EQ(two[0]["makespan"], Json()[0]["makespan"]);
}

TEST_F(ScheduleCliTest, UnknownNamesAndFilesAreUsageErrors) {
  EXPECT_EQ(Run({"schedule", "show", "chimaera"}), 2);
  EXPECT_THAT(err_.str(), AllOf(HasSubstr("did you mean \"chimera\"?"),
                                HasSubstr("./chimaera")));
  EXPECT_EQ(Run({"schedule", "verify", "no.txt"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("no.txt"));
  EXPECT_EQ(Run({"schedule", "shw"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("did you mean \"show\"?"));
  EXPECT_EQ(Run({"schedule", "show", "gpipe", "-o", "png"}), 2);
  EXPECT_EQ(Run({"simulate"}), 2);
}

TEST_F(ScheduleCliTest, VerifyProvesASoundFile) {
  Write("mine.txt", kSound);
  EXPECT_EQ(Run({"schedule", "verify", "mine.txt"}), 0);
  EXPECT_THAT(out_.str(), StartsWith("mine: sound, 2 ranks, 2 stages"));
}

TEST_F(ScheduleCliTest, VerifyMarksEachViolationInTheGridAndExitsWithSix) {
  std::string text = kSound;
  text.replace(text.find("1F1 1B1"), 7, "1B1 1F1");
  Write("mine.txt", text);
  EXPECT_EQ(Run({"schedule", "verify", "mine.txt"}), 6);
  EXPECT_THAT(out_.str(),
              AllOf(HasSubstr("line 6, column 13: order: "), HasSubstr(">1B1<"),
                    HasSubstr("mine: unsound, ")));
  EXPECT_EQ(Run({"schedule", "verify", "mine.txt", "-o", "json"}), 6);
  EXPECT_EQ(Json()["sound"], false);
  EXPECT_EQ(Json()["violations"][0]["rank"], 1);
  EXPECT_THAT(std::string(Json()["violations"][0]["place"]),
              StartsWith("line 6, column "));
}

TEST_F(ScheduleCliTest, AFileThatDoesNotParseIsTwoWithLineAndColumn) {
  Write("mine.txt", "penstock-schedule 1\nname x\nmicrobatches two\n");
  EXPECT_EQ(Run({"schedule", "verify", "mine.txt"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("mine.txt: line 3, column 14"));
}

TEST_F(ScheduleCliTest, WhatIsExportedVerifiesAndIsTheSame) {
  EXPECT_EQ(Run({"schedule", "export", "zbv", "-p", "2", "-m", "4"}), 0);
  Write("zbv.txt", out_.str());
  EXPECT_EQ(Run({"schedule", "verify", "./zbv.txt"}), 0) << out_.str();
  EXPECT_EQ(Run({"schedule", "diff", "zbv", "zbv.txt", "-p", "2", "-m", "4"}),
            0);
  EXPECT_THAT(out_.str(), HasSubstr("r0: same order, same times\n"));
}

TEST_F(ScheduleCliTest, LoweredIsWhatStageServersRun) {
  EXPECT_EQ(Run({"schedule", "show", "gpipe", "-p", "2", "-m", "1",
                 "--recompute", "0", "--lowered", "-o", "json"}),
            0);
  EXPECT_EQ(Json()["lists"][0],
            nlohmann::json({"0F0", "0SF0[h0>r1]", "0R0", "0RB0[h0<r1]", "0B0",
                            "N", "0U"}));
  EXPECT_EQ(Run({"schedule", "export", "zbv", "-p", "2", "--lowered"}), 0);
  Write("zbv.txt", out_.str());
  EXPECT_EQ(Run({"schedule", "verify", "./zbv.txt"}), 0) << out_.str();
  EXPECT_THAT(out_.str(), HasSubstr("with communication"));
  EXPECT_EQ(Run({"schedule", "verify", "./zbv.txt", "--lowered"}), 2);
  EXPECT_THAT(err_.str(), AllOf(HasSubstr("./zbv.txt: "),
                                HasSubstr("has updates already, on rank 0")));
}

TEST_F(ScheduleCliTest, RecomputeAloneIsShownAndPaidFor) {
  EXPECT_EQ(Run({"simulate", "-s", "gpipe", "-p", "2", "-m", "2", "-o", "json",
                 "--recompute", "always"}),
            0);
  // Rank 0's first run-again is over while it waits for the gradient.
  EXPECT_DOUBLE_EQ(Json()[0]["makespan"], 9 + 2);
  EXPECT_EQ(Run({"simulate", "-s", "gpipe", "--recompute", "sometimes"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("sometimes"));
}

TEST_F(ScheduleCliTest, TheCriticalPathTellsWhatTheLengthHangsOn) {
  const std::vector<std::string> arguments = {
      "simulate", "-s", "gpipe", "-p", "2",
      "-m",       "2",  "--hop", "1",  "--critical-path"};
  EXPECT_EQ(Run(arguments), 0);
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("gpipe: critical path"),
                                HasSubstr("messages  2 ")));
  std::vector<std::string> json = arguments;
  json.insert(json.end(), {"-o", "json"});
  EXPECT_EQ(Run(json), 0);
  const nlohmann::json path = Json()[0]["critical_path"];
  EXPECT_EQ(path.front()["action"], "0F0");
  EXPECT_EQ(path.back()["end"], Json()[0]["makespan"]);
  std::vector<std::string> svg = arguments;
  svg.insert(svg.end(), {"-o", "svg"});
  EXPECT_EQ(Run(svg), 0);
  EXPECT_THAT(out_.str(), HasSubstr(">critical path<"));
}

TEST_F(ScheduleCliTest, DiffExitsWithSixWhereTheyDiffer) {
  EXPECT_EQ(Run({"schedule", "diff", "gpipe", "one_f_one_b", "-p", "2"}), 6);
  EXPECT_THAT(out_.str(), HasSubstr("r0: same for 2 actions, then 0F2 against "
                                    "0B0\n"));
  EXPECT_EQ(Run({"schedule", "diff", "gpipe", "one_f_one_b", "-o", "svg"}), 6);
  EXPECT_THAT(out_.str(), HasSubstr(">differs<"));
}

TEST_F(ScheduleCliTest, SimulatePrintsAnArrayOfObjects) {
  EXPECT_EQ(Run({"simulate", "--schedule", "zb_h1,zbv,one_f_one_b", "--ranks",
                 "8", "--microbatches", "32", "--forward", "1", "--input-grad",
                 "1", "--weight-grad", "1", "--hop", "0.1", "-o", "json"}),
            0);
  const nlohmann::json json = Json();
  ASSERT_EQ(json.size(), 3u);
  EXPECT_EQ(json[0]["schedule"], "zb_h1");
  EXPECT_NEAR(json[0]["sync_bubble"], 0.093, 0.0005);
  EXPECT_NEAR(json[1]["sync_bubble"], 0.066, 0.0005);
  EXPECT_NEAR(json[2]["sync_bubble"], 0.225, 0.0005);
  EXPECT_EQ(json[2]["peak_in_flight"],
            nlohmann::json({8, 7, 6, 5, 4, 3, 2, 1}));
  EXPECT_GT(json[2]["makespan"], json[1]["makespan"]);
  EXPECT_GT(json[2]["span_bubble"], json[1]["span_bubble"]);
  EXPECT_TRUE(json[2]["warnings"].is_array());
}

TEST_F(ScheduleCliTest, SimulateAllTellsWhatCannotBeMade) {
  EXPECT_EQ(Run({"simulate", "-s", "all", "-p", "3", "-m", "6", "-o", "json"}),
            0);
  bool chimera_failed = false;
  for (const nlohmann::json& schedule : Json()) {
    if (schedule["schedule"] == "chimera") {
      chimera_failed = schedule.contains("error");
    }
  }
  EXPECT_TRUE(chimera_failed);
  EXPECT_EQ(Run({"simulate", "-s", "chimera", "-p", "3"}), 2);
}

TEST_F(ScheduleCliTest, SimulateOfOneTellsWhereEachRanksTimeWent) {
  EXPECT_EQ(Run({"simulate", "-s", "gpipe", "-p", "2", "-m", "2"}), 0);
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("SCHEDULE"), HasSubstr("33.3 %"),
                                HasSubstr("FILL+DRAIN"), HasSubstr("[##")));
  EXPECT_EQ(Run({"simulate", "-s", "gpipe,naive", "-o", "csv"}), 0);
  EXPECT_THAT(out_.str(), AllOf(StartsWith("schedule,ranks,"),
                                HasSubstr("\nnaive,4,4,8,")));
}

TEST_F(ScheduleCliTest, SimulateTakesFilesProfilesAndAuto) {
  Write("mine.txt", kSound);
  Write("profile.json",
        R"({"layers": [{"name": "a", "forwardSeconds": 1,
                        "inputGradientSeconds": 1,
                        "weightGradientSeconds": 1},
                       {"name": "b", "forwardSeconds": 2,
                        "inputGradientSeconds": 2,
                        "weightGradientSeconds": 2}],
            "tensors": [{"name": "a", "bytes": 100}],
            "link": {"latencySeconds": 0.5, "bytesPerSecond": 100}})");
  EXPECT_EQ(Run({"simulate", "-s", "./mine.txt", "--profile", "profile.json",
                 "-o", "json"}),
            0)
      << err_.str();
  // 0F0, hop, two microbatches of the slow stage, hop, 0B1.
  EXPECT_DOUBLE_EQ(Json()[0]["makespan"], 1 + 1.5 + 12 + 1.5 + 2);
  Write("bad.json", "{\"layer\": []}");
  EXPECT_EQ(Run({"simulate", "-s", "gpipe", "--profile", "bad.json"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("bad.json: no profile as JSON"));
  EXPECT_EQ(Run({"simulate", "-s", "auto", "-p", "2", "-m", "4",
                 "--max-in-flight", "2", "-o", "json"}),
            0)
      << err_.str();
  EXPECT_LE(Json()[0]["peak_in_flight"][0], 2);
}

TEST_F(ScheduleCliTest, SimulateOfSeveralDrawsThemOnOneScale) {
  EXPECT_EQ(Run({"simulate", "-s", "gpipe,zb_h1", "-o", "svg", "--colour",
                 "microbatch"}),
            0);
  EXPECT_THAT(out_.str(), AllOf(HasSubstr(">gpipe<"), HasSubstr(">zb_h1<")));
  EXPECT_EQ(Run({"simulate", "-s", "gpipe,zb_h1", "-o", "trace"}), 0);
  EXPECT_EQ(Json()["traceEvents"][0]["args"]["name"], "gpipe");
}

TEST_F(ScheduleCliTest, AParameterOfSeveralGoesToThoseThatHaveIt) {
  EXPECT_EQ(Run({"simulate", "-s", "gpipe,zb_h1", "--param", "order=lifo"}), 0);
  EXPECT_EQ(Run({"simulate", "-s", "gpipe,zb_h1", "--param", "depth=3"}), 2);
  EXPECT_THAT(err_.str(),
              HasSubstr("none of these schedules has a parameter \"depth\""));
  EXPECT_THAT(out_.str(), IsEmpty());
}

}  // namespace
}  // namespace penstock
