// Changes one action of sound lowered schedules in every way and holds the
// verifier against an oracle: what it accepts must be harmless, that is, give
// every stage the same update from the same values (symbolic_step.h), and what
// the oracle finds harmless must not be refused without a reason given below.

#include <cstdint>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/text_format.h"
#include "schedule/lowering/lower.h"
#include "schedule/verifier/symbolic_step.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

using Symbols = std::optional<std::vector<uint64_t>>;

struct Counts {
  int rejected = 0;
  int harmless = 0;
};

// Checks one mutant of a schedule whose symbols are `wanted`.
void CheckMutant(const Schedule& mutant, const Symbols& wanted,
                 Counts* counts) {
  const std::vector<Violation> violations = Verify(mutant);
  const bool same = RunSymbolicStep(mutant) == wanted;
  if (violations.empty()) {
    ++counts->harmless;
    EXPECT_TRUE(same) << "accepted, but computes something else:\n"
                      << PrintSchedule(mutant);
  } else {
    ++counts->rejected;
    EXPECT_FALSE(same) << "refused, though it computes the same:\n"
                       << Describe(mutant, violations[0])
                       << PrintSchedule(mutant);
  }
}

// Every schedule with one action deleted, doubled, moved or swapped.
void CheckListMutants(const Schedule& sound, const Symbols& wanted,
                      Counts* counts) {
  for (int rank = 0; rank < sound.num_ranks(); ++rank) {
    const std::vector<Action>& list = sound.ranks[rank];
    const int size = static_cast<int>(list.size());
    for (int i = 0; i < size; ++i) {
      Schedule without = sound;
      without.ranks[rank].erase(without.ranks[rank].begin() + i);
      CheckMutant(without, wanted, counts);
      for (int j = 0; j <= size; ++j) {
        Schedule doubled = sound;
        doubled.ranks[rank].insert(doubled.ranks[rank].begin() + j, list[i]);
        CheckMutant(doubled, wanted, counts);
      }
      for (int j = 0; j < size; ++j) {
        if (j == i) continue;
        Schedule moved = without;
        moved.ranks[rank].insert(moved.ranks[rank].begin() + j, list[i]);
        CheckMutant(moved, wanted, counts);
        if (j < i || list[i] == list[j]) continue;
        Schedule swapped = sound;
        std::swap(swapped.ranks[rank][i], swapped.ranks[rank][j]);
        CheckMutant(swapped, wanted, counts);
      }
      if (::testing::Test::HasFailure()) return;
    }
  }
}

// Every schedule with one field of one action off by one.
void CheckFieldMutants(const Schedule& sound, const Symbols& wanted,
                       Counts* counts) {
  for (int rank = 0; rank < sound.num_ranks(); ++rank) {
    for (size_t i = 0; i < sound.ranks[rank].size(); ++i) {
      for (const int by : {-1, 1}) {
        Schedule mutant = sound;
        Action& action = mutant.ranks[rank][i];
        const Action before = action;
        if (action.op == Op::kAgreeNorm) continue;
        action.stage = StageId(before.stage.value() + by);
        CheckMutant(mutant, wanted, counts);
        if (action.op == Op::kUpdate) continue;
        action = before;
        action.microbatch = MicrobatchId(before.microbatch.value() + by);
        CheckMutant(mutant, wanted, counts);
        if (IsCompute(action.op)) continue;
        action = before;
        action.edge = EdgeId(before.edge.value() + by);
        CheckMutant(mutant, wanted, counts);
        action = before;
        action.peer = RankId(before.peer.value() + by);
        CheckMutant(mutant, wanted, counts);
      }
    }
  }
}

struct Case {
  const char* generator;
  std::map<std::string, std::string> parameters;
};

class MutationTest : public ::testing::TestWithParam<Case> {};

TEST_P(MutationTest, EveryMutantIsRefusedOrHarmless) {
  Counts counts;
  for (int p = 1; p <= 3; ++p) {
    for (int m = 1; m <= 3; ++m) {
      std::vector<Edge> edges = ChainEdges(p);
      if (p > 1) {
        edges.push_back(
            {EdgeKind::kTiedWeight, "wte", StageId(0), StageId(p - 1)});
      }
      if (p > 2) {
        edges.push_back(
            {EdgeKind::kActivation, "skip", StageId(0), StageId(2)});
      }
      const absl::StatusOr<Schedule> sound = MakeFlushSchedule(
          {GetParam().generator, GetParam().parameters, p, p, m, edges});
      ASSERT_TRUE(sound.ok()) << sound.status();
      const Symbols wanted = RunSymbolicStep(*sound);
      ASSERT_TRUE(wanted.has_value());
      CheckListMutants(*sound, wanted, &counts);
      CheckFieldMutants(*sound, wanted, &counts);
    }
  }
  RecordProperty("rejected", counts.rejected);
  RecordProperty("harmless", counts.harmless);
  std::cout << counts.rejected << " rejected, " << counts.harmless
            << " harmless\n";
  EXPECT_GT(counts.rejected, 10 * counts.harmless);
}

INSTANTIATE_TEST_SUITE_P(Schedules, MutationTest,
                         ::testing::Values(Case{"naive", {}}, Case{"gpipe", {}},
                                           Case{"gpipe", {{"order", "lifo"}}},
                                           Case{"one_f_one_b", {}},
                                           Case{"one_f_one_b",
                                                {{"warmup", "pb"}}}));

// The oracle itself must tell schedules apart.
TEST(SymbolicStepTest, SchedulesOfOneModelComputeTheSameUpdate) {
  std::vector<Edge> edges = ChainEdges(3);
  edges.push_back({EdgeKind::kTiedWeight, "wte", StageId(0), StageId(2)});
  const Symbols naive =
      RunSymbolicStep(*MakeFlushSchedule({"naive", {}, 3, 3, 4, edges}));
  ASSERT_TRUE(naive.has_value());
  EXPECT_EQ(naive, RunSymbolicStep(*MakeFlushSchedule(
                       {"gpipe", {{"order", "lifo"}}, 3, 3, 4, edges})));
  EXPECT_EQ(
      naive,
      RunSymbolicStep(*MakeFlushSchedule({"one_f_one_b", {}, 3, 3, 4, edges})));
  EXPECT_NE(naive,
            RunSymbolicStep(*MakeFlushSchedule({"naive", {}, 3, 3, 3, edges})));
  edges.pop_back();
  EXPECT_NE(naive,
            RunSymbolicStep(*MakeFlushSchedule({"naive", {}, 3, 3, 4, edges})));
}

}  // namespace
}  // namespace penstock
