#include "stage_server/service/host_memory.h"

#include <gtest/gtest.h>

namespace penstock {
namespace {

TEST(TotalMemoryBytesTest, AreThoseOfTheTotalLine) {
  EXPECT_EQ(TotalMemoryBytes("MemTotal:       16319908 kB\n"
                             "MemFree:         1000000 kB\n"),
            int64_t{16319908} * 1024);
  EXPECT_EQ(TotalMemoryBytes("MemFree: 5 kB\nMemTotal: 7 kB"), 7 * 1024);
}

TEST(TotalMemoryBytesTest, AreNotKnownWhereTheTextSaysNothing) {
  EXPECT_EQ(TotalMemoryBytes(""), 0);
  EXPECT_EQ(TotalMemoryBytes("MemTotal:\n"), 0);
  EXPECT_EQ(TotalMemoryBytes("MemTotal: much kB\n"), 0);
}

}  // namespace
}  // namespace penstock
