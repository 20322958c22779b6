#include "stage_server/transport/faulty/faulty_transport.h"

#include <deque>
#include <map>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "stage_server/transport/channel_table.h"
#include "stage_server/transport/transport_errors.h"

namespace penstock {
namespace {

enum class Draw : uint64_t { kDrop, kDelay, kTurns };

class FaultyTransport : public Transport {
 public:
  FaultyTransport(ChannelTable channels, std::unique_ptr<Transport> inner,
                  const Faults& faults)
      : faults_(faults),
        channels_(std::move(channels)),
        inner_(std::move(inner)) {}

  absl::StatusOr<RequestId> PostSend(
      ChannelId channel, const MessageHeader& header,
      absl::Span<const std::byte> bytes) override {
    PENSTOCK_RETURN_IF_ERROR(ended());
    const auto spec = channels_.Outgoing(channel);
    if (!spec.ok()) return End(spec.status());
    if (faults_.die_after.has_value() && num_sent_ >= *faults_.die_after) {
      return Die();
    }
    ++num_sent_;
    const uint64_t number = num_sent_on_[channel]++;
    const RequestId id = next_request_++;
    if (Chance(Draw::kDrop, channel, number) < faults_.drop) {
      requests_[id] = {"send", *spec, header, Stage::kDone};
      return id;
    }
    int64_t release = turn_;
    if (Chance(Draw::kDelay, channel, number) < faults_.delay) {
      release +=
          1 + static_cast<int64_t>(Chance(Draw::kTurns, channel, number) *
                                   faults_.max_delay);
    }
    requests_[id] = {"send", *spec, header, Stage::kHeld};
    held_[channel].push_back({id, bytes, release});
    PENSTOCK_RETURN_IF_ERROR(ReleaseDue());
    return id;
  }

  absl::StatusOr<RequestId> PostReceive(ChannelId channel,
                                        const MessageHeader& expected,
                                        absl::Span<std::byte> buffer) override {
    PENSTOCK_RETURN_IF_ERROR(ended());
    const auto spec = channels_.Incoming(channel);
    if (!spec.ok()) return End(spec.status());
    const auto request = inner_->PostReceive(channel, expected, buffer);
    if (!request.ok()) return End(request.status());
    requests_[next_request_] = {"receive", *spec, expected, Stage::kInner,
                                *request};
    return next_request_++;
  }

  absl::StatusOr<bool> Test(RequestId id) override {
    PENSTOCK_RETURN_IF_ERROR(ended());
    ++turn_;
    PENSTOCK_RETURN_IF_ERROR(ReleaseDue());
    const auto it = requests_.find(id);
    if (it == requests_.end()) return End(UnknownRequest(id));
    if (it->second.stage == Stage::kHeld) return false;
    if (it->second.stage == Stage::kInner) {
      const absl::StatusOr<bool> done = inner_->Test(it->second.inner);
      if (!done.ok()) return End(done.status());
      if (!*done) return false;
    }
    requests_.erase(it);
    return true;
  }

  absl::Status Wait(RequestId id, absl::Time deadline) override {
    while (true) {
      PENSTOCK_ASSIGN_OR_RETURN(const bool done, Test(id));
      if (done) return absl::OkStatus();
      const auto it = requests_.find(id);
      if (num_held() == 0) {
        const absl::Status status = inner_->Wait(it->second.inner, deadline);
        requests_.erase(it);
        return status.ok() ? status : End(status);
      }
      if (SystemClock().Now() >= deadline) {
        return End(DeadlinePassed(it->second.verb, *it->second.channel,
                                  it->second.header));
      }
      std::this_thread::yield();
    }
  }

  absl::Status AwaitProgress(absl::Time until) override {
    PENSTOCK_RETURN_IF_ERROR(ended());
    if (num_held() > 0) {
      ++turn_;
      std::this_thread::yield();
      return ReleaseDue();
    }
    const absl::Status status = inner_->AwaitProgress(until);
    return status.ok() ? status : End(status);
  }

  void Cancel(absl::Status why) override {
    MutexLock lock(&mutex_);
    if (ended_.ok()) ended_ = why;
    if (inner_ != nullptr) inner_->Cancel(std::move(why));
  }

  int64_t num_stale_messages() const override {
    return inner_ == nullptr ? 0 : inner_->num_stale_messages();
  }

 private:
  enum class Stage { kHeld, kInner, kDone };

  struct Request {
    const char* verb = "send";
    const ChannelSpec* channel = nullptr;
    MessageHeader header;
    Stage stage = Stage::kDone;
    // Set when it is with the inner transport.
    RequestId inner = -1;
  };

  struct Held {
    RequestId id;
    absl::Span<const std::byte> bytes;
    int64_t release;
  };

  // Uniform in [0, 1).
  double Chance(Draw what, ChannelId channel, uint64_t number) const {
    const uint64_t bits = RandomKey(
        faults_.seed, {static_cast<uint64_t>(what),
                       static_cast<uint64_t>(channel.value()), number});
    return static_cast<double>(bits >> 11) / 9007199254740992.0;  // 2^53
  }

  absl::Status ReleaseDue() {
    for (auto& [channel, queue] : held_) {
      while (!queue.empty() && queue.front().release <= turn_) {
        Request& request = requests_.at(queue.front().id);
        const auto inner =
            inner_->PostSend(channel, request.header, queue.front().bytes);
        if (!inner.ok()) return End(inner.status());
        request.stage = Stage::kInner;
        request.inner = *inner;
        queue.pop_front();
      }
    }
    return absl::OkStatus();
  }

  size_t num_held() const {
    size_t count = 0;
    for (const auto& [channel, queue] : held_) count += queue.size();
    return count;
  }

  absl::Status Die() {
    const absl::Status why =
        End(PeerGone(channels_.rank(), "it died, as its faults say"));
    std::unique_ptr<Transport> inner;
    {
      MutexLock lock(&mutex_);
      inner = std::move(inner_);
    }
    return why;
  }

  absl::Status End(absl::Status why) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    if (ended_.ok()) ended_ = std::move(why);
    return ended_;
  }

  absl::Status ended() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return ended_;
  }

  const Faults faults_;
  const ChannelTable channels_;
  mutable Mutex mutex_;
  absl::Status ended_ ABSL_GUARDED_BY(mutex_);
  // Replaced under the lock, for Cancel; used without it by the one thread
  // that may replace it.
  std::unique_ptr<Transport> inner_;
  int64_t turn_ = 0;
  int64_t num_sent_ = 0;
  std::map<ChannelId, uint64_t> num_sent_on_;
  RequestId next_request_ = 0;
  std::map<RequestId, Request> requests_;
  std::map<ChannelId, std::deque<Held>> held_;
};

class FaultyEndpoint : public TransportEndpoint {
 public:
  FaultyEndpoint(std::unique_ptr<TransportEndpoint> inner, const Faults& faults)
      : faults_(faults), inner_(std::move(inner)) {}

  absl::StatusOr<TransportAddress> Address() override {
    return inner_->Address();
  }

  absl::StatusOr<std::unique_ptr<Transport>> Connect(
      const ConnectRequest& request) override {
    PENSTOCK_ASSIGN_OR_RETURN(ChannelTable channels,
                              ChannelTable::Make(request));
    PENSTOCK_ASSIGN_OR_RETURN(std::unique_ptr<Transport> transport,
                              inner_->Connect(request));
    return std::make_unique<FaultyTransport>(std::move(channels),
                                             std::move(transport), faults_);
  }

 private:
  const Faults faults_;
  const std::unique_ptr<TransportEndpoint> inner_;
};

}  // namespace

std::unique_ptr<TransportEndpoint> MakeFaultyEndpoint(
    std::unique_ptr<TransportEndpoint> inner, const Faults& faults) {
  return std::make_unique<FaultyEndpoint>(std::move(inner), faults);
}

}  // namespace penstock
