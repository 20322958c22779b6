#include "client/interrupt.h"

#include <optional>
#include <thread>

#include "gtest/gtest.h"

namespace penstock {
namespace {

TEST(InterruptTest, WaitEndsWithATrip) {
  Interrupt interrupt;
  std::thread other([&] { interrupt.Trip(); });
  EXPECT_TRUE(interrupt.WaitFor(absl::InfiniteDuration()));
  other.join();
  EXPECT_EQ(interrupt.count(), 1);
}

TEST(InterruptTest, WaitWithoutATripTimesOut) {
  Interrupt interrupt;
  EXPECT_FALSE(interrupt.WaitFor(absl::Milliseconds(1)));
  interrupt.Trip();
  EXPECT_TRUE(interrupt.WaitFor(absl::ZeroDuration()));
  EXPECT_FALSE(interrupt.WaitFor(absl::Milliseconds(1), /*seen=*/1));
}

TEST(InterruptTest, CallbackRunsAtEachTripUntilItsRegistrationGoes) {
  Interrupt interrupt;
  int calls = 0;
  {
    const auto registration = interrupt.OnTrip([&] { ++calls; });
    interrupt.Trip();
    interrupt.Trip();
  }
  interrupt.Trip();
  EXPECT_EQ(calls, 2);
}

TEST(InterruptTest, CallbackAfterATripRunsAtOnce) {
  Interrupt interrupt;
  interrupt.Trip();
  int calls = 0;
  const auto registration = interrupt.OnTrip([&] { ++calls; });
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace penstock
