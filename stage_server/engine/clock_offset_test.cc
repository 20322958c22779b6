#include "stage_server/engine/clock_offset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "schedule/ir/text_format.h"
#include "stage_server/transport/in_process/in_process_transport.h"

namespace penstock {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(10);

ChannelMap ChannelsOfRanks(int ranks) {
  std::string text =
      "penstock-schedule 1\nname by_hand\nmicrobatches 1\nplacement";
  for (int rank = 0; rank < ranks; ++rank) absl::StrAppend(&text, " r", rank);
  for (int rank = 0; rank < ranks; ++rank) {
    absl::StrAppend(&text, "\nr", rank, ": N");
  }
  return ChannelMap::Of(*ParseSchedule(absl::StrCat(text, "\n")));
}

TEST(ClockOffsetTest, AClockThatIsAheadHasANegativeOffset) {
  // Ahead by 1000; 30 on the way there, 30 back, 5 in between.
  const ClockSample sample = ClockOffset::SampleOf(1000, 30, 35, 1065);
  EXPECT_EQ(sample.offset_nanos, -1000);
  EXPECT_EQ(sample.round_trip_nanos, 60);
}

TEST(ClockOffsetTest, WaitingAtRankZeroIsNoPartOfTheRoundTrip) {
  const ClockSample sample = ClockOffset::SampleOf(0, 500 + 30, 900 + 30, 460);
  EXPECT_EQ(sample.offset_nanos, 500);
  EXPECT_EQ(sample.round_trip_nanos, 60);
}

TEST(ClockOffsetTest, RanksOfOneProcessHaveTheSameClock) {
  constexpr int kRanks = 3;
  const ChannelMap channels = ChannelsOfRanks(kRanks);
  auto transports = *ConnectInProcess(kRanks, channels.channels());
  std::vector<std::thread> threads;
  std::vector<ClockSample> samples(kRanks);
  for (int rank = 0; rank < kRanks; ++rank) {
    threads.emplace_back([&, rank] {
      ClockOffset offset(RankId(rank), kRanks, channels);
      EXPECT_EQ(offset.best().round_trip_nanos, 0);
      for (int step = 1; step <= 20; ++step) {
        const absl::Status status = offset.Exchange(
            step, *transports[rank], SystemClock().Now() + kLimit);
        ASSERT_TRUE(status.ok()) << status;
      }
      samples[rank] = offset.best();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(samples[0].offset_nanos, 0);
  EXPECT_EQ(samples[0].round_trip_nanos, 0);
  for (int rank = 1; rank < kRanks; ++rank) {
    EXPECT_GT(samples[rank].round_trip_nanos, 0);
    EXPECT_LE(2 * std::abs(samples[rank].offset_nanos),
              samples[rank].round_trip_nanos + 1);
  }
}

TEST(ClockOffsetTest, ARankThatDoesNotComeIsADeadlineExceeded) {
  const ChannelMap channels = ChannelsOfRanks(2);
  auto transports = *ConnectInProcess(2, channels.channels());
  ClockOffset offset(RankId(1), 2, channels);
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      offset.Exchange(1, *transports[1], absl::InfinitePast())));
}

TEST(ClockOffsetTest, AnEpochOfOneRankExchangesNothing) {
  const ChannelMap channels = ChannelsOfRanks(1);
  auto transports = *ConnectInProcess(1, channels.channels());
  ClockOffset offset(RankId(0), 1, channels);
  EXPECT_TRUE(offset.Exchange(1, *transports[0], absl::InfinitePast()).ok());
}

}  // namespace
}  // namespace penstock
