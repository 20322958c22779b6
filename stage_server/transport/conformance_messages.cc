// What transport.h promises of messages between ranks that are well.

#include <algorithm>
#include <latch>
#include <thread>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "stage_server/transport/conformance.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Empty, tiny, on both sides of what UCX sends eagerly, and large.
constexpr size_t kSizes[] = {0, 4, 64, 2048, 2052, 9000, 70000, 1 << 20};

// Progress is made within calls only, so this calls until `done`.
void ServeUntil(std::latch& done, Transport& transport, RequestId request) {
  bool complete = false;
  while (!done.try_wait()) {
    if (!complete) complete = transport.Test(request).value_or(true);
    std::this_thread::yield();
  }
}

TEST_P(TransportConformanceTest, MessagesOfAChannelArriveInTheOrderSent) {
  constexpr int kCount = 64;
  const auto size_of = [](int i) {
    return kSizes[(i * 5) % std::size(kSizes)];
  };
  RunPair(
      [&](std::unique_ptr<Transport> transport) {
        std::vector<std::vector<std::byte>> payloads;
        std::vector<RequestId> requests;
        for (int i = 0; i < kCount; ++i) {
          payloads.push_back(PayloadOf(i, size_of(i)));
          const auto request = transport->PostSend(
              kForward, HeaderOf(i, 0, size_of(i)), payloads.back());
          ASSERT_TRUE(request.ok()) << request.status();
          requests.push_back(*request);
        }
        for (const RequestId request : requests) {
          ASSERT_EQ(transport->Wait(request, LongDeadline()), absl::OkStatus());
        }
      },
      [&](std::unique_ptr<Transport> transport) {
        for (int i = 0; i < kCount; ++i) {
          ASSERT_EQ(ReceivePayload(*transport, kForward, i, size_of(i)),
                    absl::OkStatus());
        }
      });
}

TEST_P(TransportConformanceTest, ReceivesPostedAheadMatchInOrder) {
  constexpr int kCount = 32;
  const auto size_of = [](int i) { return kSizes[i % std::size(kSizes)]; };
  std::latch posted(1);
  RunPair(
      [&](std::unique_ptr<Transport> transport) {
        posted.wait();
        for (int i = 0; i < kCount; ++i) {
          ASSERT_EQ(SendPayload(*transport, kForward, i, size_of(i)),
                    absl::OkStatus());
        }
      },
      [&](std::unique_ptr<Transport> transport) {
        std::vector<std::vector<std::byte>> buffers;
        std::vector<RequestId> requests;
        for (int i = 0; i < kCount; ++i) {
          buffers.emplace_back(size_of(i));
          const auto request =
              transport->PostReceive(kForward, HeaderOf(i, 0, size_of(i)),
                                     absl::MakeSpan(buffers.back()));
          ASSERT_TRUE(request.ok()) << request.status();
          requests.push_back(*request);
        }
        posted.count_down();
        // The last one first: the wait for it serves the others.
        for (int i = kCount - 1; i >= 0; --i) {
          ASSERT_EQ(transport->Wait(requests[i], LongDeadline()),
                    absl::OkStatus());
          ASSERT_EQ(buffers[i], PayloadOf(i, size_of(i)));
        }
      });
}

TEST_P(TransportConformanceTest, AChannelDoesNotWaitForAnother) {
  const ChannelId other(2);
  std::vector<ChannelSpec> channels = PairChannels();
  channels.push_back({other, RankId(0), RankId(1), "norm 0>1"});
  RunRanks(2, channels, [&](RankId rank, std::unique_ptr<Transport> transport) {
    if (rank == RankId(0)) {
      const std::vector<std::byte> large = PayloadOf(1, 1 << 20);
      const auto unwanted =
          transport->PostSend(kForward, HeaderOf(1, 0, large.size()), large);
      ASSERT_TRUE(unwanted.ok());
      ASSERT_EQ(SendPayload(*transport, other, 2, 64), absl::OkStatus());
      ASSERT_EQ(transport->Wait(*unwanted, LongDeadline()), absl::OkStatus());
    } else {
      ASSERT_EQ(ReceivePayload(*transport, other, 2, 64), absl::OkStatus());
      ASSERT_EQ(ReceivePayload(*transport, kForward, 1, 1 << 20),
                absl::OkStatus());
    }
  });
}

TEST_P(TransportConformanceTest, BothDirectionsRunAtOnce) {
  const auto exchange = [](ChannelId out, ChannelId in) {
    return [=](std::unique_ptr<Transport> transport) {
      for (int step = 0; step < 20; ++step) {
        const size_t size = kSizes[step % std::size(kSizes)];
        const std::vector<std::byte> sent = PayloadOf(step, size);
        const auto send =
            transport->PostSend(out, HeaderOf(step, 0, size), sent);
        ASSERT_TRUE(send.ok()) << send.status();
        ASSERT_EQ(ReceivePayload(*transport, in, step, size), absl::OkStatus());
        ASSERT_EQ(transport->Wait(*send, LongDeadline()), absl::OkStatus());
      }
    };
  };
  RunPair(exchange(kForward, kBackward), exchange(kBackward, kForward));
}

TEST_P(TransportConformanceTest, WhoWaitsForSeveralHearsOfEach) {
  constexpr int kCount = 16;
  const auto size_of = [](int i) { return kSizes[i % std::size(kSizes)]; };
  RunPair(
      [&](std::unique_ptr<Transport> transport) {
        for (int i = 0; i < kCount; ++i) {
          ASSERT_EQ(SendPayload(*transport, kForward, i, size_of(i)),
                    absl::OkStatus());
          // The other one does nothing but wait meanwhile.
          ASSERT_EQ(ReceivePayload(*transport, kBackward, i, 4),
                    absl::OkStatus());
        }
      },
      [&](std::unique_ptr<Transport> transport) {
        for (int i = 0; i < kCount; ++i) {
          std::vector<std::byte> buffer(size_of(i));
          const auto request = transport->PostReceive(
              kForward, HeaderOf(i, 0, size_of(i)), absl::MakeSpan(buffer));
          ASSERT_TRUE(request.ok()) << request.status();
          while (!*transport->Test(*request)) {
            ASSERT_EQ(transport->AwaitProgress(LongDeadline()),
                      absl::OkStatus());
          }
          ASSERT_EQ(buffer, PayloadOf(i, size_of(i)));
          ASSERT_EQ(SendPayload(*transport, kBackward, i, 4), absl::OkStatus());
        }
      });
}

TEST_P(TransportConformanceTest, WhatATestForAnotherBroughtIsProgress) {
  std::latch sent(1);
  RunPair(
      [&](std::unique_ptr<Transport> transport) {
        const std::vector<std::byte> bytes = PayloadOf(1, 64);
        const auto request =
            transport->PostSend(kForward, HeaderOf(1, 0, 64), bytes);
        ASSERT_TRUE(request.ok()) << request.status();
        sent.count_down();
        ASSERT_EQ(ReceivePayload(*transport, kBackward, 1, 4),
                  absl::OkStatus());
        ASSERT_EQ(transport->Wait(*request, LongDeadline()), absl::OkStatus());
        ASSERT_EQ(SendPayload(*transport, kForward, 2, 64), absl::OkStatus());
      },
      [&](std::unique_ptr<Transport> transport) {
        std::vector<std::byte> buffers[2] = {std::vector<std::byte>(64),
                                             std::vector<std::byte>(64)};
        RequestId requests[2];
        for (int i = 0; i < 2; ++i) {
          const auto request = transport->PostReceive(
              kForward, HeaderOf(i + 1, 0, 64), absl::MakeSpan(buffers[i]));
          ASSERT_TRUE(request.ok()) << request.status();
          requests[i] = *request;
        }
        sent.wait();
        // The first message may come while the second is asked for, and
        // nothing else comes until the first has been seen.
        while (!*transport->Test(requests[0])) {
          ASSERT_FALSE(*transport->Test(requests[1]));
          ASSERT_EQ(transport->AwaitProgress(LongDeadline()), absl::OkStatus());
        }
        ASSERT_EQ(SendPayload(*transport, kBackward, 1, 4), absl::OkStatus());
        ASSERT_EQ(transport->Wait(requests[1], LongDeadline()),
                  absl::OkStatus());
      });
}

TEST_P(TransportConformanceTest, WaitingForAnythingEndsInTime) {
  RunPair(
      [&](std::unique_ptr<Transport> transport) {
        ASSERT_EQ(ReceivePayload(*transport, kBackward, 1, 4),
                  absl::OkStatus());
        ASSERT_EQ(SendPayload(*transport, kForward, 1, 64), absl::OkStatus());
      },
      [&](std::unique_ptr<Transport> transport) {
        // Nothing comes; the transport stays usable.
        ASSERT_EQ(transport->AwaitProgress(absl::InfinitePast()),
                  absl::OkStatus());
        ASSERT_EQ(
            transport->AwaitProgress(absl::Now() + absl::Milliseconds(20)),
            absl::OkStatus());
        ASSERT_EQ(SendPayload(*transport, kBackward, 1, 4), absl::OkStatus());
        ASSERT_EQ(ReceivePayload(*transport, kForward, 1, 64),
                  absl::OkStatus());
      });
}

TEST_P(TransportConformanceTest, EveryRankReachesEveryOther) {
  constexpr int kRanks = 4;
  std::vector<ChannelSpec> channels;
  for (int from = 0; from < kRanks; ++from) {
    for (int to = 0; to < kRanks; ++to) {
      if (from == to) continue;
      channels.push_back(
          {ChannelId(from * kRanks + to), RankId(from), RankId(to), "x"});
    }
  }
  RunRanks(
      kRanks, channels, [&](RankId rank, std::unique_ptr<Transport> transport) {
        const std::vector<std::byte> own = PayloadOf(rank.value(), 4096);
        std::vector<RequestId> sends;
        for (const ChannelSpec& channel : channels) {
          if (channel.from != rank) continue;
          const auto request = transport->PostSend(
              channel.id, HeaderOf(rank.value(), 0, own.size()), own);
          ASSERT_TRUE(request.ok()) << request.status();
          sends.push_back(*request);
        }
        for (const ChannelSpec& channel : channels) {
          if (channel.to != rank) continue;
          EXPECT_EQ(ReceivePayload(*transport, channel.id, channel.from.value(),
                                   own.size()),
                    absl::OkStatus());
        }
        for (const RequestId send : sends) {
          EXPECT_EQ(transport->Wait(send, LongDeadline()), absl::OkStatus());
        }
      });
}

TEST_P(TransportConformanceTest, CarriesLargeTensors) {
  constexpr size_t kLarge = 16 << 20;
  RunPair(
      [&](std::unique_ptr<Transport> transport) {
        EXPECT_EQ(SendPayload(*transport, kForward, 3, kLarge),
                  absl::OkStatus());
      },
      [&](std::unique_ptr<Transport> transport) {
        EXPECT_EQ(ReceivePayload(*transport, kForward, 3, kLarge),
                  absl::OkStatus());
      });
}

TEST_P(TransportConformanceTest, CarriesShapesOfManyAndOfNoDimensions) {
  const MessageHeader scalar = {1, -1, DTYPE_FLOAT32, {}};
  const MessageHeader many = {1, 0, DTYPE_BFLOAT16, {1, 1, 2, 1, 1, 1, 1, 1}};
  RunPair(
      [&](std::unique_ptr<Transport> transport) {
        const std::vector<std::byte> bytes = PayloadOf(5, 4);
        for (const MessageHeader& header : {scalar, many}) {
          const auto request = transport->PostSend(kForward, header, bytes);
          ASSERT_TRUE(request.ok()) << request.status();
          EXPECT_EQ(transport->Wait(*request, LongDeadline()),
                    absl::OkStatus());
        }
      },
      [&](std::unique_ptr<Transport> transport) {
        for (const MessageHeader& header : {scalar, many}) {
          std::vector<std::byte> bytes(4);
          const auto request =
              transport->PostReceive(kForward, header, absl::MakeSpan(bytes));
          ASSERT_TRUE(request.ok()) << request.status();
          EXPECT_EQ(transport->Wait(*request, LongDeadline()),
                    absl::OkStatus());
          EXPECT_EQ(bytes, PayloadOf(5, 4));
        }
      });
}

TEST_P(TransportConformanceTest, ASendNeverWaitsForItsReceiver) {
  constexpr int kCount = 32;
  constexpr size_t kSize = 1 << 20;
  std::latch all_posted(1);
  RunPair(
      [&](std::unique_ptr<Transport> transport) {
        const std::vector<std::byte> bytes = PayloadOf(1, kSize);
        std::vector<RequestId> requests;
        for (int i = 0; i < kCount; ++i) {
          const auto request =
              transport->PostSend(kForward, HeaderOf(1, 0, kSize), bytes);
          ASSERT_TRUE(request.ok()) << request.status();
          requests.push_back(*request);
        }
        all_posted.count_down();
        for (const RequestId request : requests) {
          EXPECT_EQ(transport->Wait(request, LongDeadline()), absl::OkStatus());
        }
      },
      [&](std::unique_ptr<Transport> transport) {
        all_posted.wait();
        for (int i = 0; i < kCount; ++i) {
          EXPECT_EQ(ReceivePayload(*transport, kForward, 1, kSize),
                    absl::OkStatus());
        }
      });
}

TEST_P(TransportConformanceTest, ACompletedSendOutlivesItsTransport) {
  constexpr int kCount = 8;
  std::latch gone(1);
  RunPair(
      [&](std::unique_ptr<Transport> transport) {
        for (int i = 0; i < kCount; ++i) {
          ASSERT_EQ(SendPayload(*transport, kForward, i, 64), absl::OkStatus());
        }
        transport.reset();
        gone.count_down();
      },
      [&](std::unique_ptr<Transport> transport) {
        gone.wait();
        for (int i = 0; i < kCount; ++i) {
          EXPECT_EQ(ReceivePayload(*transport, kForward, i, 64),
                    absl::OkStatus());
        }
      });
}

TEST_P(TransportConformanceTest, TestSaysFalseUntilDoneThenForgetsTheRequest) {
  std::latch tested(1);
  RunPair(
      [&](std::unique_ptr<Transport> transport) {
        tested.wait();
        EXPECT_EQ(SendPayload(*transport, kForward, 1, 64), absl::OkStatus());
      },
      [&](std::unique_ptr<Transport> transport) {
        std::vector<std::byte> bytes(64);
        const auto request = transport->PostReceive(
            kForward, HeaderOf(1, 0, 64), absl::MakeSpan(bytes));
        ASSERT_TRUE(request.ok());
        const auto early = transport->Test(*request);
        ASSERT_TRUE(early.ok()) << early.status();
        EXPECT_FALSE(*early);
        tested.count_down();
        absl::StatusOr<bool> done = false;
        while (done.ok() && !*done) done = transport->Test(*request);
        EXPECT_EQ(done.status(), absl::OkStatus());
        EXPECT_EQ(bytes, PayloadOf(1, 64));
        EXPECT_EQ(transport->Test(*request).status().code(),
                  absl::StatusCode::kInvalidArgument);
      });
}

// The header that is sent, its bytes, and how both are named.
struct Mismatch {
  MessageHeader header;
  size_t size_bytes;
  std::string text;
};

TEST_P(TransportConformanceTest, AnotherMessageThanExpectedIsDataLoss) {
  constexpr size_t kLarge = 1 << 20;
  const MessageHeader expected = {5, 2, DTYPE_FLOAT32, {4, 16}};
  const std::vector<Mismatch> mismatches = {
      {{6, 2, DTYPE_FLOAT32, {4, 16}},
       256,
       "step 6 microbatch 2 float32[4,16]"},
      {{5, 3, DTYPE_FLOAT32, {4, 16}},
       256,
       "step 5 microbatch 3 float32[4,16]"},
      {{5, -1, DTYPE_FLOAT32, {4, 16}}, 256, "step 5 float32[4,16]"},
      {{5, 2, DTYPE_INT64, {4, 16}}, 256, "step 5 microbatch 2 int64[4,16]"},
      {{5, 2, DTYPE_FLOAT32, {16, 4}},
       256,
       "step 5 microbatch 2 float32[16,4]"},
      {{5, 2, DTYPE_FLOAT32, {4}}, 16, "step 5 microbatch 2 float32[4]"},
      {{5, 2, DTYPE_FLOAT32, {}}, 0, "step 5 microbatch 2 float32[]"},
      {{5, 2, DTYPE_FLOAT32, {4, 16}}, 252, "of 252 bytes"},
      {{5, 2, DTYPE_FLOAT32, {4, kLarge}}, 4 * kLarge, "float32[4,1048576]"},
  };
  for (const Mismatch& sent : mismatches) {
    SCOPED_TRACE(sent.text);
    std::latch judged(1);
    RunPair(
        [&](std::unique_ptr<Transport> transport) {
          const std::vector<std::byte> bytes(sent.size_bytes);
          const auto request =
              transport->PostSend(kForward, sent.header, bytes);
          ASSERT_TRUE(request.ok());
          ServeUntil(judged, *transport, *request);
        },
        [&](std::unique_ptr<Transport> transport) {
          std::vector<std::byte> bytes(256);
          const auto request =
              transport->PostReceive(kForward, expected, absl::MakeSpan(bytes));
          ASSERT_TRUE(request.ok());
          const absl::Status status = transport->Wait(*request, LongDeadline());
          judged.count_down();
          EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
          EXPECT_THAT(std::string(status.message()),
                      AllOf(HasSubstr("channel 0 (x 0>1) from rank 0"),
                            HasSubstr("expected step 5 microbatch 2 "
                                      "float32[4,16] of 256 bytes"),
                            HasSubstr(sent.text)));
        });
  }
}

TEST_P(TransportConformanceTest, ASmallMessageForALargeBufferIsDataLoss) {
  std::latch judged(1);
  RunPair(
      [&](std::unique_ptr<Transport> transport) {
        const std::vector<std::byte> bytes(64);
        const auto request =
            transport->PostSend(kForward, HeaderOf(1, 0, 64), bytes);
        ASSERT_TRUE(request.ok());
        ServeUntil(judged, *transport, *request);
      },
      [&](std::unique_ptr<Transport> transport) {
        std::vector<std::byte> bytes(1 << 20);
        const auto request = transport->PostReceive(
            kForward, HeaderOf(1, 0, 1 << 20), absl::MakeSpan(bytes));
        ASSERT_TRUE(request.ok());
        EXPECT_EQ(transport->Wait(*request, LongDeadline()).code(),
                  absl::StatusCode::kDataLoss);
        judged.count_down();
      });
}

}  // namespace
}  // namespace penstock
