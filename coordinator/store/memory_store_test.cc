#include "coordinator/store/memory_store.h"

#include "coordinator/store/conformance.h"

namespace penstock {
namespace {

INSTANTIATE_TEST_SUITE_P(Memory, StateStoreConformance,
                         ::testing::Values(StoreFactory{
                             "memory",
                             [] { return std::make_unique<MemoryStore>(); }}));

TEST(MemoryStoreTest, FailingWriteChangesNothing) {
  MemoryStore store;
  store.FailWrites(absl::ResourceExhaustedError("full"));
  EXPECT_TRUE(
      absl::IsResourceExhausted(store.Write(NewJob("a", JOB_STATE_QUEUED, 1))));
  EXPECT_TRUE(store.Load()->jobs.empty());
  store.FailWrites(absl::OkStatus());
  EXPECT_TRUE(store.Write(NewJob("a", JOB_STATE_QUEUED, 1)).ok());
}

}  // namespace
}  // namespace penstock
