// What transport.h promises when something goes wrong.

#include <algorithm>
#include <latch>
#include <thread>

#include "absl/time/clock.h"
#include "base/clock.h"
#include "gmock/gmock.h"
#include "stage_server/transport/conformance.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Each;
using ::testing::HasSubstr;

constexpr int64_t kHundredMillis = 100'000'000;

// Long enough for a waiter to have stopped spinning.
void LetWaiterBlock() {
  const int64_t begin = MonotonicNanos();
  while (MonotonicNanos() - begin < 2'000'000) std::this_thread::yield();
}

// Posts a receive for which nothing is ever sent.
RequestId PostHopeless(Transport& transport, std::vector<std::byte>& buffer) {
  buffer.resize(64);
  const auto request = transport.PostReceive(kForward, HeaderOf(9, 4, 64),
                                             absl::MakeSpan(buffer));
  EXPECT_TRUE(request.ok()) << request.status();
  return request.value_or(-1);
}

TEST_P(TransportConformanceTest, AWaitEndsAtItsDeadlineAndSaysForWhat) {
  std::latch done(1);
  RunPair([&](std::unique_ptr<Transport>) { done.wait(); },
          [&](std::unique_ptr<Transport> transport) {
            std::vector<std::byte> buffer;
            const RequestId request = PostHopeless(*transport, buffer);
            const absl::Time deadline = absl::Now() + absl::Milliseconds(20);
            const absl::Status status = transport->Wait(request, deadline);
            EXPECT_GE(absl::Now(), deadline);
            EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
            EXPECT_THAT(std::string(status.message()),
                        AllOf(HasSubstr("channel 0 (x 0>1)"),
                              HasSubstr("step 9 microbatch 4")));
            EXPECT_THAT(StatusOfEveryCall(*transport, kBackward, kForward),
                        Each(status));
            done.count_down();
          });
}

TEST_P(TransportConformanceTest, ADeadlineInThePastStillTests) {
  std::latch done(1);
  RunPair(
      [&](std::unique_ptr<Transport> transport) {
        EXPECT_EQ(SendPayload(*transport, kForward, 1, 64), absl::OkStatus());
        EXPECT_EQ(SendPayload(*transport, kForward, 2, 64), absl::OkStatus());
        done.wait();
      },
      [&](std::unique_ptr<Transport> transport) {
        std::vector<std::byte> first(64), second(64), hopeless;
        const auto one = transport->PostReceive(kForward, HeaderOf(1, 0, 64),
                                                absl::MakeSpan(first));
        ASSERT_TRUE(one.ok());
        const auto two = transport->PostReceive(kForward, HeaderOf(2, 0, 64),
                                                absl::MakeSpan(second));
        ASSERT_TRUE(two.ok());
        EXPECT_EQ(transport->Wait(*two, LongDeadline()), absl::OkStatus());
        EXPECT_EQ(transport->Wait(*one, absl::InfinitePast()),
                  absl::OkStatus());
        EXPECT_EQ(
            transport
                ->Wait(PostHopeless(*transport, hopeless), absl::InfinitePast())
                .code(),
            absl::StatusCode::kDeadlineExceeded);
        done.count_down();
      });
}

TEST_P(TransportConformanceTest, CancelWakesAWaiterWithin100Milliseconds) {
  // The median of the rounds, for machines that do other work as well.
  std::vector<int64_t> nanos;
  for (int round = 0; round < 5; ++round) {
    std::latch done(1);
    RunPair([&](std::unique_ptr<Transport>) { done.wait(); },
            [&](std::unique_ptr<Transport> transport) {
              std::vector<std::byte> buffer;
              const RequestId request = PostHopeless(*transport, buffer);
              int64_t cancelled = 0;
              std::thread canceller([&] {
                LetWaiterBlock();
                cancelled = MonotonicNanos();
                transport->Cancel(absl::AbortedError("epoch 7 is over"));
              });
              const absl::Status status =
                  transport->Wait(request, LongDeadline());
              const int64_t woken = MonotonicNanos();
              canceller.join();
              nanos.push_back(woken - cancelled);
              EXPECT_EQ(status, absl::AbortedError("epoch 7 is over"));
              done.count_down();
            });
  }
  ASSERT_EQ(nanos.size(), 5u);
  std::sort(nanos.begin(), nanos.end());
  EXPECT_LT(nanos[2], kHundredMillis);
}

TEST_P(TransportConformanceTest, TheFirstCancelCountsForEveryLaterCall) {
  RunPair([](std::unique_ptr<Transport>) {},
          [](std::unique_ptr<Transport> transport) {
            const absl::Status first = absl::AbortedError("first");
            transport->Cancel(first);
            transport->Cancel(absl::InternalError("second"));
            EXPECT_THAT(StatusOfEveryCall(*transport, kBackward, kForward),
                        Each(first));
          });
}

TEST_P(TransportConformanceTest, AChannelOfOthersIsRefused) {
  const ChannelId elsewhere(2);
  std::vector<ChannelSpec> channels = PairChannels();
  channels.push_back({elsewhere, RankId(0), RankId(2), "x 0>2"});
  channels.push_back({ChannelId(3), RankId(2), RankId(0), "x 2>0"});
  std::vector<std::byte> bytes(4);
  for (const ChannelId wrong : {kForward, elsewhere, ChannelId(77)}) {
    SCOPED_TRACE(wrong.value());
    RunRanks(
        3, channels, [&](RankId rank, std::unique_ptr<Transport> transport) {
          if (rank != RankId(1)) return;
          const absl::Status status =
              transport->PostSend(wrong, HeaderOf(1, 0, 4), bytes).status();
          EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
          EXPECT_THAT(std::string(status.message()),
                      AllOf(HasSubstr("rank 1 cannot send on channel"),
                            HasSubstr(std::to_string(wrong.value()))));
          EXPECT_THAT(StatusOfEveryCall(*transport, kBackward, kForward),
                      Each(status));
        });
  }
  RunPair([](std::unique_ptr<Transport>) {},
          [&](std::unique_ptr<Transport> transport) {
            EXPECT_EQ(transport
                          ->PostReceive(kBackward, HeaderOf(1, 0, 4),
                                        absl::MakeSpan(bytes))
                          .status()
                          .code(),
                      absl::StatusCode::kInvalidArgument);
          });
}

TEST_P(TransportConformanceTest, DestroyingNeedsNoPeerAndTouchesNoBufferLater) {
  constexpr size_t kSize = 1 << 20;
  constexpr std::byte kUntouched{0xA5};
  std::latch destroyed(1), sent(1);
  RunPair(
      [&](std::unique_ptr<Transport> transport) {
        destroyed.wait();
        const std::vector<std::byte> small(64), large(kSize);
        // Whether they can still be posted is the implementation's affair.
        (void)transport->PostSend(kForward, HeaderOf(1, 0, 64), small);
        const auto last =
            transport->PostSend(kForward, HeaderOf(2, 0, kSize), large);
        if (last.ok()) (void)transport->Test(*last);
        transport.reset();
        sent.count_down();
      },
      [&](std::unique_ptr<Transport> transport) {
        std::vector<std::byte> small(64, kUntouched), large(kSize, kUntouched);
        std::vector<std::byte> unsent(kSize);
        ASSERT_TRUE(transport
                        ->PostReceive(kForward, HeaderOf(1, 0, 64),
                                      absl::MakeSpan(small))
                        .ok());
        ASSERT_TRUE(transport
                        ->PostReceive(kForward, HeaderOf(2, 0, kSize),
                                      absl::MakeSpan(large))
                        .ok());
        ASSERT_TRUE(
            transport->PostSend(kBackward, HeaderOf(1, 0, kSize), unsent).ok());
        transport.reset();
        unsent.assign(kSize, kUntouched);
        destroyed.count_down();
        sent.wait();
        EXPECT_THAT(small, Each(kUntouched));
        EXPECT_EQ(std::count(large.begin(), large.end(), kUntouched),
                  static_cast<int64_t>(kSize));
      });
}

TEST_P(TransportConformanceTest, DestroyingTakesAtMost100Milliseconds) {
  std::vector<int64_t> nanos;
  for (int round = 0; round < 5; ++round) {
    std::latch done(1);
    RunPair(
        [&](std::unique_ptr<Transport>) { done.wait(); },
        [&](std::unique_ptr<Transport> transport) {
          std::vector<std::byte> buffer, unsent(1 << 20);
          PostHopeless(*transport, buffer);
          for (int i = 0; i < 8; ++i) {
            ASSERT_TRUE(
                transport
                    ->PostSend(kBackward, HeaderOf(1, 0, unsent.size()), unsent)
                    .ok());
          }
          const int64_t begin = MonotonicNanos();
          transport.reset();
          nanos.push_back(MonotonicNanos() - begin);
          done.count_down();
        });
  }
  ASSERT_EQ(nanos.size(), 5u);
  std::sort(nanos.begin(), nanos.end());
  EXPECT_LT(nanos[2], kHundredMillis);
}

TEST_P(TransportConformanceTest, AnotherEpochSecretIsRefused) {
  const std::vector<absl::Status> statuses = ConnectRanks(
      2, PairChannels(),
      [](ConnectRequest& request) {
        if (request.rank == RankId(1)) request.epoch_secret = "guessed";
        request.deadline = absl::Now() + absl::Seconds(10);
      },
      [](RankId, std::unique_ptr<Transport>) {});
  EXPECT_EQ(statuses[0].code(), absl::StatusCode::kPermissionDenied)
      << statuses[0];
  EXPECT_THAT(std::string(statuses[0].message()), HasSubstr("rank 1"));
  EXPECT_THAT(std::string(statuses[0].message()),
              ::testing::Not(HasSubstr("guessed")));
  EXPECT_EQ(statuses[1].code(), absl::StatusCode::kPermissionDenied)
      << statuses[1];
}

TEST_P(TransportConformanceTest, APeerThatDoesNotConnectIsNamed) {
  std::latch done(1);
  const std::vector<absl::Status> statuses = ConnectRanks(
      3,
      {{ChannelId(0), RankId(0), RankId(1), "x"},
       {ChannelId(1), RankId(0), RankId(2), "x"}},
      [](ConnectRequest& request) {
        // It connects, but none of its channels.
        if (request.rank == RankId(2)) request.channels.clear();
        request.deadline = absl::Now() + absl::Milliseconds(300);
      },
      [](RankId, std::unique_ptr<Transport>) {});
  EXPECT_THAT(statuses[0].code(), AnyOf(absl::StatusCode::kDeadlineExceeded,
                                        absl::StatusCode::kUnavailable));
  EXPECT_THAT(std::string(statuses[0].message()), HasSubstr("rank 2"));
}

TEST_P(TransportConformanceTest, APeerThatIsGoneBeforeConnectIsNamed) {
  const auto endpoint = MakeEndpoint();
  auto own = endpoint->Address();
  ASSERT_TRUE(own.ok()) << own.status();
  absl::StatusOr<TransportAddress> gone;
  std::thread([&] { gone = MakeEndpoint()->Address(); }).join();
  ASSERT_TRUE(gone.ok()) << gone.status();
  ConnectRequest request;
  request.rank = RankId(0);
  request.peers = {*own, *gone};
  request.channels = PairChannels();
  request.deadline = absl::Now() + absl::Milliseconds(500);
  const absl::Status status = endpoint->Connect(request).status();
  EXPECT_THAT(status.code(), AnyOf(absl::StatusCode::kDeadlineExceeded,
                                   absl::StatusCode::kUnavailable))
      << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("rank 1"));
}

TEST_P(TransportConformanceTest, AnInterruptEndsConnect) {
  const std::vector<absl::Status> statuses = ConnectRanks(
      2, PairChannels(),
      [](ConnectRequest& request) {
        if (request.rank == RankId(1)) request.channels.clear();
        int asked = 0;
        request.interrupted = [asked]() mutable -> absl::Status {
          if (++asked < 3) return absl::OkStatus();
          return absl::CancelledError("the job was cancelled");
        };
      },
      [](RankId, std::unique_ptr<Transport>) {});
  EXPECT_EQ(statuses[0], absl::CancelledError("the job was cancelled"));
}

TEST_P(TransportConformanceTest, ConnectRefusesChannelsThatMakeNoSense) {
  const std::vector<absl::Status> statuses = ConnectRanks(
      2, {{ChannelId(0), RankId(0), RankId(5), "x 0>5"}},
      [](ConnectRequest&) {}, [](RankId, std::unique_ptr<Transport>) {});
  EXPECT_EQ(statuses[0].code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(statuses[0].message()), HasSubstr("x 0>5"));
}

TEST_P(TransportConformanceTest, ALostPeerIsNamed) {
  if (!GetParam().notices_lost_thread) {
    GTEST_SKIP() << "notices the loss of processes only";
  }
  RunPair(
      [](std::unique_ptr<Transport>) {},
      [](std::unique_ptr<Transport> transport) {
        std::vector<std::byte> buffer;
        const absl::Status status =
            transport->Wait(PostHopeless(*transport, buffer), LongDeadline());
        EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
        EXPECT_THAT(std::string(status.message()), HasSubstr("rank 0 is gone"));
        EXPECT_THAT(StatusOfEveryCall(*transport, kBackward, kForward),
                    Each(status));
      });
}

// Rank 0 of epoch 6 has been told the address of rank 1 of epoch 7 and speaks
// to it; rank 1 of epoch 6 is there only to greet it.
class StaleSender {
 public:
  StaleSender(std::unique_ptr<TransportEndpoint> zero,
              std::unique_ptr<TransportEndpoint> one)
      : zero_(std::move(zero)), one_(std::move(one)) {}

  // Connects rank 0 of epoch 6, its sends going to `victim`.
  std::unique_ptr<Transport> Connect(const TransportAddress& victim) {
    ConnectRequest request;
    request.job_epoch = 6;
    request.epoch_secret = "secret of epoch 6";
    request.channels = PairChannels();
    request.deadline = LongDeadline();
    request.peers = {zero_->Address().value(), one_->Address().value()};
    // Rank 1 stays until rank 0 has its greeting.
    std::latch greeted(1);
    std::thread greeter([&, request]() mutable {
      request.rank = RankId(1);
      request.interrupted = [&greeted]() -> absl::Status {
        if (!greeted.try_wait()) return absl::OkStatus();
        return absl::CancelledError("has greeted");
      };
      (void)one_->Connect(request);
    });
    request.rank = RankId(0);
    request.peers[1] = victim;
    auto transport = zero_->Connect(request);
    greeted.count_down();
    greeter.join();
    EXPECT_TRUE(transport.ok()) << transport.status();
    return transport.ok() ? *std::move(transport) : nullptr;
  }

 private:
  const std::unique_ptr<TransportEndpoint> zero_;
  const std::unique_ptr<TransportEndpoint> one_;
};

TEST_P(TransportConformanceTest, MessagesOfAnotherEpochAreDroppedAndCounted) {
  StaleSender stale(MakeEndpoint(), MakeEndpoint());
  std::latch have_address(1), stale_sent(1);
  TransportAddress victim;
  std::thread stale_thread([&] {
    have_address.wait();
    const std::unique_ptr<Transport> transport = stale.Connect(victim);
    ASSERT_NE(transport, nullptr);
    // Were it not for the epoch, this would be taken for step 1.
    const absl::Status sent = SendPayload(*transport, kForward, 1, 64);
    EXPECT_EQ(sent, absl::OkStatus());
    stale_sent.count_down();
  });
  const std::vector<absl::Status> statuses = ConnectRanks(
      2, PairChannels(),
      [&](ConnectRequest& request) {
        if (request.rank != RankId(1)) return;
        victim = request.peers[1];
        have_address.count_down();
      },
      [&](RankId rank, std::unique_ptr<Transport> transport) {
        stale_sent.wait();
        if (rank == RankId(0)) {
          EXPECT_EQ(SendPayload(*transport, kForward, 1, 64), absl::OkStatus());
          EXPECT_EQ(transport->num_stale_messages(), 0);
          return;
        }
        EXPECT_EQ(ReceivePayload(*transport, kForward, 1, 64),
                  absl::OkStatus());
        // At least its greetings and its message.
        absl::StatusOr<bool> done = false;
        std::vector<std::byte> buffer;
        const RequestId hopeless = PostHopeless(*transport, buffer);
        while (done.ok() && transport->num_stale_messages() < 3) {
          done = transport->Test(hopeless);
        }
        EXPECT_GE(transport->num_stale_messages(), 3);
      });
  stale_thread.join();
  EXPECT_THAT(statuses, Each(absl::OkStatus()));
}

}  // namespace
}  // namespace penstock
