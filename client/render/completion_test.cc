#include "client/render/completion.h"

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

std::vector<CommandNode> Commands() {
  return {{"penstock",
           {{"list", "List the jobs"}, {"local", "It's here"}},
           {"--help", "-h", "--coordinator"}},
          {"penstock list", {}, {"--all", "-a"}},
          {"penstock local", {{"run", "Run"}}, {"--help"}},
          {"penstock local run", {}, {"--stages"}}};
}

// Runs `line` in bash after the completion script and returns its output.
std::string InBash(const std::string& line) {
  const std::string path =
      absl::StrCat(::testing::TempDir(), "/completion_test.bash");
  const absl::Status written = WriteFileAtomically(
      path, absl::StrCat(BashCompletion(Commands()), line, "\n"));
  EXPECT_TRUE(written.ok()) << written;
  FILE* const pipe = popen(absl::StrCat("bash ", path, " 2>&1").c_str(), "r");
  std::string output;
  char buffer[256];
  while (fgets(buffer, sizeof(buffer), pipe) != nullptr) output += buffer;
  EXPECT_EQ(pclose(pipe), 0);
  return output;
}

TEST(BashCompletionTest, CompletesCommandsAndFlags) {
  const auto complete = [](const std::string& words, int current) {
    return InBash(absl::StrCat("COMP_WORDS=(", words, "); COMP_CWORD=", current,
                               "; _penstock; echo \"${COMPREPLY[*]}\""));
  };
  EXPECT_EQ(complete("penstock l", 1), "list local\n");
  EXPECT_EQ(complete("penstock local r", 2), "run\n");
  EXPECT_EQ(complete("penstock local run --", 3), "--stages\n");
  EXPECT_EQ(complete("penstock list -", 2), "--all -a\n");
}

TEST(ZshCompletionTest, HoldsEveryCommand) {
  const std::string script = ZshCompletion(Commands());
  EXPECT_THAT(script, HasSubstr("#compdef penstock"));
  EXPECT_THAT(script, HasSubstr("'penstock local run')"));
}

TEST(FishCompletionTest, QuotesDescriptions) {
  const std::string script = FishCompletion(Commands());
  EXPECT_THAT(script, HasSubstr("-f -a list -d 'List the jobs'"));
  EXPECT_THAT(script, HasSubstr("-d 'It'\\''s here'"));
  EXPECT_THAT(script, HasSubstr("'__fish_seen_subcommand_from local; and "
                                "__fish_seen_subcommand_from run' -l stages"));
}

}  // namespace
}  // namespace penstock
