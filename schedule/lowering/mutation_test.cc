// Changes one action of sound lowered schedules in every way and holds the
// verifier against an oracle: what it accepts must be harmless, that is, give
// every stage the same updates from the same values (symbolic_step.h), and what
// it refuses must not be: no mutant is refused for nothing.

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "gtest/gtest.h"
#include "schedule/generators/registry.h"
#include "schedule/generators/word_choices.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/text_format.h"
#include "schedule/ir/unroll.h"
#include "schedule/lowering/lower.h"
#include "schedule/verifier/symbolic_step.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

using Parameters = std::map<std::string, std::string>;
using Symbols = std::optional<std::vector<uint64_t>>;

// The updates of a step, or of several runs of a continuous schedule.
Symbols SymbolsOf(const Schedule& schedule) {
  if (!schedule.is_continuous()) return RunSymbolicStep(schedule);
  std::vector<uint64_t> all;
  for (const int periods : {0, 1, 3}) {
    const absl::StatusOr<Schedule> run = Unroll(schedule, periods);
    if (!run.ok()) return std::nullopt;
    const Symbols symbols = RunSymbolicStep(*run);
    if (!symbols) return std::nullopt;
    all.insert(all.end(), symbols->begin(), symbols->end());
  }
  return all;
}

// Judges mutants of one sound schedule, all or one in `stride` of them.
class Mutants {
 public:
  Mutants(const Schedule& sound, uint64_t stride)
      : sound_(sound), stride_(stride), wanted_(SymbolsOf(sound)) {}

  void CheckAll() {
    ASSERT_TRUE(wanted_.has_value()) << PrintSchedule(sound_);
    for (RankLists Schedule::*section :
         {&Schedule::ranks, &Schedule::period, &Schedule::epilogue}) {
      for (size_t rank = 0; rank < (sound_.*section).size(); ++rank) {
        CheckList(section, rank);
        if (::testing::Test::HasFailure()) return;
      }
    }
  }

  int rejected() const { return rejected_; }
  int harmless() const { return harmless_; }

 private:
  bool IsDrawn() { return RandomKey(17, {++drawn_}) % stride_ == 0; }

  void Check(const Schedule& mutant) {
    if (::testing::Test::HasFailure()) return;
    const std::vector<Violation> violations = Verify(mutant);
    const bool same = SymbolsOf(mutant) == wanted_;
    if (violations.empty()) {
      ++harmless_;
      EXPECT_TRUE(same) << "accepted, but computes something else:\n"
                        << PrintSchedule(mutant) << "from:\n"
                        << PrintSchedule(sound_);
    } else {
      ++rejected_;
      EXPECT_FALSE(same) << "refused, though it computes the same:\n"
                         << Describe(mutant, violations[0])
                         << PrintSchedule(mutant);
    }
  }

  // One action deleted, doubled, moved, swapped or changed.
  void CheckList(RankLists Schedule::*section, size_t rank) {
    const std::vector<Action>& list = (sound_.*section)[rank];
    const auto with = [&](std::vector<Action> changed) {
      Schedule mutant = sound_;
      (mutant.*section)[rank] = std::move(changed);
      Check(mutant);
    };
    const size_t size = list.size();
    for (size_t i = 0; i < size; ++i) {
      std::vector<Action> without = list;
      without.erase(without.begin() + i);
      with(without);
      for (size_t j = 0; j <= size; ++j) {
        if (IsDrawn()) with(WithInserted(list, j, list[i]));
      }
      for (size_t j = 0; j < size; ++j) {
        if (j == i) continue;
        if (IsDrawn()) with(WithInserted(without, j, list[i]));
        if (j < i || list[i] == list[j] || !IsDrawn()) continue;
        std::vector<Action> swapped = list;
        std::swap(swapped[i], swapped[j]);
        with(swapped);
      }
      for (const Action& other : Changed(list[i])) {
        if (!IsDrawn()) continue;
        std::vector<Action> changed = list;
        changed[i] = other;
        with(changed);
      }
      if (::testing::Test::HasFailure()) return;
    }
  }

  static std::vector<Action> WithInserted(std::vector<Action> list, size_t at,
                                          const Action& action) {
    list.insert(list.begin() + at, action);
    return list;
  }

  // The action with one field another.
  std::vector<Action> Changed(const Action& action) const {
    std::vector<Action> all;
    const auto add = [&](auto change) {
      all.push_back(action);
      change(all.back());
    };
    if (action.op == Op::kAgreeNorm) return all;
    for (const int by : {-1, 1}) {
      add([&](Action& a) { a.stage = StageId(a.stage.value() + by); });
      if (action.version) add([&](Action& a) { *a.version += by; });
      if (IsCompute(action.op) || IsSend(action.op) || IsReceive(action.op)) {
        add([&](Action& a) {
          a.microbatch = MicrobatchId(a.microbatch.value() + by);
        });
      }
      if (!IsSend(action.op) && !IsReceive(action.op)) continue;
      add([&](Action& a) { a.edge = EdgeId(a.edge.value() + by); });
      add([&](Action& a) { a.peer = RankId(a.peer.value() + by); });
    }
    if (!IsCompute(action.op)) return all;
    for (const Op op : {Op::kForward, Op::kBackward, Op::kBackwardInput,
                        Op::kBackwardWeight, Op::kRecompute}) {
      if (op != action.op) add([&](Action& a) { a.op = op; });
    }
    if (action.version) {
      add([](Action& a) { a.version.reset(); });
    } else {
      for (const int version : {0, 1}) {
        add([&](Action& a) { a.version = version; });
      }
    }
    if (action.op == Op::kForward) {
      add([](Action& a) { a.num_microbatches = 3 - a.num_microbatches; });
    } else {
      for (const Half half : {Half::kWhole, Half::kFirst, Half::kSecond}) {
        if (half != action.half) add([&](Action& a) { a.half = half; });
      }
    }
    return all;
  }

  const Schedule& sound_;
  const uint64_t stride_;
  const Symbols wanted_;
  uint64_t drawn_ = 0;
  int rejected_ = 0;
  int harmless_ = 0;
};

// A chain with a skip connection and, where it is carried, a tied weight.
std::vector<Edge> EdgesOf(int stages, bool tied) {
  std::vector<Edge> edges = ChainEdges(stages);
  if (stages > 1 && tied) {
    edges.push_back(
        {EdgeKind::kTiedWeight, "wte", StageId(0), StageId(stages - 1)});
  }
  if (stages > 2) {
    edges.push_back({EdgeKind::kActivation, "skip", StageId(0), StageId(2)});
  }
  return edges;
}

struct Counts {
  int schedules = 0;
  int rejected = 0;
  int harmless = 0;
};

void CheckSchedule(ScheduleRequest request, uint64_t stride, Counts* counts) {
  const absl::StatusOr<const GeneratorInfo*> info =
      FindGenerator(request.generator);
  ASSERT_TRUE(info.ok());
  const absl::StatusOr<int> stages = CountStages(
      request.generator,
      {request.num_ranks, 0, request.num_microbatches, request.parameters});
  if (!stages.ok()) return;
  const std::string& policy = (*info)->update_policy;
  request.edges = EdgesOf(*stages, policy == "flush" || policy == "vertical" ||
                                       policy == "double_buffer");
  const absl::StatusOr<Schedule> sound = MakeSchedule(request);
  if (sound.status().code() == absl::StatusCode::kInvalidArgument) return;
  ASSERT_TRUE(sound.ok()) << sound.status();
  Mutants mutants(*sound, stride);
  mutants.CheckAll();
  ++counts->schedules;
  counts->rejected += mutants.rejected();
  counts->harmless += mutants.harmless();
}

class MutationTest : public ::testing::TestWithParam<std::string> {};

TEST_P(MutationTest, EveryMutantIsRefusedOrHarmless) {
  const absl::StatusOr<const GeneratorInfo*> info = FindGenerator(GetParam());
  ASSERT_TRUE(info.ok());
  Counts counts;
  for (const Parameters& parameters : WordChoices(**info)) {
    for (const auto& [p, m, stride] :
         std::vector<std::tuple<int, int, int>>{{1, 1, 1},
                                                {1, 3, 1},
                                                {2, 1, 1},
                                                {2, 2, 1},
                                                {2, 3, 10},
                                                {3, 2, 10},
                                                {3, 3, 20},
                                                {4, 4, 100},
                                                {4, 8, 400},
                                                {2, 5, 50}}) {
      CheckSchedule({.generator = GetParam(),
                     .parameters = parameters,
                     .num_ranks = p,
                     .num_microbatches = m},
                    stride, &counts);
      if (HasFailure()) return;
    }
  }
  std::cout << counts.schedules << " schedules, " << counts.rejected
            << " mutants rejected, " << counts.harmless << " harmless\n";
  EXPECT_GT(counts.schedules, 0);
  EXPECT_GT(counts.rejected, 5 * counts.harmless);
}

std::vector<std::string> GeneratorNames() {
  std::vector<std::string> names;
  for (const GeneratorInfo& generator : Generators()) {
    names.push_back(generator.name);
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Generators, MutationTest,
                         ::testing::ValuesIn(GeneratorNames()),
                         [](const auto& info) { return info.param; });

TEST(MutationTest, ReplicatedAndRecomputedSchedules) {
  Counts counts;
  CheckSchedule({.generator = "pipedream",
                 .parameters = {{"replicas", "2,1"}},
                 .num_ranks = 3,
                 .num_microbatches = 2},
                20, &counts);
  CheckSchedule({.generator = "pipedream",
                 .parameters = {{"replicas", "2,1,1"}},
                 .num_ranks = 4,
                 .num_microbatches = 4},
                200, &counts);
  for (const char* recompute : {"always", "except_last", "0"}) {
    CheckSchedule({.generator = "one_f_one_b",
                   .num_ranks = 2,
                   .num_microbatches = 2,
                   .recompute = recompute},
                  1, &counts);
  }
  EXPECT_EQ(counts.schedules, 5);
}

// The oracle itself must tell schedules apart.
TEST(SymbolicStepTest, SchedulesOfOneModelComputeTheSameUpdate) {
  std::vector<Edge> edges = ChainEdges(3);
  edges.push_back({EdgeKind::kTiedWeight, "wte", StageId(0), StageId(2)});
  const auto symbols = [&](const char* generator, Parameters parameters,
                           int m) {
    return RunSymbolicStep(
        *MakeFlushSchedule({generator, std::move(parameters), 3, 3, m, edges}));
  };
  const Symbols naive = symbols("naive", {}, 4);
  ASSERT_TRUE(naive.has_value());
  EXPECT_EQ(naive, symbols("gpipe", {}, 4));
  EXPECT_EQ(naive, symbols("gpipe", {{"recompute", "always"}}, 4));
  EXPECT_EQ(naive, symbols("one_f_one_b", {}, 4));
  EXPECT_EQ(naive, symbols("zb_h1", {}, 4));
  // Sums in another order.
  EXPECT_NE(naive, symbols("gpipe", {{"order", "lifo"}}, 4));
  EXPECT_NE(naive, symbols("naive", {}, 3));
  edges.pop_back();
  EXPECT_NE(naive, symbols("naive", {}, 4));
}

}  // namespace
}  // namespace penstock
