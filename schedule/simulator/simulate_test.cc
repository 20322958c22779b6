#include "schedule/simulator/simulate.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/chain.h"
#include "schedule/lowering/insert_communication.h"
#include "schedule/lowering/insert_updates.h"
#include "schedule/lowering/lower.h"
#include "schedule/simulator/simulation_fixture.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr double kNear = 1e-9;

Schedule Lowered(const std::string& generator, int p, int m) {
  const absl::StatusOr<Schedule> schedule =
      MakeFlushSchedule({.generator = generator,
                         .num_ranks = p,
                         .num_stages = p,
                         .num_microbatches = m,
                         .edges = ChainEdges(p)});
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return schedule.value_or(Schedule{});
}

double Makespan(const Schedule& schedule, const CostModel& costs) {
  return SummaryOf(schedule, costs).makespan;
}

// One F on r0 whose tensor an F on r1 takes.
Schedule OneHop(int m) {
  std::vector<std::vector<Action>> lists(2);
  for (int rank = 0; rank < 2; ++rank) {
    for (int b = 0; b < m; ++b) {
      lists[rank].push_back(Forward(StageId(rank), MicrobatchId(b)));
    }
  }
  return OfLists(m, lists);
}

bool HasPairs(const Schedule& schedule) {
  for (const std::vector<Action>& actions : schedule.ranks) {
    for (const Action& action : actions) {
      if (action.overlaps_next) return true;
    }
  }
  return false;
}

// But for pairs: lowered, they wait for what both of them take.
TEST(SimulateTest, LoweredAndUnloweredTakeTheSameTime) {
  int compared = 0;
  for (const GeneratorInfo& generator : Generators()) {
    if (generator.update_policy != "flush") continue;
    for (const int v : {1, 2}) {
      absl::StatusOr<Schedule> plain = Generate(generator.name, {4, 4 * v, 8});
      if (!plain.ok() || HasPairs(*plain)) continue;
      plain->edges = ChainEdges(4 * v);
      absl::StatusOr<Schedule> lowered = InsertUpdates(*plain);
      ASSERT_TRUE(lowered.ok()) << lowered.status();
      lowered = InsertCommunication(*std::move(lowered));
      ASSERT_TRUE(lowered.ok()) << lowered.status();
      for (const double hop : {0.0, 0.25, 1.0}) {
        const CostModel costs = UniformCosts(*plain, {.hop = hop});
        EXPECT_NEAR(Makespan(*lowered, costs), Makespan(*plain, costs), kNear)
            << generator.name << " " << v << " " << hop;
        ++compared;
      }
    }
  }
  EXPECT_GE(compared, 9);
}

TEST(SimulateTest, EqualArgumentsGiveEqualAnswersToTheLastBit) {
  const Schedule schedule = Lowered("one_f_one_b", 5, 9);
  const CostModel costs =
      ScaledCosts(UniformCosts(schedule, {.hop = 0.1}), {1.1, 0.7, 1.3});
  const Timeline once = Simulated(schedule, costs);
  const Timeline again = Simulated(schedule, costs);
  for (size_t rank = 0; rank < once.ranks.size(); ++rank) {
    for (size_t i = 0; i < once.ranks[rank].size(); ++i) {
      EXPECT_EQ(once.ranks[rank][i].start, again.ranks[rank][i].start);
      EXPECT_EQ(once.ranks[rank][i].end, again.ranks[rank][i].end);
    }
  }
}

TEST(SimulateTest, MessageTakesLatencyPlusBytesOverBandwidth) {
  const Schedule schedule = OneHop(1);
  CostModel costs = UniformCosts(schedule, {});
  costs.edge_bytes = {600};
  costs.link = {.latency = 0.5, .bandwidth = 200};
  const Timeline timeline = Simulated(schedule, costs);
  EXPECT_NEAR(timeline.ranks[1][0].start, 1 + 0.5 + 3, kNear);
}

TEST(SimulateTest, MessagesOfASerialisedLinkLeaveOneAfterTheOther) {
  const Schedule schedule = OneHop(3);
  CostModel costs = UniformCosts(schedule, {});
  costs.edge_bytes = {400};
  costs.link = {.latency = 0.5, .bandwidth = 200, .serialised = true};
  const Timeline one_at_a_time = Simulated(schedule, costs);
  EXPECT_NEAR(one_at_a_time.ranks[1][2].start, 1 + 3 * 2 + 0.5, kNear);
  costs.link.serialised = false;
  const Timeline together = Simulated(schedule, costs);
  EXPECT_NEAR(together.ranks[1][2].start, 3 + 2 + 0.5, kNear);
}

TEST(SimulateTest, LinkOfItsOwnOverridesTheCommonOne) {
  const Schedule schedule = OneHop(1);
  CostModel costs = UniformCosts(schedule, {.hop = 9});
  costs.links[{0, 1}] = {.latency = 0.25};
  EXPECT_NEAR(Simulated(schedule, costs).ranks[1][0].start, 1.25, kNear);
}

TEST(SimulateTest, LargeMessageStartsWhenItsReceiveIsPosted) {
  // r1 is busy with a stage of its own for 10 before it turns to the receive.
  const Schedule schedule = Parsed(
      "penstock-schedule 1\nname late\nmicrobatches 1\nplacement r0 r1 r1\n"
      "edge activation h 0>1\n"
      "r0: 0F0 0SF0[h>r1]\nr1: 2F0 1RF0[h<r0] 1F0\n");
  CostModel costs = UniformCosts(schedule, {.forward = 1.5});
  costs.stages[2].forward = 10;
  costs.edge_bytes = {100};
  costs.link = {.bandwidth = 25, .eager_bytes = 99};
  EXPECT_NEAR(Simulated(schedule, costs).ranks[1][1].end, 10 + 4, kNear);
  EXPECT_NEAR(
      Simulated(schedule, costs, {.receive_lookahead = 1}).ranks[1][1].end, 10,
      kNear);
  costs.link.eager_bytes = 100;
  EXPECT_NEAR(Simulated(schedule, costs).ranks[1][1].end, 10, kNear);
}

TEST(SimulateTest, OverheadIsPaidByEveryAction) {
  const Schedule schedule = Parsed(
      "penstock-schedule 1\nname o\nmicrobatches 1\nplacement r0 r1\n"
      "edge activation h 0>1\nr0: 0F0 0SF0[h>r1]\nr1: 1RF0[h<r0] 1F0\n");
  CostModel costs = UniformCosts(schedule, {});
  costs.action_overhead = 0.25;
  const Timeline timeline = Simulated(schedule, costs);
  EXPECT_NEAR(timeline.ranks[0][1].end, 1.5, kNear);
  EXPECT_NEAR(timeline.ranks[1][0].end, 1.5, kNear);
  EXPECT_NEAR(timeline.ranks[1][1].end, 2.75, kNear);
}

TEST(SimulateTest, ForwardOfTwoMicrobatchesPublishesBothAtItsEnd) {
  Schedule schedule = OneHop(2);
  schedule.ranks[0] = {Forward(StageId(0), MicrobatchId(0))};
  schedule.ranks[0][0].num_microbatches = 2;
  const Timeline timeline =
      Simulated(schedule, UniformCosts(schedule, {.forward = 2}));
  EXPECT_NEAR(timeline.ranks[0][0].end, 4, kNear);
  EXPECT_NEAR(timeline.ranks[1][0].start, 4, kNear);
  EXPECT_NEAR(timeline.ranks[1][1].start, 6, kNear);
}

Action HalfOf(Action action, Half half) {
  action.half = half;
  return action;
}

TEST(SimulateTest, HalfABackwardTakesHalfTheTimeAndNeedsHalfTheGradient) {
  const Action b0 = Backward(StageId(0), MicrobatchId(0));
  const Action b1 = Backward(StageId(1), MicrobatchId(0));
  const Schedule schedule =
      OfLists(1, {{Forward(StageId(0), MicrobatchId(0)),
                   HalfOf(b0, Half::kFirst), HalfOf(b0, Half::kSecond)},
                  {Forward(StageId(1), MicrobatchId(0)),
                   HalfOf(b1, Half::kFirst), HalfOf(b1, Half::kSecond)}});
  const Timeline timeline = Simulated(schedule, UniformCosts(schedule, {}));
  EXPECT_NEAR(timeline.ranks[0][1].start, 3, kNear);
  EXPECT_NEAR(timeline.ranks[0][2].start, 4, kNear);
  EXPECT_NEAR(timeline.ranks[0][2].end, 5, kNear);
}

TEST(SimulateTest, PairSavesItsGainAndSendsTheFirstOutputEarly) {
  Schedule schedule = OneHop(2);
  schedule.ranks[0][0].overlaps_next = true;
  CostModel costs = UniformCosts(schedule, {});
  costs.pair_gain = 0.5;
  const Timeline timeline = Simulated(schedule, costs);
  EXPECT_NEAR(timeline.ranks[0][1].end, 1.5, kNear);
  EXPECT_NEAR(timeline.ranks[1][0].start, 1, kNear);
  EXPECT_NEAR(timeline.ranks[1][1].start, 2, kNear);
}

// The second starts when its input is there; what is left of the first's time
// is saved.
TEST(SimulateTest, PairWhoseSecondReceivesInBetweenOverlapsFromThenOn) {
  const Schedule schedule = Parsed(
      "penstock-schedule 1\nname pair\nmicrobatches 1\nplacement r0 r1 r1\n"
      "edge activation h 0>2\n"
      "r0: 0F0 0SF0[h>r1]\nr1: 1F0& 2RF0[h<r0] 2F0\n");
  CostModel costs = UniformCosts(schedule, {});
  costs.pair_gain = 1;
  for (StageCost& stage : costs.stages) stage.forward = 4;
  for (const auto& [made, end] :
       {std::pair(0.0, 4.0), std::pair(3.0, 7.0), std::pair(6.0, 10.0)}) {
    costs.stages[0].forward = made;
    EXPECT_NEAR(Simulated(schedule, costs).ranks[1][2].end, end, kNear) << made;
  }
}

TEST(SimulateTest, GradientReductionWaitsForEveryHolder) {
  const Schedule schedule = Parsed(
      "penstock-schedule 1\nname g\nmicrobatches 3\nplacement r0+r1\n"
      "r0: 0F0 0B0 0G 0U\nr1: 0F1 0B1 0F2 0B2 0G 0U\n");
  CostModel costs = UniformCosts(schedule, {});
  costs.stages[0].reduce = 0.5;
  costs.stages[0].update = 0.25;
  const Timeline timeline = Simulated(schedule, costs);
  EXPECT_NEAR(timeline.ranks[0][2].start, 3, kNear);
  EXPECT_NEAR(timeline.ranks[0][2].end, 3, kNear);
  EXPECT_NEAR(timeline.ranks[0][3].start, 6.5, kNear);
  EXPECT_NEAR(timeline.ranks[0][3].end, 6.75, kNear);
}

TEST(SimulateTest, ReductionRunsBesideTheListUntilItsUpdate) {
  const Schedule schedule = Parsed(
      "penstock-schedule 1\nname g\nmicrobatches 3\nplacement r0+r1\n"
      "r0: 0F0 0B0 0G@1 0F2 0B2 0U@1\nr1: 0F1 0B1 0G@1 0U@1\n");
  CostModel costs = UniformCosts(schedule, {});
  costs.stages[0].reduce = 2;
  const Timeline timeline = Simulated(schedule, costs);
  EXPECT_NEAR(timeline.ranks[0][5].start, 6, kNear);
  EXPECT_NEAR(timeline.ranks[1][3].start, 5, kNear);
}

TEST(SimulateTest, NormWaitsForReductions) {
  const Schedule schedule = Parsed(
      "penstock-schedule 1\nname g\nmicrobatches 2\nplacement r0+r1\n"
      "r0: 0F0 0B0 0G N 0U\nr1: 0F1 0B1 0G N 0U\n");
  CostModel costs = UniformCosts(schedule, {});
  costs.stages[0].reduce = 2;
  costs.agree_norm = 0.5;
  const Timeline timeline = Simulated(schedule, costs);
  EXPECT_NEAR(timeline.ranks[0][3].end, 5.5, kNear);
  EXPECT_NEAR(timeline.ranks[1][4].start, 5.5, kNear);
}

TEST(SimulateTest, TransfersAreToldWhenAskedFor) {
  const Schedule schedule = Lowered("one_f_one_b", 2, 3);
  const CostModel costs = UniformCosts(schedule, {.hop = 0.5});
  EXPECT_TRUE(Simulated(schedule, costs).transfers.empty());
  const Timeline timeline =
      Simulated(schedule, costs, {.record_transfers = true});
  ASSERT_EQ(timeline.transfers.size(), 6u);
  for (const Transfer& transfer : timeline.transfers) {
    EXPECT_NEAR(transfer.end - transfer.posted, 0.5, kNear);
    const Action& send =
        schedule.ranks[transfer.from.value()][transfer.from_position];
    const Action& receive =
        schedule.ranks[transfer.to.value()][transfer.to_position];
    EXPECT_TRUE(IsSend(send.op) && IsReceive(receive.op));
    EXPECT_EQ(send.microbatch, receive.microbatch);
  }
}

TEST(SimulateTest, MeasuredActionTimesOverrideTheModel) {
  const Schedule schedule = OverChain("gpipe", 1, 2);
  CostModel costs = UniformCosts(schedule, {});
  costs.action_times = {{5, -1, 0.5}};
  EXPECT_NEAR(Makespan(schedule, costs), 5 + 1 + 0.5 + 2, kNear);
}

TEST(SimulateTest, ListsThatWaitForEachOtherAreAnErrorThatNamesOne) {
  const Schedule schedule = Parsed(
      "penstock-schedule 1\nname bad\nmicrobatches 1\nplacement r0 r1\n"
      "edge activation h 0>1\nr0: 0B0 0F0\nr1: 1F0 1B0\n");
  const absl::Status status =
      Simulate(schedule, UniformCosts(schedule, {})).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("r0 waits for ever at action 0, 0B0"));
}

std::string RefusalOf(const Schedule& schedule, const CostModel& costs) {
  const absl::Status status = Simulate(schedule, costs).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

TEST(SimulateTest, ActionsThatNameWhatIsNotThereAreRefused) {
  const Schedule good = OneHop(2);
  const CostModel costs = UniformCosts(good, {});
  Schedule bad = good;
  bad.ranks[1][1].stage = StageId(2);
  EXPECT_THAT(RefusalOf(bad, costs),
              HasSubstr("r1 action 1, 2F1: there is no stage 2 of 2"));
  bad = good;
  bad.ranks[1][1].microbatch = MicrobatchId(2'000'000'000);
  EXPECT_THAT(RefusalOf(bad, costs), HasSubstr("is not complete"));
  bad = good;
  bad.ranks[1][1].microbatch = MicrobatchId(-1);
  EXPECT_THAT(RefusalOf(bad, costs), HasSubstr("want 0 or more"));
  bad = good;
  bad.edges[0].to = StageId(7);
  EXPECT_THAT(RefusalOf(bad, costs), HasSubstr("from stage 0 to 7"));
  bad = good;
  bad.ranks[0].push_back(Communicate(Op::kSendForward, StageId(0),
                                     MicrobatchId(0), EdgeId(0), RankId(9)));
  EXPECT_THAT(RefusalOf(bad, costs), HasSubstr("no rank 9 of 2"));
}

TEST(SimulateTest, CostsThatAreNoTimesAreRefused) {
  const Schedule schedule = OneHop(1);
  const CostModel good = UniformCosts(schedule, {});
  CostModel bad = good;
  bad.stages.pop_back();
  EXPECT_THAT(RefusalOf(schedule, bad), HasSubstr("of 1 stages"));
  bad = good;
  bad.stages[1].forward = -1;
  EXPECT_THAT(RefusalOf(schedule, bad), HasSubstr("forward of stage 1 is -1"));
  bad = good;
  bad.link.latency = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(RefusalOf(schedule, bad), HasSubstr("latency of every link"));
  bad = good;
  bad.pair_gain = 1.5;
  EXPECT_THAT(RefusalOf(schedule, bad), HasSubstr("pair_gain is 1.5"));
  bad = good;
  bad.action_overhead = std::numeric_limits<double>::infinity();
  EXPECT_THAT(RefusalOf(schedule, bad), HasSubstr("action_overhead"));
}

}  // namespace
}  // namespace penstock
