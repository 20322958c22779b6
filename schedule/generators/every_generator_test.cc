// What must hold for every schedule that can be asked for.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "schedule/generators/facts.h"
#include "schedule/generators/registry.h"

namespace penstock {
namespace {

using Parameters = std::map<std::string, std::string>;

// Every combination of the words, and the first integers of the ranges.
std::vector<Parameters> Choices(const GeneratorInfo& generator) {
  std::vector<Parameters> choices = {{}};
  for (const ParameterInfo& parameter : generator.parameters) {
    std::vector<std::string> values = parameter.values;
    if (parameter.range && parameter.list == ListFor::kNothing) {
      for (int i = 0; i < 3; ++i) {
        values.push_back(absl::StrCat(parameter.range->min + i));
      }
    }
    std::vector<Parameters> longer;
    for (const Parameters& choice : choices) {
      for (const std::string& value : values) {
        longer.push_back(choice);
        longer.back()[parameter.name] = value;
      }
    }
    choices = std::move(longer);
  }
  return choices;
}

bool IsFlush(const GeneratorInfo& generator) {
  return generator.update_policy == "flush";
}

// Either there is such a schedule and it is sound, or the message says which
// there is.
TEST(EveryGeneratorTest, SmallSchedulesAreCompleteAndEnd) {
  for (const GeneratorInfo& generator : Generators()) {
    if (!IsFlush(generator)) continue;
    for (const Parameters& parameters : Choices(generator)) {
      for (int p = 1; p <= 8; ++p) {
        for (int m = 1; m <= 16; ++m) {
          const auto schedule = Generate(generator.name, {p, 0, m, parameters});
          if (schedule.ok()) {
            ASSERT_EQ(Flaw(*schedule), "")
                << generator.name << " " << p << " " << m;
            continue;
          }
          const std::string message(schedule.status().message());
          ASSERT_EQ(schedule.status().code(),
                    absl::StatusCode::kInvalidArgument);
          ASSERT_NE(message.find("nearest"), std::string::npos) << message;
        }
      }
    }
  }
}

TEST(EveryGeneratorTest, DefaultsServeEveryEvenNumberOfRanks) {
  for (const GeneratorInfo& generator : Generators()) {
    if (!IsFlush(generator)) continue;
    for (const int p : {2, 4, 6, 10, 16}) {
      for (const int m : {1, p - 1, p, 2 * p + 1, 64}) {
        const auto schedule = Generate(generator.name, {p, 0, m});
        ASSERT_TRUE(schedule.ok()) << schedule.status();
        ASSERT_EQ(Flaw(*schedule), "")
            << generator.name << " " << p << " " << m;
        ASSERT_EQ(schedule->num_microbatches, m);
        ASSERT_EQ(schedule->num_stages(),
                  *CountStages(generator.name, {p, 0, m}));
      }
    }
  }
}

}  // namespace
}  // namespace penstock
