#include "stage_server/transport/ucx/ucx_transport.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <limits>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "stage_server/transport/channel_table.h"
#include "stage_server/transport/transport_errors.h"
#include "stage_server/transport/ucx/file_descriptor.h"
#include "stage_server/transport/ucx/operation.h"
#include "stage_server/transport/ucx/ucx_part.h"
#include "stage_server/transport/ucx/ucx_peers.h"
#include "stage_server/transport/ucx/wire.h"

namespace penstock {
namespace {

// Of the 100 ms that destroying may take, what sends get to leave.
constexpr absl::Duration kFlush = absl::Milliseconds(40);
// How often a caller that connects is asked whether to go on.
constexpr absl::Duration kConnectSlice = absl::Milliseconds(20);
// What is looked after once in so many calls.
constexpr uint64_t kTestsPerLookAround = 256;
constexpr int kProgressPerClock = 16;

// Why a transport has ended; wakes the one that waits on `fd`. Thread-safe.
class Ending {
 public:
  explicit Ending(FileDescriptor event) : event_(std::move(event)) {}

  // The first one counts; returns that one.
  absl::Status End(absl::Status why) ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      MutexLock lock(&mutex_);
      if (!has_ended_.load(std::memory_order_relaxed)) why_ = std::move(why);
      has_ended_.store(true, std::memory_order_release);
      why = why_;
    }
    const uint64_t one = 1;
    // It can only fail when it is readable already.
    (void)!write(event_.value(), &one, sizeof one);
    return why;
  }

  bool has_ended() const { return has_ended_.load(std::memory_order_acquire); }
  absl::Status why() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return why_;
  }
  int fd() const { return event_.value(); }

 private:
  const FileDescriptor event_;
  std::atomic<bool> has_ended_ = false;
  mutable Mutex mutex_;
  absl::Status why_ ABSL_GUARDED_BY(mutex_);
};

// `deadline` on the clock of MonotonicNanos.
int64_t MonotonicDeadline(absl::Time deadline) {
  const absl::Duration left = deadline - SystemClock().Now();
  if (left > absl::Hours(24 * 365)) return std::numeric_limits<int64_t>::max();
  if (left <= absl::ZeroDuration()) return 0;
  return MonotonicNanos() + absl::ToInt64Nanoseconds(left);
}

class UcxTransport : public Transport {
 public:
  UcxTransport(int64_t job_epoch, absl::Duration spin, ChannelTable channels,
               FileDescriptor event, std::unique_ptr<UcxPeers> peers)
      : job_epoch_(job_epoch),
        spin_nanos_(absl::ToInt64Nanoseconds(spin)),
        channels_(std::move(channels)),
        ending_(std::move(event)),
        peers_(std::move(peers)) {}

  ~UcxTransport() override {
    operations_.AbandonAll();
    peers_->Close(ending_.has_ended() ? absl::ZeroDuration() : kFlush);
  }

  absl::StatusOr<RequestId> PostSend(
      ChannelId channel, const MessageHeader& header,
      absl::Span<const std::byte> bytes) override {
    if (ending_.has_ended()) return ending_.why();
    const auto spec = channels_.Outgoing(channel);
    if (!spec.ok()) return ending_.End(spec.status());
    PENSTOCK_RETURN_IF_ERROR(CheckDimensions(**spec, header));
    const OperationTable::Entry entry = operations_.Add();
    entry.operation->PostSend(job_epoch_, **spec, peers_->Get((*spec)->to),
                              header, bytes);
    return entry.id;
  }

  absl::StatusOr<RequestId> PostReceive(ChannelId channel,
                                        const MessageHeader& expected,
                                        absl::Span<std::byte> buffer) override {
    if (ending_.has_ended()) return ending_.why();
    const auto spec = channels_.Incoming(channel);
    if (!spec.ok()) return ending_.End(spec.status());
    PENSTOCK_RETURN_IF_ERROR(CheckDimensions(**spec, expected));
    const OperationTable::Entry entry = operations_.Add();
    entry.operation->PostReceive(job_epoch_, **spec, peers_->Get((*spec)->from),
                                 expected, buffer);
    return entry.id;
  }

  absl::StatusOr<bool> Test(RequestId request) override {
    if (ending_.has_ended()) return ending_.why();
    Operation* operation = operations_.Find(request);
    if (operation == nullptr) return ending_.End(UnknownRequest(request));
    has_moved_ |= peers_->Progress();
    if (++num_tests_ % kTestsPerLookAround == 0) LookAround();
    return Check(request, *operation);
  }

  absl::Status Wait(RequestId request, absl::Time deadline) override {
    PENSTOCK_ASSIGN_OR_RETURN(bool done, Test(request));
    if (done) return absl::OkStatus();
    Operation& operation = *operations_.Find(request);
    // Most messages are there before a look at the clock would be over.
    bool moved = false;
    PENSTOCK_ASSIGN_OR_RETURN(done, Poll(request, operation, &moved));
    if (done) return absl::OkStatus();
    const int64_t until = MonotonicDeadline(deadline);
    while (true) {
      PENSTOCK_ASSIGN_OR_RETURN(done, Spin(request, operation, until));
      if (done) return absl::OkStatus();
      const int64_t now = MonotonicNanos();
      if (now >= until) return ending_.End(operation.DeadlinePassed());
      LookAround();
      const absl::Status slept =
          peers_->Sleep(ending_.fd(), absl::Nanoseconds(until - now));
      if (!slept.ok()) return ending_.End(slept);
    }
  }

  absl::Status AwaitProgress(absl::Time until) override {
    if (ending_.has_ended()) return ending_.why();
    if (std::exchange(has_moved_, false)) return absl::OkStatus();
    const int64_t until_nanos = MonotonicDeadline(until);
    const int64_t start = MonotonicNanos();
    int64_t now = start;
    do {
      for (int i = 0; i < kProgressPerClock; ++i) {
        if (peers_->Progress()) return absl::OkStatus();
      }
      if (ending_.has_ended()) return ending_.why();
      now = MonotonicNanos();
    } while (now < until_nanos && now - start < spin_nanos_);
    if (now >= until_nanos) return absl::OkStatus();
    LookAround();
    const absl::Status slept =
        peers_->Sleep(ending_.fd(), absl::Nanoseconds(until_nanos - now));
    if (!slept.ok()) return ending_.End(slept);
    return ending_.has_ended() ? ending_.why() : absl::OkStatus();
  }

  void Cancel(absl::Status why) override {
    ending_.End(std::move(why)).IgnoreError();
  }

  int64_t num_stale_messages() const override { return num_stale_; }

 private:
  absl::Status CheckDimensions(const ChannelSpec& channel,
                               const MessageHeader& header) {
    if (header.shape.size() <= kMaxDimensions) return absl::OkStatus();
    return ending_.End(absl::InvalidArgumentError(absl::StrCat(
        ToString(channel), ": ", ToString(header), " has ", header.shape.size(),
        " dimensions, at most ", kMaxDimensions, " can be sent")));
  }

  absl::StatusOr<bool> Check(RequestId request, Operation& operation) {
    const absl::StatusOr<bool> done = operation.Check();
    if (!done.ok()) return ending_.End(done.status());
    if (*done) operations_.Remove(request);
    return done;
  }

  // Makes progress a few times, until the request is complete (true). Sets
  // `moved` if anything moved.
  absl::StatusOr<bool> Poll(RequestId request, Operation& operation,
                            bool* moved) {
    for (int i = 0; i < kProgressPerClock; ++i) {
      *moved |= peers_->Progress();
      has_moved_ |= *moved;
      if (ending_.has_ended()) return ending_.why();
      const absl::StatusOr<bool> done = Check(request, operation);
      if (!done.ok() || *done) return done;
    }
    return false;
  }

  // Makes progress until the request is complete (true) or nothing has moved
  // for as long as this transport spins, or until the deadline (false).
  absl::StatusOr<bool> Spin(RequestId request, Operation& operation,
                            int64_t until) {
    int64_t moved_at = MonotonicNanos();
    int64_t now = moved_at;
    do {
      bool moved = false;
      const absl::StatusOr<bool> done = Poll(request, operation, &moved);
      if (!done.ok() || *done) return done;
      now = MonotonicNanos();
      if (moved) moved_at = now;
    } while (now < until && now - moved_at < spin_nanos_);
    return false;
  }

  void LookAround() {
    peers_->NoticeEndedProcesses();
    num_stale_ += peers_->DropStaleMessages(job_epoch_);
  }

  const int64_t job_epoch_;
  const int64_t spin_nanos_;
  const ChannelTable channels_;
  Ending ending_;
  // Before the peers, whose workers use their bytes.
  OperationTable operations_;
  const std::unique_ptr<UcxPeers> peers_;
  uint64_t num_tests_ = 0;
  int64_t num_stale_ = 0;
  // Since AwaitProgress last returned.
  bool has_moved_ = false;
};

// The greetings of one channel, one in each direction.
struct GreetingExchange {
  const ChannelSpec* channel = nullptr;
  UcxPeer* peer = nullptr;
  Greeting own;
  Greeting other;
  UcxPart send;
  UcxPart receive;
  bool is_checked = false;
};

template <typename T>
absl::Span<std::byte> BytesOf(T& object) {
  return {reinterpret_cast<std::byte*>(&object), sizeof object};
}

class UcxEndpoint : public TransportEndpoint {
 public:
  UcxEndpoint(UcxOptions options, FileDescriptor event,
              std::unique_ptr<UcxPeers> peers)
      : options_(std::move(options)),
        event_(std::move(event)),
        peers_(std::move(peers)) {}

  absl::StatusOr<TransportAddress> Address() override {
    return peers_->Address(options_.host_identity);
  }

  absl::StatusOr<std::unique_ptr<Transport>> Connect(
      const ConnectRequest& request) override {
    PENSTOCK_ASSIGN_OR_RETURN(channels_, ChannelTable::Make(request));
    PENSTOCK_RETURN_IF_ERROR(PostGreetings(request));
    if (const absl::Status status = AwaitGreetings(request); !status.ok()) {
      // Peers are told by our greetings what is wrong, if these leave.
      if (absl::IsPermissionDenied(status)) AwaitSends();
      return status;
    }
    return std::make_unique<UcxTransport>(request.job_epoch, options_.spin,
                                          std::move(channels_),
                                          std::move(event_), std::move(peers_));
  }

 private:
  absl::Status PostGreetings(const ConnectRequest& request) {
    exchanges_.resize(channels_.own_channels().size());
    auto exchange = exchanges_.begin();
    for (const ChannelSpec& channel : channels_.own_channels()) {
      if (channel.id.value() < 0 || channel.id.value() > kMaxWireChannel) {
        return absl::InvalidArgumentError(absl::StrCat(
            ToString(channel), ": channels are numbered from 0 to ",
            kMaxWireChannel));
      }
      const RankId rank = channels_.PeerOf(channel);
      PENSTOCK_RETURN_IF_ERROR(peers_->Connect(rank, options_.host_identity,
                                               request.peers[rank.value()]));
      UcxPeer& peer = peers_->Get(rank);
      exchange->channel = &channel;
      exchange->peer = &peer;
      exchange->own = {GreetingProof(request.epoch_secret, request.job_epoch,
                                     channel.id, channels_.rank()),
                       getpid(), peers_->process_namespace()};
      const uint64_t tag =
          WireTag(request.job_epoch, channel.id, WireKind::kGreeting);
      exchange->receive = UcxPart::Receive(peer.worker->handle(),
                                           BytesOf(exchange->other), tag);
      exchange->send =
          UcxPart::Send(peer.endpoint, BytesOf(exchange->own), tag);
      ++exchange;
    }
    return absl::OkStatus();
  }

  absl::Status AwaitGreetings(const ConnectRequest& request) {
    while (true) {
      while (peers_->Progress()) {
      }
      const GreetingExchange* missing = nullptr;
      for (GreetingExchange& exchange : exchanges_) {
        PENSTOCK_RETURN_IF_ERROR(CheckGreeting(exchange, request));
        if (!exchange.is_checked) missing = &exchange;
      }
      if (missing == nullptr) return absl::OkStatus();
      if (request.interrupted) PENSTOCK_RETURN_IF_ERROR(request.interrupted());
      const absl::Duration left = request.deadline - SystemClock().Now();
      if (left <= absl::ZeroDuration()) {
        return ConnectDeadlinePassed(missing->peer->rank, *missing->channel);
      }
      PENSTOCK_RETURN_IF_ERROR(
          peers_->Sleep(event_.value(), std::min(left, kConnectSlice)));
    }
  }

  absl::Status CheckGreeting(GreetingExchange& exchange,
                             const ConnectRequest& request) {
    if (exchange.is_checked) return absl::OkStatus();
    UcxPeer& peer = *exchange.peer;
    if (!exchange.receive.IsDone() || !exchange.send.IsDone()) {
      return peer.status();
    }
    for (const UcxPart* part : {&exchange.receive, &exchange.send}) {
      if (part->status() == UCS_OK) continue;
      PENSTOCK_RETURN_IF_ERROR(peer.status());
      return PeerGone(peer.rank, ucs_status_string(part->status()));
    }
    const bool knows_secret =
        exchange.receive.size_bytes() == sizeof(Greeting) &&
        exchange.other.proof == GreetingProof(request.epoch_secret,
                                              request.job_epoch,
                                              exchange.channel->id, peer.rank);
    if (!knows_secret) return WrongSecret(peer.rank, *exchange.channel);
    peers_->WatchProcess(peer, exchange.other);
    exchange.is_checked = true;
    return absl::OkStatus();
  }

  void AwaitSends() {
    const int64_t until = MonotonicNanos() + absl::ToInt64Nanoseconds(kFlush);
    bool all_left = false;
    while (!all_left && MonotonicNanos() < until) {
      peers_->Progress();
      all_left = std::all_of(
          exchanges_.begin(), exchanges_.end(),
          [](GreetingExchange& exchange) { return exchange.send.IsDone(); });
    }
    peers_->Close(kFlush);
  }

  const UcxOptions options_;
  FileDescriptor event_;
  ChannelTable channels_;
  // Before the peers, whose workers use its bytes.
  std::vector<GreetingExchange> exchanges_;
  std::unique_ptr<UcxPeers> peers_;
};

}  // namespace

absl::Duration SpinFor(int num_ranks, int num_cores) {
  return num_ranks > num_cores ? absl::ZeroDuration() : UcxOptions().spin;
}

absl::StatusOr<std::unique_ptr<TransportEndpoint>> MakeUcxEndpoint(
    const UcxOptions& options) {
  FileDescriptor event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.is_open()) return ErrnoStatus(errno, "eventfd", "a transport");
  PENSTOCK_ASSIGN_OR_RETURN(std::unique_ptr<UcxPeers> peers,
                            UcxPeers::Make(options.interface));
  return std::make_unique<UcxEndpoint>(options, std::move(event),
                                       std::move(peers));
}

}  // namespace penstock
