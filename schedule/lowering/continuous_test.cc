// Continuous schedules as stage servers run them: lowered, verified, and timed
// by the simulator.

#include "schedule/simulator/continuous.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/unroll.h"
#include "schedule/lowering/lower.h"
#include "schedule/simulator/cost_model.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

using Parameters = std::map<std::string, std::string>;

absl::StatusOr<Schedule> Lowered(const std::string& generator, int ranks,
                                 int stages, int microbatches,
                                 const Parameters& parameters = {}) {
  return MakeSchedule({.generator = generator,
                       .parameters = parameters,
                       .num_ranks = ranks,
                       .num_stages = stages,
                       .num_microbatches = microbatches,
                       .edges = ChainEdges(stages)});
}

TEST(ContinuousTest, EveryGeneratorAndSizeVerifiesLowered) {
  for (int p = 1; p <= 6; ++p) {
    for (int m = 1; m <= 8; ++m) {
      for (const char* name : {"pipedream", "pipedream_vertical"}) {
        const absl::StatusOr<Schedule> s = Lowered(name, p, p, m);
        EXPECT_TRUE(s.ok()) << p << " " << m << " " << s.status();
      }
      if (m < p - 1) continue;
      const absl::StatusOr<Schedule> two = Lowered("pipedream_2bw", p, p, m);
      EXPECT_TRUE(two.ok()) << p << " " << m << " " << two.status();
      for (int v = 1; v <= 3; ++v) {
        const absl::StatusOr<Schedule> s = Lowered("wpipe", p, v * p, m);
        EXPECT_TRUE(s.ok()) << p << " " << v << " " << m << " " << s.status();
      }
    }
  }
}

ScheduleRequest TiedRequest(const std::string& generator, int ranks, int stages,
                            int microbatches) {
  ScheduleRequest request{.generator = generator,
                          .num_ranks = ranks,
                          .num_stages = stages,
                          .num_microbatches = microbatches,
                          .edges = ChainEdges(stages)};
  request.edges.push_back(
      {EdgeKind::kTiedWeight, "wte", StageId(0), StageId(stages - 1)});
  return request;
}

TEST(ContinuousTest, WeightsThatAreTiedUnderOneRuleVerifyLowered) {
  for (int p = 2; p <= 6; ++p) {
    for (int m = 1; m <= 8; ++m) {
      const absl::StatusOr<Schedule> vertical =
          MakeSchedule(TiedRequest("pipedream_vertical", p, p, m));
      EXPECT_TRUE(vertical.ok()) << p << " " << m << " " << vertical.status();
      if (m < p - 1) continue;
      const absl::StatusOr<Schedule> two =
          MakeSchedule(TiedRequest("pipedream_2bw", p, p, m));
      EXPECT_TRUE(two.ok()) << p << " " << m << " " << two.status();
    }
  }
}

TEST(ContinuousTest, WeightsThatAreTiedBetweenReplicasVerifyLowered) {
  for (const std::vector<int>& replicas :
       std::vector<std::vector<int>>{{2}, {1, 1, 2}, {2, 1, 3}, {3, 2, 1}}) {
    ScheduleRequest request = TiedRequest("pipedream_2bw", 3, 3, 6);
    request.replicas = replicas;
    const absl::StatusOr<Schedule> schedule = MakeSchedule(request);
    EXPECT_TRUE(schedule.ok()) << schedule.status();
  }
}

TEST(ContinuousTest, ATieBetweenOtherRulesOrOnOneRankIsRefused) {
  EXPECT_THAT(
      std::string(
          MakeSchedule(TiedRequest("pipedream", 2, 2, 2)).status().message()),
      HasSubstr("edge 1 (wte) ties stage 1 to stage 0, whose microbatches "
                "read other versions"));
  EXPECT_THAT(
      std::string(
          MakeSchedule(TiedRequest("wpipe", 2, 4, 2)).status().message()),
      HasSubstr("read other versions"));
  ScheduleRequest one_rank = TiedRequest("wpipe", 2, 4, 2);
  one_rank.edges.back().to = StageId(2);
  EXPECT_FALSE(MakeSchedule(one_rank).ok());
}

struct Replicas {
  const char* text;
  int ranks;
  int stages;
  int microbatches;
};

class ReplicasTest : public ::testing::TestWithParam<Replicas> {};

TEST_P(ReplicasTest, VerifyLoweredWithAndWithoutTheExtraRound) {
  const Replicas& replicas = GetParam();
  for (const char* extra : {"no", "yes"}) {
    const absl::StatusOr<Schedule> s = Lowered(
        "pipedream", replicas.ranks, replicas.stages, replicas.microbatches,
        {{"replicas", replicas.text}, {"extra_round", extra}});
    EXPECT_TRUE(s.ok()) << extra << " " << s.status();
  }
  const absl::StatusOr<Schedule> s =
      Lowered("pipedream_2bw", replicas.ranks, replicas.stages,
              2 * replicas.microbatches, {{"replicas", replicas.text}});
  EXPECT_TRUE(s.ok()) << s.status();
}
INSTANTIATE_TEST_SUITE_P(
    Counts, ReplicasTest,
    ::testing::Values(Replicas{"2,1,1", 4, 3, 2}, Replicas{"1,2,1", 4, 3, 2},
                      Replicas{"1,1,2", 4, 3, 2}, Replicas{"3,2", 5, 2, 6},
                      Replicas{"7,1", 8, 2, 7}, Replicas{"8,3,1", 12, 3, 24},
                      Replicas{"9,2,1", 12, 3, 18},
                      Replicas{"1,7,2", 10, 3, 14}, Replicas{"2", 2, 1, 2},
                      Replicas{"2,2", 4, 2, 4}, Replicas{"1,3", 4, 2, 3}));

TEST(ContinuousTest, WholePipelinesWithReplicasVerifyLowered) {
  for (const RankOrder order :
       {RankOrder::kPipelineMajor, RankOrder::kDataMajor}) {
    for (int p = 1; p <= 4; ++p) {
      for (int width = 2; width <= 3; ++width) {
        for (const int own : {std::max(1, p - 1), p + 1}) {
          for (const char* name : {"pipedream", "pipedream_2bw", "wpipe"}) {
            const int stages = std::string(name) == "wpipe" ? 2 * p : p;
            const absl::StatusOr<Schedule> s =
                MakeSchedule({.generator = name,
                              .num_ranks = p,
                              .num_stages = stages,
                              .num_microbatches = own * width,
                              .edges = ChainEdges(stages),
                              .replicas = {width},
                              .rank_order = order});
            ASSERT_TRUE(s.ok()) << name << " p=" << p << " width=" << width
                                << " own=" << own << " " << s.status();
            EXPECT_EQ(s->num_ranks(), p * width);
          }
        }
      }
    }
  }
}

// Where a rank updates is where its state of a step is whole.
TEST(ContinuousTest, UpdatesOfAPeriodComeBeforeThoseOfTheNext) {
  const absl::StatusOr<Schedule> s = MakeSchedule({.generator = "wpipe",
                                                   .num_ranks = 2,
                                                   .num_stages = 4,
                                                   .num_microbatches = 4,
                                                   .edges = ChainEdges(4),
                                                   .replicas = {2}});
  ASSERT_TRUE(s.ok()) << s.status();
  const Schedule run = *Unroll(*s, 5);
  for (const std::vector<Action>& actions : run.ranks) {
    int version = 0;
    for (const Action& action : actions) {
      if (action.op != Op::kUpdate) continue;
      EXPECT_GE(*action.version, version);
      version = *action.version;
    }
    EXPECT_GT(version, 5);
  }
}

// Balanced 2-1-1: stage 0 has twice the work of the others and two ranks.
double UnitsPerMicrobatch(const Parameters& parameters) {
  const absl::StatusOr<Schedule> s = Lowered("pipedream", 4, 3, 2, parameters);
  EXPECT_TRUE(s.ok()) << s.status();
  if (!s.ok()) return 0;
  CostModel costs;
  costs.stages.resize(3);
  for (int stage = 0; stage < 3; ++stage) {
    costs.stages[stage].forward = stage == 0 ? 2 : 1;
    costs.stages[stage].backward = stage == 0 ? 4 : 2;
  }
  const absl::StatusOr<ContinuousReport> report =
      SimulateContinuous(*s, costs, 40);
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? report->period_time / s->num_microbatches : 0;
}

TEST(ContinuousTest, WaitingForReplicasCostsHalfAgainAndAnExtraRoundNothing) {
  EXPECT_NEAR(UnitsPerMicrobatch({{"replicas", "2,1,1"}}), 4.5, 1e-9);
  EXPECT_NEAR(
      UnitsPerMicrobatch({{"replicas", "2,1,1"}, {"extra_round", "yes"}}), 3,
      1e-9);
}

}  // namespace
}  // namespace penstock
