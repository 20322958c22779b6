// Compares what the generators and the printer make with the files in
// tests/golden/schedules. After a change that is meant:
//
//   bazel run //tests/golden:golden_test -- --update_goldens
//
// then read the difference: commit it only if you can explain every line.

#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/file.h"
#include "gtest/gtest.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/grid.h"
#include "schedule/ir/text_format.h"
#include "schedule/ir/unroll.h"
#include "schedule/lowering/lower.h"

namespace penstock {
namespace {

constexpr char kFolder[] = "tests/golden/schedules/";
bool update_goldens = false;

void ExpectGolden(const std::string& name, const std::string& got) {
  if (update_goldens) {
    const char* root = std::getenv("BUILD_WORKSPACE_DIRECTORY");
    ASSERT_NE(root, nullptr) << "update goldens through bazel run";
    const absl::Status status =
        WriteFileAtomically(absl::StrCat(root, "/", kFolder, name), got);
    ASSERT_TRUE(status.ok()) << status;
    return;
  }
  const absl::StatusOr<std::string> want =
      ReadFile(absl::StrCat(kFolder, name));
  ASSERT_TRUE(want.ok()) << want.status();
  EXPECT_EQ(got, *want) << "differs from " << kFolder << name;
}

struct GridCase {
  const char* file;
  const char* generator;
  std::map<std::string, std::string> parameters;
  int ranks;
  int microbatches;
  // Of a continuous schedule: repetitions of its period.
  int repetitions = 0;
};

class GridGoldenTest : public ::testing::TestWithParam<GridCase> {};

TEST_P(GridGoldenTest, GridIsAsRecorded) {
  const GridCase& grid = GetParam();
  absl::StatusOr<Schedule> schedule = Generate(
      grid.generator, {grid.ranks, 0, grid.microbatches, grid.parameters});
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  schedule->edges = ChainEdges(schedule->num_stages());
  const absl::StatusOr<Schedule> run = Unroll(*schedule, grid.repetitions);
  ASSERT_TRUE(run.ok()) << run.status();
  ExpectGolden(grid.file, PrintGrid(*run));
}
INSTANTIATE_TEST_SUITE_P(
    Schedules, GridGoldenTest,
    ::testing::Values(
        GridCase{"naive_p3_m2.txt", "naive", {}, 3, 2},
        GridCase{"gpipe_p4_m4.txt", "gpipe", {}, 4, 4},
        GridCase{"gpipe_lifo_p3_m4.txt", "gpipe", {{"order", "lifo"}}, 3, 4},
        GridCase{"one_f_one_b_p4_m8.txt", "one_f_one_b", {}, 4, 8},
        GridCase{"one_f_one_b_p4_m2.txt", "one_f_one_b", {}, 4, 2},
        GridCase{"one_f_one_b_pb_p4_m8.txt",
                 "one_f_one_b",
                 {{"warmup", "pb"}},
                 4,
                 8},
        GridCase{"interleaved_p4_m8.txt", "interleaved", {}, 4, 8},
        GridCase{"loop_bfs_v3_p3_m4.txt", "loop_bfs", {{"chunks", "3"}}, 3, 4},
        GridCase{"gpipe_grouped_p4_m4.txt", "gpipe_grouped", {}, 4, 4},
        GridCase{"zb_h1_p4_m8.txt", "zb_h1", {}, 4, 8},
        GridCase{"zb_h2_p4_m8.txt", "zb_h2", {}, 4, 8},
        GridCase{"interleaved_zb_p4_m8.txt", "interleaved_zb", {}, 4, 8},
        GridCase{"zbv_p4_m8.txt", "zbv", {}, 4, 8},
        GridCase{"chimera_p4_m4.txt", "chimera", {}, 4, 4},
        GridCase{"chimera_doubling_p4_m8.txt",
                 "chimera",
                 {{"scale", "doubling"}},
                 4,
                 8},
        GridCase{"chimera_halving_p4_m4.txt",
                 "chimera",
                 {{"scale", "halving"}},
                 4,
                 4},
        GridCase{"chimera_two_each_way_p4_m8.txt",
                 "chimera",
                 {{"pipelines", "2"}},
                 4,
                 8},
        GridCase{"interleaved_p4_m5_v3.txt",
                 "interleaved",
                 {{"chunks", "3"}},
                 4,
                 5},
        GridCase{"v_half_p4_m8.txt", "v_half", {}, 4, 8},
        GridCase{"v_min_p5_m8.txt", "v_min", {}, 5, 8},
        GridCase{"dual_pipe_v_p4_m8.txt", "dual_pipe_v", {}, 4, 8},
        GridCase{"pipedream_p4_12_microbatches.txt", "pipedream", {}, 4, 4, 1},
        GridCase{"pipedream_2_1_1_8_microbatches.txt",
                 "pipedream",
                 {{"replicas", "2,1,1"}},
                 4,
                 2,
                 2},
        GridCase{"wpipe_p4_3_updates.txt", "wpipe", {}, 4, 4, 1}));

// What a run is made of, as a file: prologue, period, epilogue.
TEST(ScheduleGoldenTest, ContinuousScheduleIsAsRecorded) {
  const absl::StatusOr<Schedule> schedule =
      Generate("pipedream", {4, 0, 2, {{"replicas", "2,1,1"}}});
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  ExpectGolden("pipedream_2_1_1.schedule", PrintSchedule(*schedule));
}

// The text whose hash a plan carries: it must not change by accident.
TEST(ScheduleGoldenTest, LoweredScheduleIsAsRecorded) {
  std::vector<Edge> edges = ChainEdges(3);
  edges.push_back({EdgeKind::kTiedWeight, "wte", StageId(0), StageId(2)});
  edges.push_back({EdgeKind::kActivation, "skip", StageId(0), StageId(2)});
  const absl::StatusOr<Schedule> schedule =
      MakeFlushSchedule({"one_f_one_b", {}, 3, 3, 3, edges});
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  ExpectGolden("one_f_one_b_p3_m3.schedule", PrintSchedule(*schedule));
}

// The example of docs/schedule_format.md is read by the parser, so that the
// page cannot fall behind.
TEST(ScheduleGoldenTest, ExamplesOfTheFormatPageParse) {
  const absl::StatusOr<std::string> page = ReadFile("docs/schedule_format.md");
  ASSERT_TRUE(page.ok()) << page.status();
  const std::string kFence = "```schedule\n";
  int examples = 0;
  for (size_t at = page->find(kFence); at != std::string::npos;
       at = page->find(kFence, at)) {
    at += kFence.size();
    const std::string text = page->substr(at, page->find("```", at) - at);
    const absl::StatusOr<Schedule> schedule = ParseSchedule(text);
    ASSERT_TRUE(schedule.ok()) << schedule.status() << "\n" << text;
    EXPECT_EQ(PrintSchedule(*schedule), text);
    ++examples;
  }
  EXPECT_EQ(examples, 3);
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (absl::string_view(argv[i]) != "--update_goldens") {
      std::cerr << "unknown flag " << argv[i] << "; known: --update_goldens\n";
      return 2;
    }
    penstock::update_goldens = true;
  }
  return RUN_ALL_TESTS();
}
