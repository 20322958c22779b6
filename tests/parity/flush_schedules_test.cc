// Every schedule that flushes gives the bits of a plain loop that sums
// gradients in the schedule's order.

#include <gtest/gtest.h>

#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/core/plan_builder.h"
#include "proto/job.pb.h"
#include "schedule/generators/registry.h"
#include "tests/parity/engine_threads.h"
#include "tests/parity/parity_fixture.h"

namespace penstock {
namespace {

struct FlushCase {
  // Of the test; unique.
  std::string name;
  std::string schedule;
  std::map<std::string, std::string> parameters;
  int ranks = 2;
  int microbatches = 4;
  std::string recompute = "never";
};

std::ostream& operator<<(std::ostream& out, const FlushCase& test) {
  return out << test.name;
}

Job JobOf(const FlushCase& test) {
  Job job = TinyGpt("adamw");
  // Ten layers, or 18: one for each of up to 16 stages.
  (*job.mutable_model()->mutable_overrides())["layers"] =
      test.ranks < 8 ? "3" : "7";
  job.set_steps(test.ranks < 8 ? 5 : 2);
  // Halving wants an even number of samples in a microbatch.
  if (test.parameters.count("scale") > 0) job.set_batch_size(48);
  ScheduleSpec& schedule = *job.mutable_schedule();
  schedule.set_name(test.schedule);
  schedule.mutable_parameters()->insert(test.parameters.begin(),
                                        test.parameters.end());
  schedule.set_microbatches(test.microbatches);
  schedule.set_recompute(test.recompute);
  job.mutable_partition()->set_ranks(test.ranks);
  return job;
}

class FlushScheduleTest : public ::testing::TestWithParam<FlushCase> {};

TEST_P(FlushScheduleTest, HasTheBitsOfThePlainLoop) {
  const FlushCase& test = GetParam();
  const absl::StatusOr<int> stages =
      CountStages(test.schedule, {.num_ranks = test.ranks,
                                  .num_microbatches = test.microbatches,
                                  .parameters = test.parameters});
  ASSERT_TRUE(stages.ok()) << stages.status();
  Job job = JobOf(test);
  job.mutable_partition()->set_stages(*stages);
  const absl::StatusOr<BuiltPlan> built = BuildPlan(job);
  ASSERT_TRUE(built.ok()) << built.status();
  ExpectSameBits(TrainInThreads(built->plan, static_cast<int>(job.steps())),
                 ReferenceOf(built->plan));
}

// On 2, 4 and 8 ranks, as many microbatches as the schedule needs at least.
std::vector<FlushCase> Cases() {
  std::vector<FlushCase> cases;
  for (const int ranks : {2, 4, 8}) {
    const auto add = [&](FlushCase test) {
      test.ranks = ranks;
      if (ranks == 4) test.microbatches = 8;
      if (ranks == 8) test.microbatches = 24;
      test.name = absl::StrCat(test.name.empty() ? test.schedule : test.name,
                               "_p", ranks);
      cases.push_back(std::move(test));
    };
    add({.schedule = "naive"});
    add({.schedule = "gpipe"});
    add({.name = "gpipe_lifo",
         .schedule = "gpipe",
         .parameters = {{"order", "lifo"}}});
    add({.name = "gpipe_recompute",
         .schedule = "gpipe",
         .parameters = {{"recompute", "except_last"}}});
    add({.schedule = "one_f_one_b"});
    add({.name = "one_f_one_b_pb",
         .schedule = "one_f_one_b",
         .parameters = {{"warmup", "pb"}}});
    add({.name = "one_f_one_b_list",
         .schedule = "one_f_one_b",
         .parameters = {{"warmup", ranks == 2   ? "4,1"
                                   : ranks == 4 ? "6,6,3,1"
                                                : "9,9,8,6,6,3,3,1"}}});
    for (const std::string schedule :
         {"interleaved", "gpipe_grouped", "loop_bfs", "zb_h1", "zb_h2",
          "interleaved_zb", "zbv", "v_half", "v_min", "dual_pipe_v"}) {
      add({.schedule = schedule});
    }
    for (const std::string scale : {"concat", "doubling", "halving"}) {
      add({.name = absl::StrCat("chimera_", scale),
           .schedule = "chimera",
           .parameters = {{"scale", scale}}});
      if (ranks == 2) continue;
      add({.name = absl::StrCat("chimera_", scale, "_f2"),
           .schedule = "chimera",
           .parameters = {{"scale", scale}, {"pipelines", "2"}}});
    }
    if (ranks == 8) continue;
    for (const std::string recompute : {"except_last", "always", "1"}) {
      for (const std::string schedule :
           {"one_f_one_b", "interleaved", "zb_h1", "zbv", "dual_pipe_v"}) {
        add({.name = absl::StrCat(schedule, "_recompute_", recompute),
             .schedule = schedule,
             .recompute = recompute});
      }
    }
  }
  // Four stages a rank.
  cases.push_back({.name = "interleaved_four_chunks",
                   .schedule = "interleaved",
                   .parameters = {{"chunks", "4"}},
                   .ranks = 2,
                   .microbatches = 4});
  // Microbatches that the ranks do not divide.
  cases.push_back({.name = "interleaved_ragged",
                   .schedule = "interleaved",
                   .ranks = 4,
                   .microbatches = 6});
  cases.push_back({.name = "one_f_one_b_m1",
                   .schedule = "one_f_one_b",
                   .ranks = 4,
                   .microbatches = 1});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, FlushScheduleTest, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace penstock
