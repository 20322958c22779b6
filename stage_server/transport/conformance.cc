#include "stage_server/transport/conformance.h"

#include <latch>
#include <thread>

#include "absl/time/clock.h"
#include "base/mutex.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

// Gathers every rank's address and hands all of them to each.
class AddressBook {
 public:
  explicit AddressBook(int num_ranks) : addresses_(num_ranks) {}

  std::vector<TransportAddress> Exchange(RankId rank, TransportAddress own)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    addresses_[rank.value()] = std::move(own);
    ++num_known_;
    all_known_.SignalAll();
    while (num_known_ < addresses_.size()) all_known_.Wait(&mutex_);
    return addresses_;
  }

 private:
  Mutex mutex_;
  CondVar all_known_;
  size_t num_known_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<TransportAddress> addresses_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::vector<absl::Status> TransportConformanceTest::ConnectRanks(
    int num_ranks, const std::vector<ChannelSpec>& channels,
    const std::function<void(ConnectRequest&)>& adjust,
    const RankBody& body) const {
  AddressBook book(num_ranks);
  // A failed endpoint stays until all have an answer.
  std::latch answered(num_ranks);
  std::vector<absl::Status> statuses(num_ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < num_ranks; ++rank) {
    threads.emplace_back([&, rank = RankId(rank)] {
      const std::unique_ptr<TransportEndpoint> endpoint = MakeEndpoint();
      const auto address = endpoint->Address();
      ASSERT_TRUE(address.ok()) << address.status();
      ConnectRequest request;
      request.job_epoch = 7;
      request.rank = rank;
      request.epoch_secret = "secret of epoch 7";
      request.peers = book.Exchange(rank, *address);
      request.channels = channels;
      request.deadline = LongDeadline();
      adjust(request);
      auto transport = endpoint->Connect(request);
      statuses[rank.value()] = transport.status();
      answered.arrive_and_wait();
      if (transport.ok()) body(rank, *std::move(transport));
    });
  }
  for (std::thread& thread : threads) thread.join();
  return statuses;
}

void TransportConformanceTest::RunRanks(
    int num_ranks, const std::vector<ChannelSpec>& channels,
    const RankBody& body) const {
  const std::vector<absl::Status> statuses = ConnectRanks(
      num_ranks, channels, [](ConnectRequest&) {}, body);
  for (const absl::Status& status : statuses)
    ASSERT_TRUE(status.ok()) << status;
}

void TransportConformanceTest::RunPair(
    const std::function<void(std::unique_ptr<Transport>)>& first,
    const std::function<void(std::unique_ptr<Transport>)>& second) const {
  RunRanks(2, PairChannels(),
           [&](RankId rank, std::unique_ptr<Transport> transport) {
             (rank == RankId(0) ? first : second)(std::move(transport));
           });
}

std::vector<ChannelSpec> PairChannels() {
  return {{kForward, RankId(0), RankId(1), "x 0>1"},
          {kBackward, RankId(1), RankId(0), "x 1>0"}};
}

absl::Time LongDeadline() { return absl::Now() + absl::Seconds(30); }

MessageHeader HeaderOf(int64_t step, int microbatch, size_t size_bytes) {
  return {step,
          microbatch,
          DTYPE_FLOAT32,
          {static_cast<int64_t>(size_bytes / sizeof(float))}};
}

std::vector<std::byte> PayloadOf(int64_t sequence, size_t size_bytes) {
  std::vector<std::byte> bytes(size_bytes);
  for (size_t i = 0; i < size_bytes; ++i) {
    bytes[i] = static_cast<std::byte>(sequence * 131 + i * 7 + (i >> 8));
  }
  return bytes;
}

absl::Status SendPayload(Transport& transport, ChannelId channel, int64_t step,
                         size_t size_bytes) {
  const std::vector<std::byte> bytes = PayloadOf(step, size_bytes);
  PENSTOCK_ASSIGN_OR_RETURN(
      const RequestId request,
      transport.PostSend(channel, HeaderOf(step, 0, size_bytes), bytes));
  return transport.Wait(request, LongDeadline());
}

absl::Status ReceivePayload(Transport& transport, ChannelId channel,
                            int64_t step, size_t size_bytes) {
  std::vector<std::byte> bytes(size_bytes);
  PENSTOCK_ASSIGN_OR_RETURN(
      const RequestId request,
      transport.PostReceive(channel, HeaderOf(step, 0, size_bytes),
                            absl::MakeSpan(bytes)));
  PENSTOCK_RETURN_IF_ERROR(transport.Wait(request, LongDeadline()));
  if (bytes != PayloadOf(step, size_bytes)) {
    return absl::InternalError("the bytes are not those that were sent");
  }
  return absl::OkStatus();
}

std::vector<absl::Status> StatusOfEveryCall(Transport& transport,
                                            ChannelId outgoing,
                                            ChannelId incoming) {
  std::vector<std::byte> bytes(4);
  return {
      transport.PostSend(outgoing, HeaderOf(1, 0, 4), bytes).status(),
      transport.PostReceive(incoming, HeaderOf(1, 0, 4), absl::MakeSpan(bytes))
          .status(),
      transport.Test(0).status(),
      transport.Wait(0, LongDeadline()),
      transport.AwaitProgress(LongDeadline()),
  };
}

}  // namespace penstock
