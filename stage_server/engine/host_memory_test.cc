#include "stage_server/engine/host_memory.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>

namespace penstock {
namespace {

TEST(HostMemoryTest, GivesOutAgainWhatWasLetGoOf) {
  HostMemory memory;
  auto first = memory.Get(100);
  ASSERT_TRUE(first.ok()) << first.status();
  std::byte* const bytes = first->get();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes) % 64, 0u);
  std::thread([&] { first->reset(); }).join();
  EXPECT_EQ(memory.Get(100)->get(), bytes);
}

TEST(HostMemoryTest, WhatIsHeldIsNotGivenOut) {
  HostMemory memory;
  const auto first = memory.Get(100);
  const auto second = memory.Get(100);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_NE(first->get(), second->get());
}

TEST(HostMemoryTest, MoreThanTheSpareHasIsNew) {
  HostMemory memory;
  memory.Get(100)->reset();
  const auto larger = memory.Get(1 << 20);
  ASSERT_TRUE(larger.ok()) << larger.status();
  larger->get()[(1 << 20) - 1] = std::byte{1};
}

TEST(HostMemoryTest, OutlivesItsGiver) {
  std::shared_ptr<std::byte> held;
  {
    HostMemory memory;
    held = *memory.Get(100);
  }
  held.get()[99] = std::byte{1};
  held.reset();
}

TEST(HostMemoryTest, MoreThanThereIsEndsInAStatus) {
  HostMemory memory;
  const auto none = memory.Get(std::numeric_limits<int64_t>::max() / 2);
  EXPECT_EQ(none.status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace penstock
