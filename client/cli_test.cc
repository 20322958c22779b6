#include "client/cli.h"

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "client/cli_fixture.h"
#include "client/exit_code.h"
#include "client/follow/fake_coordinator.h"
#include "client/schedules/traced_steps.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

class CliTest : public CliFixture {
 protected:
  CliTest() {
    WriteJob();
    environment_.variables["XDG_STATE_HOME"] = folder_;
  }

  // Every command as it is typed, the program alone first.
  std::vector<std::string> Commands() {
    EXPECT_EQ(Run({"completion", "bash"}), 0);
    std::vector<std::string> commands;
    for (absl::string_view line : absl::StrSplit(out_.str(), '\n')) {
      if (absl::ConsumePrefix(&line, "    'penstock")) {
        commands.push_back(
            absl::StrCat("penstock", line.substr(0, line.find('\''))));
      }
    }
    return commands;
  }
};

TEST_F(CliTest, VersionNamesTheBuild) {
  EXPECT_EQ(Run({"version"}), 0);
  EXPECT_THAT(out_.str(), MatchesRegex("penstock [0-9.]+\n"));
}

TEST_F(CliTest, VersionFlagIsTheSame) {
  EXPECT_EQ(Run({"--version"}), 0);
  EXPECT_THAT(out_.str(), MatchesRegex("penstock [0-9.]+\n"));
}

TEST_F(CliTest, EveryHelpHasAnExample) {
  for (const std::string& command : Commands()) {
    std::vector<std::string> arguments = absl::StrSplit(
        absl::StripPrefix(command, "penstock"), ' ', absl::SkipEmpty());
    arguments.push_back("--help");
    EXPECT_EQ(Run(arguments), 0);
    EXPECT_THAT(out_.str(), AllOf(HasSubstr(absl::StrCat("Usage: ", command)),
                                  HasSubstr("Examples:\n  ")));
  }
}

TEST_F(CliTest, PageNamesEveryCommandAndExitCode) {
  const absl::StatusOr<std::string> page = ReadFile("docs/command_line.md");
  ASSERT_TRUE(page.ok()) << page.status();
  const std::vector<std::string> commands = Commands();
  EXPECT_GT(commands.size(), 15);
  for (const std::string& command : commands) {
    EXPECT_THAT(*page, HasSubstr(command));
  }
  for (const ExitCodeMeaning& code : ExitCodes()) {
    EXPECT_THAT(*page, HasSubstr(absl::StrCat("| ", static_cast<int>(code.code),
                                              " | ", code.meaning, " |\n")));
  }
}

TEST_F(CliTest, HelpOfTheProgramSaysWhatExitCodesMean) {
  EXPECT_EQ(Run({"--help"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("  69  no coordinator answers\n"));
}

TEST_F(CliTest, HelpHasExamplesAndTheWholeName) {
  EXPECT_EQ(Run({"local", "run", "--help"}), 0);
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("Usage: penstock local run"),
                                HasSubstr("Examples:"), HasSubstr("--stages")));
}

struct WrongArguments {
  std::string name;
  std::vector<std::string> arguments;
  std::string message;
};

class WrongArgumentsTest
    : public CliTest,
      public ::testing::WithParamInterface<WrongArguments> {};

TEST_P(WrongArgumentsTest, AreUsageErrors) {
  EXPECT_EQ(Run(GetParam().arguments), 2);
  EXPECT_THAT(out_.str(), IsEmpty());
  EXPECT_THAT(err_.str(), AllOf(StartsWith("penstock: error: "),
                                HasSubstr(GetParam().message)));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, WrongArgumentsTest,
    ::testing::Values(
        WrongArguments{"None", {}, "penstock wants a command: submit, list"},
        WrongArguments{"UnknownCommand", {"submt"}, "did you mean \"submit\"?"},
        WrongArguments{"FarCommand", {"zebra"}, "there are submit, list"},
        WrongArguments{"UnknownLocal", {"local", "rum"}, "\"run\"?"},
        WrongArguments{"UnknownFlag",
                       {"list", "--al"},
                       "penstock list has no flag --al; did you mean"},
        WrongArguments{"NoJobFile", {"submit"}, "job_file is required"},
        WrongArguments{"NoJob", {"describe"}, "job is required"},
        WrongArguments{"TwoJobs",
                       {"describe", "a", "b"},
                       "takes no further argument, got \"b\""},
        WrongArguments{"BadFormat", {"list", "-o", "xml"}, "xml"},
        WrongArguments{"BadStages", {"submit", "x", "--stages", "0"}, "0"},
        WrongArguments{"BadStep", {"timeline", "a", "--step", "0"}, "--step"},
        WrongArguments{"BadShell", {"completion", "tcsh"}, "tcsh"},
        WrongArguments{"MissingFile",
                       {"submit", "no.yaml"},
                       "cannot read no.yaml: No such file"},
        WrongArguments{"FolderAsFile", {"submit", "/"}, "cannot read /: Is a"},
        WrongArguments{"BadCoordinator",
                       {"list", "--coordinator", "nowhere"},
                       "--coordinator: wanted the coordinator's host:port"}),
    [](const auto& info) { return info.param.name; });

TEST_F(CliTest, AddressComesFromFlagThenEnvironmentThenFile) {
  environment_.variables["XDG_CONFIG_HOME"] = folder_;
  ASSERT_TRUE(MakeFolder(Path("penstock")).ok());
  Write("penstock/config.yaml", "coordinator: file\n");
  Run({"list"});
  EXPECT_THAT(err_.str(), HasSubstr("penstock/config.yaml: wanted"));
  environment_.variables["PENSTOCK_COORDINATOR"] = "variable";
  Run({"list"});
  EXPECT_THAT(err_.str(), HasSubstr("PENSTOCK_COORDINATOR: wanted"));
  Run({"list", "--coordinator", "flag"});
  EXPECT_THAT(err_.str(), HasSubstr("--coordinator: wanted"));
}

TEST_F(CliTest, CertificatesComeFromFlagThenEnvironmentThenFile) {
  environment_.variables["XDG_CONFIG_HOME"] = folder_;
  ASSERT_TRUE(MakeFolder(Path("penstock")).ok());
  Write("penstock/config.yaml", "tls_dir: file\n");
  EXPECT_EQ(Run({"list"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr(Path("penstock/file/ca.crt")));
  environment_.variables["PENSTOCK_TLS_DIR"] = "variable";
  EXPECT_EQ(Run({"list"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr(Path("variable/ca.crt")));
  EXPECT_EQ(Run({"list", "--tls-dir", "flag"}), 2);
  EXPECT_THAT(err_.str(), AllOf(HasSubstr(Path("flag/ca.crt")),
                                HasSubstr("penstock certs init")));
  EXPECT_EQ(Run({"list", "--tls-dir", "flag", "--insecure"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("leave one of them out"));
}

TEST_F(CliTest, InsecureSpeaksInTheClearWhateverTheEnvironmentSays) {
  FakeCoordinator coordinator({});
  environment_.variables["PENSTOCK_TLS_DIR"] = "variable";
  EXPECT_EQ(RunAgainst(coordinator, {"list"}), 2);
  EXPECT_EQ(RunAgainst(coordinator, {"list", "--insecure"}), 0) << err_.str();
}

TEST_F(CliTest, TlsToACoordinatorInTheClearSaysSo) {
  FakeCoordinator coordinator({});
  ASSERT_EQ(Run({"certs", "init", "c"}), 0);
  EXPECT_EQ(RunAgainst(coordinator, {"list", "--tls-dir", "c/admin"}), 69);
  EXPECT_THAT(err_.str(), HasSubstr("--insecure"));
}

TEST_F(CliTest, UnknownKeyOfTheConfigurationIsRefused) {
  environment_.variables["XDG_CONFIG_HOME"] = folder_;
  ASSERT_TRUE(MakeFolder(Path("penstock")).ok());
  Write("penstock/config.yaml", "cordinator: 127.0.0.1:1\n");
  EXPECT_EQ(Run({"list"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("config.yaml:1:1: unknown key"));
}

TEST_F(CliTest, SubmitSendsTheWholeJob) {
  FakeCoordinator coordinator({});
  EXPECT_EQ(RunAgainst(coordinator, {"submit", Path("job.yaml"), "--set",
                                     "steps=7", "--name", "seven"}),
            0);
  EXPECT_EQ(out_.str(), "submitted seven as j-1: RUNNING\n");
  EXPECT_EQ(coordinator.submitted().steps(), 7);
  EXPECT_EQ(coordinator.submitted().data().tokens(), Path("text.bin"));
  EXPECT_EQ(coordinator.submitted().optimizer().kind(), "adamw");
}

TEST_F(CliTest, FollowShowsStepsEventsAndTheSummary) {
  FakeCoordinator::Script script;
  script.records = FallingRecords(3);
  FakeCoordinator coordinator(script);
  EXPECT_EQ(RunAgainst(coordinator, {"submit", Path("job.yaml"), "--follow",
                                     "--run-dir", Path("run")}),
            0);
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("step 1/3  loss 5.4"),
                                HasSubstr("step 3/3  loss 5.2"),
                                HasSubstr("job (j-1): succeeded\n")));
  EXPECT_THAT(err_.str(), IsEmpty());
  EXPECT_TRUE(std::filesystem::exists(Path("run/loss.svg")));
  EXPECT_TRUE(std::filesystem::exists(Path("run/job.json")));
}

TEST_F(CliTest, FollowWithJsonPrintsOneObjectOnly) {
  FakeCoordinator::Script script;
  script.records = FallingRecords(3);
  FakeCoordinator coordinator(script);
  EXPECT_EQ(
      RunAgainst(coordinator, {"submit", Path("job.yaml"), "-f", "-o", "json"}),
      0);
  EXPECT_EQ(Json().at("state"), "SUCCEEDED");
  EXPECT_EQ(Json().at("weights_digest"), "12ab");
  EXPECT_THAT(err_.str(), HasSubstr("step 3/3"));
}

TEST_F(CliTest, FollowSurvivesABrokenStreamWithoutRepeatingSteps) {
  FakeCoordinator::Script script;
  script.records = FallingRecords(3);
  script.break_after = 2;
  FakeCoordinator coordinator(script);
  EXPECT_EQ(RunAgainst(coordinator, {"submit", Path("job.yaml"), "-f"}), 0);
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("reconnecting"), HasSubstr("is back"),
                                HasSubstr("step 3/3")));
  const std::string out = out_.str();
  const size_t first = out.find("step 1/3");
  EXPECT_EQ(out.find("step 1/3", first + 1), std::string::npos);
}

TEST_F(CliTest, FailedJobIsOne) {
  FakeCoordinator::Script script;
  script.final_state = JOB_STATE_FAILED;
  FakeCoordinator coordinator(script);
  EXPECT_EQ(RunAgainst(coordinator, {"submit", Path("job.yaml"), "-f"}), 1);
  EXPECT_THAT(out_.str(), HasSubstr("failed"));
}

TEST_F(CliTest, RefusedJobIsTwo) {
  FakeCoordinator::Script script;
  script.refusal = {grpc::StatusCode::INVALID_ARGUMENT, "schedule.name: no"};
  FakeCoordinator coordinator(script);
  EXPECT_EQ(RunAgainst(coordinator, {"submit", Path("job.yaml")}), 2);
  EXPECT_EQ(err_.str(), "penstock: error: schedule.name: no\n");
}

TEST_F(CliTest, AWeightPolicyThatDoesNotFitIsTwo) {
  EXPECT_EQ(Run({"submit", Path("job.yaml"), "--set", "schedule.name=gpipe",
                 "--set", "weights.policy=stash"}),
            2);
  EXPECT_THAT(err_.str(),
              AllOf(HasSubstr("--set weights.policy=stash: weights.policy is "
                              "stash, and schedule gpipe is one of flush"),
                    HasSubstr("stash with pipedream")));
}

TEST_F(CliTest, UnknownJobIsThree) {
  FakeCoordinator coordinator({});
  EXPECT_EQ(RunAgainst(coordinator, {"describe", "j-9"}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("no job \"j-9\""));
}

TEST_F(CliTest, CancelledJobIsFour) {
  FakeCoordinator::Script script;
  script.final_state = JOB_STATE_CANCELLED;
  FakeCoordinator coordinator(script);
  EXPECT_EQ(RunAgainst(coordinator, {"submit", Path("job.yaml"), "-f"}), 4);
}

TEST_F(CliTest, NoAnswerInTimeIsFive) {
  FakeCoordinator::Script script;
  script.hangs = true;
  FakeCoordinator coordinator(script);
  EXPECT_EQ(RunAgainst(coordinator, {"list", "--timeout", "0.2"}), 5);
  EXPECT_THAT(err_.str(), HasSubstr("--timeout"));
}

TEST_F(CliTest, LostStreamIsTwenty) {
  FakeCoordinator::Script script;
  script.records = FallingRecords(3);
  script.always_break = true;
  FakeCoordinator coordinator(script);
  EXPECT_EQ(RunAgainst(coordinator,
                       {"submit", Path("job.yaml"), "-f", "--grace", "0.3"}),
            20);
  EXPECT_THAT(err_.str(), HasSubstr("the job is unaffected"));
}

TEST_F(CliTest, InterruptedFollowIsTwentyAndTheJobGoesOn) {
  FakeCoordinator::Script script;
  script.runs_until_cancelled = true;
  FakeCoordinator coordinator(script);
  std::thread user([&] {
    coordinator.WaitForFollower();
    interrupt_.Trip();
  });
  EXPECT_EQ(RunAgainst(coordinator, {"submit", Path("job.yaml"), "-f"}), 20);
  user.join();
  EXPECT_THAT(coordinator.cancel_reason(), IsEmpty());
}

TEST_F(CliTest, NoCoordinatorIsSixtyNine) {
  FakeCoordinator coordinator({});
  coordinator.Shutdown();
  EXPECT_EQ(RunAgainst(coordinator, {"list", "--timeout", "0.3"}), 69);
  EXPECT_THAT(err_.str(),
              AllOf(HasSubstr(coordinator.address()),
                    HasSubstr("from --coordinator"), HasSubstr("local up")));
}

TEST_F(CliTest, PermissionDeniedIsSeventySeven) {
  FakeCoordinator::Script script;
  script.refusal = {grpc::StatusCode::PERMISSION_DENIED, "no"};
  FakeCoordinator coordinator(script);
  EXPECT_EQ(RunAgainst(coordinator, {"list"}), 77);
}

TEST_F(CliTest, DryRunShowsThePlanAndSubmitsNothing) {
  FakeCoordinator coordinator({});
  EXPECT_EQ(RunAgainst(coordinator, {"submit", Path("job.yaml"), "--dry-run"}),
            0);
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("embed"), HasSubstr("0F0 0B0"),
                                HasSubstr("would wait: 2 stage servers")));
  EXPECT_EQ(coordinator.submissions(), 0);
}

TEST_F(CliTest, DryRunOfAPlanThatIsTooLargeSaysSo) {
  FakeCoordinator::Script script;
  script.refusal = {grpc::StatusCode::RESOURCE_EXHAUSTED, "9 MB"};
  FakeCoordinator coordinator(script);
  EXPECT_EQ(RunAgainst(coordinator, {"submit", Path("job.yaml"), "--dry-run"}),
            1);
  EXPECT_THAT(err_.str(), HasSubstr("fewer schedule.microbatches"));
}

TEST_F(CliTest, ListStatusServersAndCancelPrintWhatTheyGet) {
  FakeCoordinator coordinator({});
  EXPECT_EQ(RunAgainst(coordinator, {"list", "-o", "json"}), 0);
  EXPECT_EQ(Json().at(0).at("id"), "j-1");
  EXPECT_EQ(RunAgainst(coordinator, {"status"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("servers: 1 IDLE"));
  EXPECT_EQ(RunAgainst(coordinator, {"status", "j-1", "-o", "yaml"}), 0);
  EXPECT_THAT(out_.str(), StartsWith("id: j-1\n"));
  EXPECT_EQ(RunAgainst(coordinator, {"servers", "list"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("host-0"));
  EXPECT_EQ(RunAgainst(coordinator, {"cancel", "j-1", "--reason", "why"}), 0);
  EXPECT_EQ(coordinator.cancel_reason(), "why");
  EXPECT_THAT(out_.str(), HasSubstr("CANCELLED"));
}

TEST_F(CliTest, TopShowsTheClusterOnceWithoutATerminal) {
  FakeCoordinator coordinator({});
  EXPECT_EQ(RunAgainst(coordinator, {"top"}), 0);
  EXPECT_THAT(out_.str(),
              AllOf(HasSubstr("stage servers: 1 IDLE"), HasSubstr("host-0")));
  EXPECT_EQ(RunAgainst(coordinator, {"top", "-o", "json"}), 0);
  EXPECT_EQ(Json().at("jobs").at(0).at("id"), "j-1");
}

TEST_F(CliTest, TopGivesATerminalBackWhenItIsInterrupted) {
  FakeCoordinator coordinator({});
  environment_.out_is_terminal = true;
  std::thread interrupts([&] {
    coordinator.WaitForListing();
    interrupt_.Trip();
  });
  EXPECT_EQ(RunAgainst(coordinator, {"top"}), 0);
  interrupts.join();
  EXPECT_THAT(out_.str(),
              AllOf(StartsWith("\x1b[?1049h"), EndsWith("\x1b[?1049l")));
}

TEST_F(CliTest, TopWithoutACoordinatorIsSixtyNine) {
  EXPECT_EQ(Run({"top", "--coordinator", "127.0.0.1:1"}), 69);
}

TEST_F(CliTest, DoctorSaysWhatItLookedAtAndFailsForWhatIsBad) {
  FakeCoordinator coordinator({});
  EXPECT_EQ(RunAgainst(coordinator, {"doctor"}), 1);
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("error    build"),
                                HasSubstr("-> it takes no ranks"),
                                HasSubstr("1 errors, ")));
  EXPECT_EQ(RunAgainst(coordinator, {"doctor", "-o", "json"}), 1);
  EXPECT_EQ(Json().at(0).at("check"), "coordinator");
}

TEST_F(CliTest, DiagnoseWritesOneArchiveAndReplacesNone) {
  FakeCoordinator coordinator({});
  EXPECT_EQ(RunAgainst(coordinator, {"diagnose", "j-1"}), 0);
  EXPECT_EQ(out_.str(), "wrote penstock-diagnose-j-1.tar.gz\n");
  EXPECT_TRUE(std::filesystem::exists(Path("penstock-diagnose-j-1.tar.gz")));
  EXPECT_EQ(RunAgainst(coordinator, {"diagnose", "j-1"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("give another one with -o"));
  EXPECT_EQ(RunAgainst(coordinator, {"diagnose", "none"}), 3);
  EXPECT_EQ(
      RunAgainst(coordinator, {"diagnose", "j-1", "-o", "no/such/a.tar.gz"}),
      3);
}

TEST_F(CliTest, ServersAreCordonedAndUncordonedByName) {
  FakeCoordinator coordinator({.servers = 2});
  ASSERT_EQ(RunAgainst(coordinator, {"servers", "cordon", "host-0", "host-1",
                                     "--reason", "new disks"}),
            0)
      << err_.str();
  EXPECT_EQ(out_.str(),
            "host-0 (s-0): IDLE,CORDONED\nhost-1 (s-1): IDLE,CORDONED\n");
  EXPECT_EQ(RunAgainst(coordinator, {"servers", "uncordon", "host-1"}), 0);
  EXPECT_EQ(out_.str(), "host-1 (s-1): IDLE\n");
  EXPECT_EQ(RunAgainst(coordinator, {"servers", "list", "-o", "wide"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("IDLE,CORDONED"));
  EXPECT_THAT(out_.str(), HasSubstr("new disks"));
  EXPECT_EQ(RunAgainst(coordinator, {"servers", "list", "-o", "json"}), 0);
  EXPECT_EQ(Json().at(0).at("state"), "IDLE");
  EXPECT_EQ(Json().at(0).at("duty"), "CORDONED");
  EXPECT_TRUE(Json().at(1).at("duty").is_null());
  EXPECT_EQ(RunAgainst(coordinator, {"status"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("servers: 1 IDLE 1 IDLE,CORDONED"));
}

TEST_F(CliTest, DrainIsWaitedForOnRequest) {
  FakeCoordinator coordinator({.servers = 1, .draining_listings = 2});
  EXPECT_EQ(RunAgainst(coordinator,
                       {"servers", "drain", "host-0", "--deadline", "60"}),
            0);
  EXPECT_EQ(coordinator.drain_deadline(), 60);
  EXPECT_EQ(out_.str(), "host-0 (s-0): IDLE,DRAINING\n");
  EXPECT_EQ(RunAgainst(coordinator,
                       {"servers", "drain", "host-0", "--wait", "-o", "json"}),
            0);
  EXPECT_EQ(Json().at(0).at("duty"), "CORDONED");
}

TEST_F(CliTest, ServersThatAreNotThereAndDeadlinesThatAreNoneAreRefused) {
  FakeCoordinator coordinator({});
  EXPECT_EQ(RunAgainst(coordinator, {"servers", "cordon", "nobody"}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("no stage server \"nobody\""));
  EXPECT_EQ(RunAgainst(coordinator, {"servers", "drain"}), 2);
  EXPECT_EQ(RunAgainst(coordinator,
                       {"servers", "drain", "host-0", "--deadline", "-1"}),
            2);
}

TEST_F(CliTest, LogsAndEventsAreOneLineEach) {
  FakeCoordinator::Script script;
  script.logs.resize(2);
  script.logs[0].set_sequence(1);
  script.logs[0].set_text("hello");
  script.logs[1].set_sequence(2);
  script.events.resize(1);
  script.events[0].set_sequence(4);
  script.events[0].set_kind("JOB_RUNNING");
  FakeCoordinator coordinator(script);
  EXPECT_EQ(RunAgainst(coordinator, {"logs", "j-1"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("hello\n"));
  EXPECT_EQ(RunAgainst(coordinator, {"events", "-o", "json"}), 0);
  EXPECT_EQ(Json().at("kind"), "JOB_RUNNING");
}

TEST_F(CliTest, LogsOfAStageThatIsNotThereAreRefused) {
  FakeCoordinator coordinator({});
  EXPECT_EQ(RunAgainst(coordinator, {"submit", Path("job.yaml")}), 0);
  EXPECT_EQ(RunAgainst(coordinator, {"logs", "j-1", "--stage", "1"}), 0);
  EXPECT_EQ(RunAgainst(coordinator, {"logs", "j-1", "--stage", "2"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("has 2 stages, counted from 0"));
}

TEST_F(CliTest, BadTokenFilesAreRefusedBeforeSubmitting) {
  FakeCoordinator coordinator({});
  const auto refused = [&](const std::string& set) {
    EXPECT_EQ(
        RunAgainst(coordinator, {"submit", Path("job.yaml"), "--set", set}), 2);
    return err_.str();
  };
  EXPECT_THAT(refused("data.tokens=none.bin"),
              HasSubstr("penstock data prepare"));
  Write("empty.bin", "");
  EXPECT_THAT(refused("data.tokens=empty.bin"), HasSubstr("is empty"));
  Write("short.bin", std::string(20, '\0'));
  EXPECT_THAT(refused("data.tokens=short.bin"), HasSubstr("10 tokens"));
  Write("large.bin", std::string(4000, '\xff'));
  EXPECT_THAT(refused("data.tokens=large.bin"), HasSubstr("vocabulary"));
  EXPECT_EQ(coordinator.submissions(), 0);
}

TEST_F(CliTest, DataPrepareMakesTokensOfBytes) {
  Write("text.txt", "hello");
  EXPECT_EQ(Run({"data", "prepare", "--text", Path("text.txt"), "-o",
                 Path("out.bin")}),
            0);
  EXPECT_THAT(out_.str(), HasSubstr("5 tokens"));
  EXPECT_EQ(std::filesystem::file_size(Path("out.bin")), 10);
  EXPECT_EQ(
      Run({"data", "prepare", "--text", Path("no.txt"), "-o", Path("out.bin")}),
      2);
}

TEST_F(CliTest, TimelineShowsMeasuredBesidePredictedInEveryForm) {
  FakeCoordinator coordinator(
      {.timelines = {TracedStep(1, 4.0), TracedStep(2, 1.0),
                     TracedStep(3, 1.0)}});
  ASSERT_EQ(RunAgainst(coordinator, {"timeline", "j-1"}), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("traced, step 3: measured "));
  EXPECT_THAT(out_.str(), HasSubstr("from the costs of steps 2, 3"));
  EXPECT_THAT(out_.str(), HasSubstr("runtime 100"));
  ASSERT_EQ(RunAgainst(coordinator, {"timeline", "j-1", "--step", "1"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("from the costs of step 1\n"));
  ASSERT_EQ(RunAgainst(coordinator, {"timeline", "j-1", "-o", "svg"}), 0);
  EXPECT_THAT(out_.str(), StartsWith("<svg"));
  EXPECT_THAT(out_.str(), HasSubstr("predicted"));
  ASSERT_EQ(RunAgainst(coordinator, {"timeline", "j-1", "-o", "trace"}), 0);
  EXPECT_TRUE(nlohmann::json::accept(out_.str()));
  ASSERT_EQ(RunAgainst(coordinator, {"timeline", "j-1", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out_.str())["measured"]["ranks"].size(), 2u);
}

TEST_F(CliTest, AMeasuredProfileIsWhatSimulateReads) {
  FakeCoordinator coordinator({.timelines = {TracedStep(1, 1.0, 1)}});
  ASSERT_EQ(RunAgainst(coordinator, {"timeline", "j-1", "-o", "profile"}), 0)
      << err_.str();
  Write("measured.json", out_.str());
  ASSERT_EQ(Run({"simulate", "-s", "one_f_one_b", "-p", "2", "-m", "4",
                 "--lowered", "--profile", "measured.json", "-o", "json"}),
            0)
      << err_.str();
  const double makespan =
      nlohmann::json::parse(out_.str())[0]["makespan"].get<double>();
  EXPECT_NEAR(makespan, 15.2e-3, 0.2e-3);
}

TEST_F(CliTest, AStepThatWasNotTracedIsThree) {
  FakeCoordinator coordinator({.timelines = {TracedStep(1, 1.0)}});
  EXPECT_EQ(RunAgainst(coordinator, {"timeline", "j-1", "--step", "9"}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("not traced"));
}

TEST_F(CliTest, StatusAndDescribeSayWhereTheTimeGoes) {
  FakeCoordinator::Script script;
  script.fractions.set_balance(0.9);
  script.fractions.set_schedule(0.8);
  script.fractions.set_runtime(0.99);
  FakeCoordinator coordinator(script);
  for (const char* command : {"status", "describe"}) {
    ASSERT_EQ(RunAgainst(coordinator, {command, "j-1"}), 0);
    EXPECT_THAT(out_.str(), HasSubstr("schedule 80.0 % x runtime 99.0 %"));
    ASSERT_EQ(RunAgainst(coordinator, {command, "j-1", "-o", "json"}), 0);
    EXPECT_EQ(nlohmann::json::parse(out_.str())["fractions"]["balance"], 0.9);
  }
}

TEST_F(CliTest, CompletionNamesEveryCommand) {
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    EXPECT_EQ(Run({"completion", shell}), 0);
    EXPECT_THAT(out_.str(), AllOf(HasSubstr("prepare"), HasSubstr("servers")));
  }
}

// `local` with shell scripts as the two other binaries: the coordinator's says
// that it listens where the fake does.
class LocalTest : public CliTest {
 protected:
  void WriteBinaries(const std::string& address) {
    ASSERT_TRUE(MakeFolder(Path("bin")).ok());
    WriteBinary("penstock-coordinator",
                absl::StrCat("while [ \"$1\" != --address-file ]; do shift; "
                             "done\necho ",
                             address, " > \"$2.tmp\" && mv \"$2.tmp\" \"$2\"\n",
                             kNotePid, "exec sleep infinity\n"));
    WriteBinary("penstock-stage-server",
                absl::StrCat(kNotePid, "exec sleep infinity\n"));
  }
  void WriteBinary(const std::string& name, const std::string& script) {
    Write(absl::StrCat("bin/", name), absl::StrCat("#!/bin/sh\n", script));
    std::filesystem::permissions(Path(absl::StrCat("bin/", name)),
                                 std::filesystem::perms::owner_all);
  }

  // Of the processes that the binaries became.
  std::vector<pid_t> Pids() const {
    std::vector<pid_t> pids;
    for (const auto& entry : std::filesystem::directory_iterator(Path("bin"))) {
      const std::string name = entry.path().filename();
      if (name.starts_with("pid-")) pids.push_back(std::stoi(name.substr(4)));
    }
    return pids;
  }
  void ExpectNothingRuns() const {
    for (const pid_t pid : Pids()) EXPECT_NE(kill(pid, 0), 0) << pid;
  }

  static constexpr char kNotePid[] = ": > \"${0%/*}/pid-$$\"\n";
};

TEST_F(LocalTest, RunTrainsAndCleansUp) {
  FakeCoordinator::Script script;
  script.records = FallingRecords(3);
  FakeCoordinator coordinator(script);
  WriteBinaries(coordinator.address());
  EXPECT_EQ(Run({"local", "run", Path("job.yaml"), "--run-dir", Path("run"),
                 "--servers", "3", "-o", "json"}),
            0);
  EXPECT_EQ(Json().at("state"), "SUCCEEDED");
  EXPECT_EQ(Json().at("run_folder"), Path("run"));
  EXPECT_TRUE(std::filesystem::exists(Path("run/loss.svg")));
  EXPECT_TRUE(std::filesystem::exists(Path("run/stage-server-2.log")));
  EXPECT_FALSE(std::filesystem::exists(Path("run/coordinator.address")));
  ExpectNothingRuns();
}

TEST_F(LocalTest, StagesFlagWinsOverTheFile) {
  FakeCoordinator coordinator({});
  WriteBinaries(coordinator.address());
  EXPECT_EQ(Run({"local", "run", Path("job.yaml"), "--stages", "1"}), 0);
  EXPECT_EQ(coordinator.submitted().partition().stages(), 1);
  ExpectNothingRuns();
}

TEST_F(LocalTest, InterruptCancelsTheJobAndLeavesNothing) {
  FakeCoordinator::Script script;
  script.runs_until_cancelled = true;
  FakeCoordinator coordinator(script);
  WriteBinaries(coordinator.address());
  std::thread user([&] {
    coordinator.WaitForSubmission();
    interrupt_.Trip();
  });
  EXPECT_EQ(Run({"local", "run", Path("job.yaml"), "--run-dir", Path("run")}),
            4);
  user.join();
  EXPECT_EQ(coordinator.cancel_reason(), "interrupted by the user");
  EXPECT_THAT(out_.str(), HasSubstr("cancelled"));
  ExpectNothingRuns();
}

TEST_F(LocalTest, InterruptBeforeTheStartLeavesNothing) {
  FakeCoordinator coordinator({});
  WriteBinaries(coordinator.address());
  WriteBinary("penstock-coordinator",
              absl::StrCat(kNotePid, "exec sleep infinity\n"));
  interrupt_.Trip();
  EXPECT_EQ(Run({"local", "run", Path("job.yaml")}), 4);
  EXPECT_EQ(coordinator.submissions(), 0);
  ExpectNothingRuns();
}

TEST_F(LocalTest, LostStageServerEndsTheJobAndIsNamed) {
  FakeCoordinator::Script script;
  script.runs_until_cancelled = true;
  FakeCoordinator coordinator(script);
  WriteBinaries(coordinator.address());
  WriteBinary("penstock-stage-server", "echo out of memory\nexit 9\n");
  EXPECT_EQ(Run({"local", "run", Path("job.yaml"), "--stages", "1"}), 1);
  EXPECT_EQ(coordinator.cancel_reason(), "a local process has ended");
  EXPECT_THAT(err_.str(), AllOf(HasSubstr("stage server 0 exited with 9"),
                                HasSubstr("out of memory")));
  ExpectNothingRuns();
}

TEST_F(LocalTest, CoordinatorThatCannotStartIsQuoted) {
  WriteBinaries("unused");
  WriteBinary("penstock-coordinator", "echo port in use\nexit 3\n");
  EXPECT_EQ(Run({"local", "run", Path("job.yaml")}), 69);
  EXPECT_THAT(err_.str(), AllOf(HasSubstr("coordinator exited with 3"),
                                HasSubstr("port in use")));
}

TEST_F(LocalTest, RefusedJobLeavesNothing) {
  FakeCoordinator::Script script;
  script.refusal = {grpc::StatusCode::INVALID_ARGUMENT, "more stages than"};
  FakeCoordinator coordinator(script);
  WriteBinaries(coordinator.address());
  EXPECT_EQ(Run({"local", "run", Path("job.yaml"), "-o", "json"}), 2);
  EXPECT_THAT(out_.str(), IsEmpty());
  ExpectNothingRuns();
}

TEST_F(LocalTest, UsedRunFolderAndMissingBinariesAreRefused) {
  EXPECT_EQ(Run({"local", "run", Path("job.yaml")}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("cannot find penstock-coordinator"));
  WriteBinaries("unused");
  EXPECT_EQ(Run({"local", "run", Path("job.yaml"), "--run-dir", Path("bin")}),
            2);
  EXPECT_THAT(err_.str(), HasSubstr("wanted a folder that is empty"));
}

TEST_F(LocalTest, UpNamesAServerThatCannotStartAndLeavesNothing) {
  FakeCoordinator::Script script;
  script.servers = 0;
  FakeCoordinator coordinator(script);
  WriteBinaries(coordinator.address());
  WriteBinary("penstock-stage-server", "echo no libtorch\nexit 9\n");
  EXPECT_EQ(Run({"local", "up"}), 1);
  EXPECT_THAT(out_.str(), IsEmpty());
  EXPECT_THAT(err_.str(), AllOf(HasSubstr("exited with 9 by itself"),
                                HasSubstr("\n  no libtorch\n")));
  ExpectNothingRuns();
  Run({"local", "down"});
  EXPECT_THAT(out_.str(), HasSubstr("nothing is up"));
}

TEST_F(LocalTest, InterruptedUpLeavesNothing) {
  FakeCoordinator::Script script;
  script.servers = 0;
  FakeCoordinator coordinator(script);
  WriteBinaries(coordinator.address());
  std::thread user([&] {
    coordinator.WaitForListing();
    interrupt_.Trip();
  });
  EXPECT_EQ(Run({"local", "up"}), 4);
  user.join();
  ExpectNothingRuns();
  Run({"local", "down"});
  EXPECT_THAT(out_.str(), HasSubstr("nothing is up"));
}

TEST_F(LocalTest, UpLeavesProcessesAndDownEndsJustThose) {
  FakeCoordinator::Script script;
  script.servers = 2;
  FakeCoordinator coordinator(script);
  WriteBinaries(coordinator.address());
  EXPECT_EQ(Run({"local", "down"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("nothing is up"));
  EXPECT_EQ(Run({"local", "up", "--stages", "2"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr(absl::StrCat("export PENSTOCK_COORDINATOR=",
                                                 coordinator.address())));
  EXPECT_EQ(Run({"local", "up"}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("is up already"));
  EXPECT_EQ(Run({"local", "down"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("ended 3 processes"));
  EXPECT_EQ(Run({"local", "down"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("nothing is up"));
}

}  // namespace
}  // namespace penstock
