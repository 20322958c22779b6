// What holds for every schedule that flushes with replicas.

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "schedule/generators/registry.h"
#include "schedule/generators/word_choices.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/replay.h"
#include "schedule/lowering/lower.h"
#include "schedule/lowering/rich_edges.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

using Parameters = std::map<std::string, std::string>;

void ExpectSound(Schedule schedule) {
  schedule.edges = RichEdges(schedule);
  std::vector<Violation> violations = Verify(schedule, {.lowered = false});
  ASSERT_TRUE(violations.empty()) << SoundOrError(schedule, violations);
  const absl::StatusOr<Schedule> lowered = Lower(schedule);
  ASSERT_TRUE(lowered.ok()) << lowered.status();
  violations = Verify(*lowered, {.lowered = true});
  ASSERT_TRUE(violations.empty()) << SoundOrError(*lowered, violations);
}

// Of the stages that one pipeline has on one rank each.
void ExpectRoundRobin(const Schedule& schedule) {
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    for (const Action& action : schedule.ranks[rank]) {
      const auto& holders = schedule.placement[action.stage.value()];
      const size_t replica = action.microbatch.value() % holders.size();
      ASSERT_EQ(holders[replica], RankId(rank));
    }
  }
}

std::vector<std::string> FlushGenerators() {
  std::vector<std::string> names;
  for (const GeneratorInfo& generator : Generators()) {
    if (generator.update_policy == "flush") names.push_back(generator.name);
  }
  return names;
}

// Every list of `length` of 1, 2 and 3.
std::vector<std::vector<int>> CountsOf(int length) {
  std::vector<std::vector<int>> all = {{}};
  for (int i = 0; i < length; ++i) {
    std::vector<std::vector<int>> longer;
    for (const std::vector<int>& counts : all) {
      for (const int count : {1, 2, 3}) {
        longer.push_back(counts);
        longer.back().push_back(count);
      }
    }
    all = std::move(longer);
  }
  return all;
}

class ReplicasTest : public ::testing::TestWithParam<std::string> {
 protected:
  // How many of the requests, for each choice of words, there is a schedule
  // for; those are sound.
  void Check(const GeneratorRequest& request) {
    for (const Parameters& parameters :
         WordChoices(**FindGenerator(GetParam()))) {
      GeneratorRequest one = request;
      one.parameters = parameters;
      absl::StatusOr<Schedule> schedule = Generate(GetParam(), one);
      if (!schedule.ok()) {
        ASSERT_TRUE(absl::IsInvalidArgument(schedule.status()));
        continue;
      }
      ++made_;
      if (GetParam() != "chimera") ExpectRoundRobin(*schedule);
      ExpectSound(*std::move(schedule));
      if (HasFatalFailure()) {
        FAIL() << "p " << request.num_ranks << " m " << request.num_microbatches
               << " replicas " << absl::StrJoin(request.replicas, ",");
      }
    }
  }

  int made_ = 0;
};

TEST_P(ReplicasTest, WholePipelinesAreSoundInBothOrdersOfRanks) {
  for (int p = 1; p <= 4; ++p) {
    for (const int m : {1, 2, 3, 5, 8, 13, 24}) {
      for (const int width : {1, 2, 3}) {
        for (const RankOrder order :
             {RankOrder::kPipelineMajor, RankOrder::kDataMajor}) {
          Check({.num_ranks = p,
                 .num_microbatches = m,
                 .replicas = {width},
                 .rank_order = order});
          if (HasFatalFailure()) return;
        }
      }
    }
  }
  EXPECT_GE(made_, 20);
}

TEST_P(ReplicasTest, DifferentNumbersOfReplicasAreSound) {
  for (int p = 2; p <= 4; ++p) {
    for (const std::vector<int>& counts : CountsOf(p)) {
      for (const int m : {3, 7, 8}) {
        Check({.num_ranks = p, .num_microbatches = m, .replicas = counts});
        if (HasFatalFailure()) return;
      }
    }
  }
  EXPECT_GE(made_, 20);
}

INSTANTIATE_TEST_SUITE_P(Generators, ReplicasTest,
                         ::testing::ValuesIn(FlushGenerators()),
                         [](const auto& info) { return info.param; });

Schedule Made(const std::string& name, const GeneratorRequest& request) {
  absl::StatusOr<Schedule> schedule = Generate(name, request);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return schedule.value_or(Schedule());
}

std::vector<int> Holders(const Schedule& schedule, int stage) {
  std::vector<int> ranks;
  for (const RankId rank : schedule.placement[stage]) {
    ranks.push_back(rank.value());
  }
  return ranks;
}

TEST(RankOrderTest, PipelinesOrReplicasStandSideBySide) {
  GeneratorRequest request{.num_ranks = 2,
                           .num_microbatches = 4,
                           .replicas = {3},
                           .rank_order = RankOrder::kPipelineMajor};
  EXPECT_EQ(Holders(Made("gpipe", request), 1), (std::vector<int>{1, 3, 5}));
  request.rank_order = RankOrder::kDataMajor;
  EXPECT_EQ(Holders(Made("gpipe", request), 1), (std::vector<int>{3, 4, 5}));
  request.replicas = {2, 1};
  EXPECT_EQ(Holders(Made("gpipe", request), 0), (std::vector<int>{0, 1}));
  EXPECT_EQ(Holders(Made("gpipe", request), 1), (std::vector<int>{2}));
}

TEST(ReplicasTest, OneNumberAndOneForEachRankAreTheSame) {
  GeneratorRequest request{
      .num_ranks = 3, .num_microbatches = 6, .replicas = {2}};
  const Schedule one = Made("one_f_one_b", request);
  request.replicas = {2, 2, 2};
  EXPECT_EQ(one, Made("one_f_one_b", request));
  request.replicas = {1, 1, 1};
  EXPECT_EQ(Made("one_f_one_b", request),
            Made("one_f_one_b", {.num_ranks = 3, .num_microbatches = 6}));
}

// Two replicas feed one stage that is twice as fast: none of the three waits
// longer than to fill and drain.
TEST(ReplicasTest, RoundRobinWarmUpKeepsReplicasBusy) {
  const Schedule schedule =
      Made("one_f_one_b",
           {.num_ranks = 2, .num_microbatches = 16, .replicas = {2, 1}});
  ReplayOptions options;
  options.cost = [](const Action& action) {
    return action.stage == StageId(0) ? 2 : 1;
  };
  Schedule chain = schedule;
  chain.edges = ChainEdges(2);
  // 16 microbatches of 2 time units on the second stage.
  EXPECT_LE(Replay(chain, options).makespan, 32 + 4);
}

std::string Refusal(const std::string& name, const GeneratorRequest& request) {
  const absl::Status status = Generate(name, request).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

void ExpectSays(const std::string& message, const std::string& words) {
  EXPECT_NE(message.find(words), std::string::npos) << message;
}

TEST(BadReplicasTest, SayWhatWouldDo) {
  GeneratorRequest request{
      .num_ranks = 2, .num_microbatches = 4, .replicas = {1, 2, 1}};
  ExpectSays(Refusal("gpipe", request),
             "replicas 1,2,1 are 3 numbers, want one, or one for each of the 2 "
             "ranks of a pipeline");
  request.replicas = {0};
  ExpectSays(Refusal("gpipe", request), "replicas 0: want at least 1");
  request.replicas = {1, 5};
  ExpectSays(Refusal("gpipe", request),
             "replicas 1,5: a replica would have no microbatch, of 4; want at "
             "most 4");
  request.replicas = {2};
  ExpectSays(Refusal("pipedream_vertical", request),
             "replicas 2: schedule pipedream_vertical fixes the weights");
  request.num_microbatches = 5;
  ExpectSays(Refusal("wpipe", request),
             "want a multiple of 2, got 5; the nearest: 4 and 6");
  request.replicas = {2, 1};
  ExpectSays(Refusal("wpipe", request), "takes whole pipelines only");
  request.num_stages = 2;
  request.parameters = {{"replicas", "1,1"}};
  ExpectSays(Refusal("pipedream", request), "leave one of the two out");
}

}  // namespace
}  // namespace penstock
