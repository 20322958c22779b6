// What holds for every schedule of the registry, at every small size.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "schedule/generators/registry.h"
#include "schedule/generators/word_choices.h"
#include "schedule/lowering/insert_recompute.h"
#include "schedule/lowering/lower.h"
#include "schedule/lowering/rich_edges.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

using Parameters = std::map<std::string, std::string>;

void ExpectSound(const Schedule& schedule, bool lowered) {
  const std::vector<Violation> violations =
      Verify(schedule, {.lowered = lowered});
  ASSERT_TRUE(violations.empty()) << SoundOrError(schedule, violations);
}

void ExpectSoundAfterEveryPass(Schedule schedule) {
  schedule.edges = RichEdges(schedule);
  ExpectSound(schedule, /*lowered=*/false);
  const absl::StatusOr<Schedule> lowered = Lower(schedule);
  ASSERT_TRUE(lowered.ok()) << lowered.status();
  ExpectSound(*lowered, /*lowered=*/true);
  const absl::StatusOr<Schedule> recomputed =
      InsertRecompute(schedule, *ParseRecomputePolicy("always"));
  if (!recomputed.ok()) return;  // the generator's own parameter did it
  ExpectSound(*recomputed, /*lowered=*/false);
  const absl::StatusOr<Schedule> both = Lower(*recomputed);
  ASSERT_TRUE(both.ok()) << both.status();
  ExpectSound(*both, /*lowered=*/true);
}

class EveryScheduleTest : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryScheduleTest, VerifiesAfterEveryLoweringAtEverySize) {
  const absl::StatusOr<const GeneratorInfo*> info = FindGenerator(GetParam());
  ASSERT_TRUE(info.ok());
  int made = 0;
  for (const Parameters& parameters : WordChoices(**info)) {
    for (int p = 1; p <= 8; ++p) {
      for (int m = 1; m <= 16; ++m) {
        absl::StatusOr<Schedule> schedule =
            Generate(GetParam(), {p, 0, m, parameters});
        if (!schedule.ok()) {
          ASSERT_EQ(schedule.status().code(),
                    absl::StatusCode::kInvalidArgument);
          continue;
        }
        ++made;
        ExpectSoundAfterEveryPass(*std::move(schedule));
        if (HasFatalFailure()) {
          FAIL() << GetParam() << " p " << p << " m " << m;
        }
      }
    }
  }
  EXPECT_GE(made, 32);
}

std::vector<std::string> GeneratorNames() {
  std::vector<std::string> names;
  for (const GeneratorInfo& generator : Generators()) {
    names.push_back(generator.name);
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Generators, EveryScheduleTest,
                         ::testing::ValuesIn(GeneratorNames()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace penstock
