#include "schedule/generators/random_sound.h"

#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "schedule/ir/action.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/text_format.h"
#include "schedule/lowering/insert_communication.h"
#include "schedule/lowering/insert_reductions.h"
#include "schedule/lowering/insert_updates.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

constexpr uint64_t kSeeds = 500;

TEST(RandomSoundTest, VerifiesAsItIs) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Schedule schedule = RandomSound(seed);
    const auto violations = Verify(schedule, {.lowered = false});
    ASSERT_TRUE(violations.empty())
        << seed << " " << Describe(schedule, violations[0]) << "\n"
        << PrintSchedule(schedule);
  }
}

TEST(RandomSoundTest, VerifiesAsItIsRun) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    absl::StatusOr<Schedule> lowered = InsertReductions(RandomSound(seed));
    ASSERT_TRUE(lowered.ok()) << lowered.status();
    lowered = InsertUpdates(*std::move(lowered));
    ASSERT_TRUE(lowered.ok()) << lowered.status();
    lowered = InsertCommunication(*std::move(lowered));
    ASSERT_TRUE(lowered.ok()) << lowered.status();
    const auto violations = Verify(*lowered, {.lowered = true});
    ASSERT_TRUE(violations.empty())
        << seed << " " << Describe(*lowered, violations[0]) << "\n"
        << PrintSchedule(*lowered);
  }
}

TEST(RandomSoundTest, HasEqualTextForEqualSeeds) {
  std::set<std::string> texts;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const std::string text = PrintSchedule(RandomSound(seed));
    EXPECT_EQ(PrintSchedule(RandomSound(seed)), text);
    texts.insert(text);
  }
  EXPECT_EQ(texts.size(), 20);
}

// What a test of random schedules would otherwise not meet.
TEST(RandomSoundTest, ShowsEveryKind) {
  bool splits = false, fuses = false, recomputes = false, copies = false;
  bool branches = false, one_rank = false;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Schedule schedule = RandomSound(seed);
    for (const auto& list : schedule.ranks) {
      for (const Action& action : list) {
        splits |= action.op == Op::kBackwardInput;
        fuses |= action.op == Op::kBackward;
        recomputes |= action.op == Op::kRecompute;
      }
    }
    for (const auto& holders : schedule.placement) copies |= holders.size() > 1;
    branches |=
        static_cast<int>(schedule.edges.size()) >= schedule.num_stages() + 1;
    one_rank |= schedule.num_ranks() == 1;
  }
  EXPECT_TRUE(splits && fuses && recomputes && copies && branches && one_rank);
}

TEST(RandomSoundTest, ChainsAreChainsOnOneRankEach) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Schedule schedule = RandomSound(seed, {.only_chains = true});
    EXPECT_EQ(schedule.edges, ChainEdges(schedule.num_stages()));
    for (const auto& holders : schedule.placement) {
      EXPECT_EQ(holders.size(), 1);
    }
    EXPECT_TRUE(Verify(schedule, {.lowered = false}).empty()) << seed;
  }
}

TEST(RandomSoundTest, StaysWithinItsBounds) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Schedule schedule = RandomSound(
        seed, {.max_ranks = 2, .max_stages = 3, .max_microbatches = 1});
    EXPECT_LE(schedule.num_ranks(), 2);
    EXPECT_LE(schedule.num_stages(), 3);
    EXPECT_EQ(schedule.num_microbatches, 1);
  }
}

}  // namespace
}  // namespace penstock
