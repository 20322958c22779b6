#include "stage_server/service/host_facts.h"

#include <unistd.h>

#include "gtest/gtest.h"

namespace penstock {
namespace {

TEST(FactsOfHostTest, AreThoseOfThisMachineAndProcess) {
  const HostFacts facts = FactsOfHost(::testing::TempDir());
  char name[256] = {};
  ASSERT_EQ(gethostname(name, sizeof(name) - 1), 0);
  EXPECT_EQ(facts.hostname(), name);
  EXPECT_EQ(facts.kernel().substr(0, 6), "Linux ");
  EXPECT_EQ(facts.process_id(), getpid());
  EXPECT_GT(facts.disk_free_bytes(), 0);
  EXPECT_LE(facts.shared_memory_free_bytes(), facts.shared_memory_size_bytes());
}

TEST(FactsOfHostTest, KnowTheDiskOfAFolderThatIsNotThereYet) {
  EXPECT_GT(
      FactsOfHost(::testing::TempDir() + "/not/there/yet").disk_free_bytes(),
      0);
}

}  // namespace
}  // namespace penstock
