// docs/schedules.md names every schedule of the registry, so that the gallery
// cannot fall behind.

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gtest/gtest.h"
#include "schedule/generators/registry.h"

namespace penstock {
namespace {

std::string Page() {
  const absl::StatusOr<std::string> page = ReadFile("docs/schedules.md");
  EXPECT_TRUE(page.ok()) << page.status();
  return page.ok() ? *page : "";
}

// The page's text about the schedule; empty if it has none.
std::string SectionOf(const std::string& page, const std::string& name) {
  const std::string heading = absl::StrCat("\n### ", name, "\n");
  const size_t begin = page.find(heading);
  if (begin == std::string::npos) return "";
  const size_t end = page.find("\n##", begin + heading.size());
  return page.substr(begin, end - begin);
}

TEST(SchedulesPageTest, EverySchedulesSectionIsComplete) {
  const std::string page = Page();
  for (const GeneratorInfo& generator : Generators()) {
    const std::string section = SectionOf(page, generator.name);
    ASSERT_FALSE(section.empty()) << "no section ### " << generator.name;
    for (const std::string& want :
         {absl::StrCat("<!-- picture ", generator.name, " "),
          std::string("* Source: "), std::string("* Take it ")}) {
      EXPECT_TRUE(absl::StrContains(section, want))
          << generator.name << ": " << want;
    }
    for (const ParameterInfo& parameter : generator.parameters) {
      EXPECT_TRUE(
          absl::StrContains(section, absl::StrCat("`", parameter.name, "`")))
          << generator.name << ": parameter " << parameter.name;
      for (const std::string& value : parameter.values) {
        EXPECT_TRUE(absl::StrContains(section, absl::StrCat("`", value, "`")) ||
                    absl::StrContains(section, absl::StrCat("=", value, "`")))
            << generator.name << ": " << parameter.name << "=" << value;
      }
    }
    if (generator.update_policy != "flush") {
      EXPECT_TRUE(absl::StrContains(
          section, absl::StrCat("Policy `", generator.update_policy, "`")))
          << generator.name;
    }
  }
}

TEST(SchedulesPageTest, FlushAndContinuousStandUnderTheirHeadings) {
  const std::string page = Page();
  const size_t continuous = page.find("\n## Continuous schedules\n");
  ASSERT_NE(continuous, std::string::npos);
  for (const GeneratorInfo& generator : Generators()) {
    const size_t place = page.find(absl::StrCat("\n### ", generator.name));
    EXPECT_EQ(generator.update_policy == "flush", place < continuous)
        << generator.name;
  }
}

}  // namespace
}  // namespace penstock
