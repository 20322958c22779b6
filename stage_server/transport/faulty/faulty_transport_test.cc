#include "stage_server/transport/faulty/faulty_transport.h"

#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stage_server/transport/conformance.h"
#include "stage_server/transport/in_process/in_process_transport.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

ConformanceSubject SubjectWith(const std::string& name, const Faults& faults) {
  return {name,
          [faults] {
            std::shared_ptr<InProcessFabric> fabric = InProcessFabric::Make();
            return [fabric, faults] {
              return MakeFaultyEndpoint(fabric->MakeEndpoint(), faults);
            };
          },
          /*notices_lost_thread=*/true};
}

// Late messages break no promise.
INSTANTIATE_TEST_SUITE_P(
    Transports, TransportConformanceTest,
    ::testing::Values(SubjectWith("faultless", {}),
                      SubjectWith("late", {.seed = 1, .delay = 0.5}),
                      SubjectWith("always_late", {.seed = 2, .delay = 1})),
    ConformanceName);

// Two connected ranks on one thread; the first has faults.
struct Pair {
  std::unique_ptr<Transport> sender;
  std::unique_ptr<Transport> receiver;
};

Pair ConnectPair(const Faults& faults,
                 const std::vector<ChannelSpec>& channels) {
  const auto fabric = InProcessFabric::Make();
  const auto first = MakeFaultyEndpoint(fabric->MakeEndpoint(), faults);
  const auto second = fabric->MakeEndpoint();
  ConnectRequest request;
  request.peers = {first->Address().value(), second->Address().value()};
  request.channels = channels;
  request.deadline = LongDeadline();
  Pair pair;
  std::thread other([&, request]() mutable {
    request.rank = RankId(1);
    pair.receiver = second->Connect(request).value();
  });
  request.rank = RankId(0);
  pair.sender = first->Connect(request).value();
  other.join();
  return pair;
}

// Steps that arrive of `count` that are sent, in the order in which they do.
std::vector<int> ArrivedOf(const Faults& faults, int count) {
  Pair pair = ConnectPair(faults, PairChannels());
  std::vector<int> arrived;
  for (int step = 0; step < count; ++step) {
    EXPECT_EQ(SendPayload(*pair.sender, kForward, step, 64), absl::OkStatus());
    std::vector<std::byte> bytes(64);
    // Only one that has come can be received; ask a fresh receive each time.
    const auto request = pair.receiver->PostReceive(
        kForward, HeaderOf(step, 0, 64), absl::MakeSpan(bytes));
    if (!request.ok()) break;
    const auto done = pair.receiver->Test(*request);
    if (!done.ok()) break;
    if (!*done) return arrived;
    arrived.push_back(step);
  }
  return arrived;
}

TEST(FaultyTransportTest, ALostMessageIsSentButDoesNotArrive) {
  EXPECT_EQ(ArrivedOf({}, 8).size(), 8u);
  EXPECT_EQ(ArrivedOf({.drop = 1}, 8).size(), 0u);
}

TEST(FaultyTransportTest, EqualSeedsLoseTheSameMessages) {
  const std::vector<int> once = ArrivedOf({.seed = 5, .drop = 0.1}, 200);
  EXPECT_EQ(once, ArrivedOf({.seed = 5, .drop = 0.1}, 200));
  EXPECT_LT(once.size(), 200u);
  EXPECT_NE(once, ArrivedOf({.seed = 9, .drop = 0.1}, 200));
}

TEST(FaultyTransportTest, TheNextMessageInPlaceOfALostOneIsDataLoss) {
  // A seed for which the first is lost and the second is not.
  for (uint64_t seed = 0;; ++seed) {
    Pair pair = ConnectPair({.seed = seed, .drop = 0.5}, PairChannels());
    ASSERT_EQ(SendPayload(*pair.sender, kForward, 1, 64), absl::OkStatus());
    std::vector<std::byte> bytes(64);
    const auto request = pair.receiver->PostReceive(
        kForward, HeaderOf(1, 0, 64), absl::MakeSpan(bytes));
    ASSERT_TRUE(request.ok());
    if (pair.receiver->Test(*request).value()) continue;
    ASSERT_EQ(SendPayload(*pair.sender, kForward, 2, 64), absl::OkStatus());
    const auto second = pair.receiver->Test(*request);
    if (second.ok()) continue;
    EXPECT_EQ(second.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(second.status().message()), HasSubstr("step 2"));
    return;
  }
}

TEST(FaultyTransportTest, ALateMessageIsOvertakenByThoseOfOtherChannels) {
  const ChannelId other(2);
  std::vector<ChannelSpec> channels = PairChannels();
  channels.push_back({other, RankId(0), RankId(1), "norm 0>1"});
  bool overtaken = false;
  for (uint64_t seed = 0; seed < 64 && !overtaken; ++seed) {
    Pair pair =
        ConnectPair({.seed = seed, .delay = 0.5, .max_delay = 1000}, channels);
    const std::vector<std::byte> bytes = PayloadOf(1, 64);
    const auto first =
        pair.sender->PostSend(kForward, HeaderOf(1, 0, 64), bytes);
    const auto second = pair.sender->PostSend(other, HeaderOf(1, 0, 64), bytes);
    ASSERT_TRUE(first.ok() && second.ok());
    overtaken = !pair.sender->Test(*first).value() &&
                pair.sender->Test(*second).value();
    if (!overtaken) continue;
    EXPECT_EQ(ReceivePayload(*pair.receiver, other, 1, 64), absl::OkStatus());
    EXPECT_EQ(pair.sender->Wait(*first, LongDeadline()), absl::OkStatus());
    EXPECT_EQ(ReceivePayload(*pair.receiver, kForward, 1, 64),
              absl::OkStatus());
  }
  EXPECT_TRUE(overtaken);
}

TEST(FaultyTransportTest, ADeadRankFailsItsOwnCallsAndIsMissedByPeers) {
  Pair pair = ConnectPair({.die_after = 2}, PairChannels());
  EXPECT_EQ(SendPayload(*pair.sender, kForward, 1, 64), absl::OkStatus());
  EXPECT_EQ(SendPayload(*pair.sender, kForward, 2, 64), absl::OkStatus());
  const absl::Status dead = SendPayload(*pair.sender, kForward, 3, 64);
  EXPECT_EQ(dead.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(StatusOfEveryCall(*pair.sender, kForward, kBackward),
              ::testing::Each(dead));
  EXPECT_EQ(ReceivePayload(*pair.receiver, kForward, 1, 64), absl::OkStatus());
  EXPECT_EQ(ReceivePayload(*pair.receiver, kForward, 2, 64), absl::OkStatus());
  const absl::Status missed = ReceivePayload(*pair.receiver, kForward, 3, 64);
  EXPECT_EQ(missed.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(missed.message()), HasSubstr("rank 0 is gone"));
}

TEST(FaultyTransportTest, AHeldSendMeetsItsDeadline) {
  Pair pair = ConnectPair({.delay = 1, .max_delay = 1 << 30}, PairChannels());
  const std::vector<std::byte> bytes(64);
  const auto request =
      pair.sender->PostSend(kForward, HeaderOf(4, 2, 64), bytes);
  ASSERT_TRUE(request.ok());
  const absl::Status status =
      pair.sender->Wait(*request, absl::Now() + absl::Milliseconds(5));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr("step 4 microbatch 2"));
}

}  // namespace
}  // namespace penstock
