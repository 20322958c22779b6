#include "client/job_file/job_file_page.h"

#include "base/file.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

TEST(JobFilePageTest, DocsHoldWhatTheTableSays) {
  const absl::StatusOr<std::string> page = ReadFile("docs/job_file.md");
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(*page, JobFilePage())
      << "make it again: bazel run //client/job_file:write_page -- "
         "\"$PWD/docs/job_file.md\"";
}

}  // namespace
}  // namespace penstock
