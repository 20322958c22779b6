#include "coordinator/store/memory_store.h"

#include "coordinator/store/conformance.h"

namespace penstock {
namespace {

INSTANTIATE_TEST_SUITE_P(Memory, StateStoreConformance,
                         ::testing::Values(StoreFactory{
                             "memory",
                             [] { return std::make_unique<MemoryStore>(); }}));

}  // namespace
}  // namespace penstock
