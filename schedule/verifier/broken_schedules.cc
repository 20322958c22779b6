#include "schedule/verifier/broken_schedules.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/text_format.h"
#include "schedule/verifier/verify.h"

namespace penstock {

const char kPipedreamText[] = R"(penstock-schedule 1
name by_hand
microbatches 1
policy stash
placement r0 r1
versions 1/1 1/0
edge activation h 0>1
prologue
r0: 0F0@0 0SF0[h>r1] 0F1@0 0SF1[h>r1] 0RB0[h<r1] 0B0@0 0U@1
r1: 1RF0[h<r0] 1F0@0 1B0@0 1SB0[h>r0] 1U@1
period
r0: 0F2@1 0SF2[h>r1] 0RB1[h<r1] 0B1@0 0U@2
r1: 1RF1[h<r0] 1F1@1 1B1@1 1SB1[h>r0] 1U@2
epilogue
r0: 0RB1[h<r1] 0B1@0 0U@2
r1: 1RF1[h<r0] 1F1@1 1B1@1 1SB1[h>r0] 1U@2
)";

Schedule ReadSchedule(const std::string& text) {
  const absl::StatusOr<Schedule> schedule = ParseSchedule(text);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return schedule.value_or(Schedule());
}

std::string Edited(std::string text, const Edits& edits) {
  size_t at = 0;
  for (const auto& [from, to] : edits) {
    at = text.find(from, at);
    EXPECT_NE(at, std::string::npos) << from;
    if (at == std::string::npos) return text;
    text.replace(at, from.size(), to);
    at += to.size();
  }
  return text;
}

std::vector<std::string> Lines(const std::vector<Violation>& violations) {
  std::vector<std::string> lines;
  for (const Violation& v : violations) {
    lines.push_back(absl::StrCat(v.rule, " r", v.rank.value(), "@", v.position,
                                 ": ", v.message));
  }
  return lines;
}

void ExpectFound(const Broken& broken) {
  const Schedule schedule = ReadSchedule(Edited(broken.base, broken.edits));
  EXPECT_THAT(Lines(Verify(schedule)),
              ::testing::Contains(::testing::HasSubstr(broken.line)));
}

}  // namespace penstock
