#include "stage_server/transport/in_process/in_process_transport.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "stage_server/transport/channel_table.h"
#include "stage_server/transport/in_process/inbox.h"
#include "stage_server/transport/transport_errors.h"

namespace penstock {
namespace {

constexpr char kAddressKind[] = "in_process";
constexpr absl::string_view kDestroyed = "its endpoint was destroyed";

// The inboxes of one fabric by address. Thread-safe.
class Directory {
 public:
  std::pair<std::string, std::shared_ptr<Inbox>> Add()
      ABSL_LOCKS_EXCLUDED(mutex_) {
    auto inbox = std::make_shared<Inbox>();
    MutexLock lock(&mutex_);
    std::string address = absl::StrCat(inboxes_.size());
    inboxes_[address] = inbox;
    return {std::move(address), std::move(inbox)};
  }

  // Null when there never was one.
  std::shared_ptr<Inbox> Find(const std::string& address) const
      ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    const auto it = inboxes_.find(address);
    return it == inboxes_.end() ? nullptr : it->second;
  }

 private:
  mutable Mutex mutex_;
  std::map<std::string, std::shared_ptr<Inbox>> inboxes_
      ABSL_GUARDED_BY(mutex_);
};

// Closes its inbox at the end, so that peers notice.
class OwnInbox {
 public:
  explicit OwnInbox(std::shared_ptr<Inbox> inbox) : inbox_(std::move(inbox)) {}
  OwnInbox(OwnInbox&&) = default;
  ~OwnInbox() {
    if (inbox_ != nullptr) inbox_->Close();
  }
  Inbox* operator->() const { return inbox_.get(); }

 private:
  std::shared_ptr<Inbox> inbox_;
};

class InProcessTransport : public Transport {
 public:
  InProcessTransport(int64_t epoch, ChannelTable channels, OwnInbox inbox,
                     std::map<RankId, std::shared_ptr<Inbox>> peers)
      : epoch_(epoch),
        channels_(std::move(channels)),
        inbox_(std::move(inbox)),
        peers_(std::move(peers)) {}

  ~InProcessTransport() override {
    for (const auto& [rank, peer] : peers_) {
      peer->Leave(epoch_, channels_.rank());
    }
  }

  absl::StatusOr<RequestId> PostSend(
      ChannelId channel, const MessageHeader& header,
      absl::Span<const std::byte> bytes) override {
    PENSTOCK_RETURN_IF_ERROR(inbox_->ended());
    const auto spec = channels_.Outgoing(channel);
    if (!spec.ok()) return Ended(spec.status());
    const absl::Status sent =
        peers_.at((*spec)->to)
            ->Deliver(
                epoch_, channel,
                {header, std::vector<std::byte>(bytes.begin(), bytes.end())});
    if (!sent.ok()) return Ended(PeerGone((*spec)->to, sent.message()));
    done_.insert(next_request_);
    return next_request_++;
  }

  absl::StatusOr<RequestId> PostReceive(ChannelId channel,
                                        const MessageHeader& expected,
                                        absl::Span<std::byte> buffer) override {
    PENSTOCK_RETURN_IF_ERROR(inbox_->ended());
    const auto spec = channels_.Incoming(channel);
    if (!spec.ok()) return Ended(spec.status());
    posted_[channel].push_back({next_request_, expected, buffer});
    channel_of_[next_request_] = *spec;
    return next_request_++;
  }

  absl::StatusOr<bool> Test(RequestId request) override {
    PENSTOCK_RETURN_IF_ERROR(inbox_->ended());
    return Advance(request, absl::InfinitePast());
  }

  absl::Status Wait(RequestId request, absl::Time deadline) override {
    PENSTOCK_RETURN_IF_ERROR(inbox_->ended());
    PENSTOCK_ASSIGN_OR_RETURN(const bool done, Advance(request, deadline));
    if (done) return absl::OkStatus();
    return Ended(DeadlinePassed("receive", *channel_of_.at(request),
                                ExpectedBy(request)));
  }

  absl::Status AwaitProgress(absl::Time until) override {
    if (std::exchange(has_moved_, false)) return inbox_->ended();
    return inbox_->AwaitChange(until);
  }

  void Cancel(absl::Status why) override { inbox_->End(std::move(why)); }

  int64_t num_stale_messages() const override { return inbox_->num_stale(); }

 private:
  struct PostedReceive {
    RequestId request;
    MessageHeader expected;
    absl::Span<std::byte> buffer;
  };

  // Ends the transport with `why`, or with the reason that came before.
  absl::Status Ended(absl::Status why) {
    inbox_->End(std::move(why));
    return inbox_->ended();
  }

  // Serves the receives of the request's channel, oldest first, until the
  // request is complete (true) or the deadline has passed (false).
  absl::StatusOr<bool> Advance(RequestId request, absl::Time deadline) {
    while (done_.erase(request) == 0) {
      const auto it = channel_of_.find(request);
      if (it == channel_of_.end()) return Ended(UnknownRequest(request));
      const ChannelSpec& channel = *it->second;
      auto message = inbox_->TakeMessage(channel.id, channel.from, deadline);
      if (!message.ok()) return Ended(message.status());
      if (!message->has_value()) return false;
      PENSTOCK_RETURN_IF_ERROR(Receive(channel, **message));
    }
    return true;
  }

  absl::Status Receive(const ChannelSpec& channel,
                       const InProcessMessage& message) {
    std::deque<PostedReceive>& posted = posted_[channel.id];
    const PostedReceive receive = posted.front();
    posted.pop_front();
    const absl::Status check =
        CheckMessage(channel, {receive.expected, receive.buffer.size()},
                     {message.header, message.bytes.size()});
    if (!check.ok()) return Ended(check);
    std::copy(message.bytes.begin(), message.bytes.end(),
              receive.buffer.begin());
    channel_of_.erase(receive.request);
    done_.insert(receive.request);
    has_moved_ = true;
    return absl::OkStatus();
  }

  const MessageHeader& ExpectedBy(RequestId request) const {
    const std::deque<PostedReceive>& posted =
        posted_.at(channel_of_.at(request)->id);
    return std::find_if(posted.begin(), posted.end(),
                        [&](const PostedReceive& receive) {
                          return receive.request == request;
                        })
        ->expected;
  }

  const int64_t epoch_;
  const ChannelTable channels_;
  OwnInbox inbox_;
  const std::map<RankId, std::shared_ptr<Inbox>> peers_;
  RequestId next_request_ = 0;
  std::set<RequestId> done_;
  // Of the receives that are not done.
  std::map<ChannelId, std::deque<PostedReceive>> posted_;
  std::map<RequestId, const ChannelSpec*> channel_of_;
  // Since AwaitProgress last returned.
  bool has_moved_ = false;
};

class InProcessEndpoint : public TransportEndpoint {
 public:
  explicit InProcessEndpoint(std::shared_ptr<Directory> directory)
      : InProcessEndpoint(directory, directory->Add()) {}

  absl::StatusOr<TransportAddress> Address() override {
    return TransportAddress{kAddressKind, {{kAddressKind, address_}}};
  }

  absl::StatusOr<std::unique_ptr<Transport>> Connect(
      const ConnectRequest& request) override {
    PENSTOCK_RETURN_IF_ERROR(Greet(request));
    return AwaitGreetings(request);
  }

  // Connect's first half, which waits for nobody.
  absl::Status Greet(const ConnectRequest& request) {
    PENSTOCK_ASSIGN_OR_RETURN(channels_, ChannelTable::Make(request));
    inbox_->Enter(request.job_epoch);
    for (const ChannelSpec& channel : channels_.own_channels()) {
      const RankId peer = channels_.PeerOf(channel);
      const auto& addresses = request.peers[peer.value()].addresses;
      const auto address = addresses.find(kAddressKind);
      std::shared_ptr<Inbox> inbox = address == addresses.end()
                                         ? nullptr
                                         : directory_->Find(address->second);
      if (inbox == nullptr) return PeerGone(peer, "nobody has its address");
      const absl::Status greeted =
          inbox->Greet(request.job_epoch, channel.id, request.epoch_secret);
      if (!greeted.ok()) return PeerGone(peer, greeted.message());
      peers_[peer] = std::move(inbox);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<Transport>> AwaitGreetings(
      const ConnectRequest& request) {
    for (const ChannelSpec& channel : channels_.own_channels()) {
      PENSTOCK_RETURN_IF_ERROR(AwaitGreeting(channel, request));
    }
    return std::make_unique<InProcessTransport>(
        request.job_epoch, std::move(channels_), std::move(inbox_),
        std::move(peers_));
  }

 private:
  InProcessEndpoint(std::shared_ptr<Directory> directory,
                    std::pair<std::string, std::shared_ptr<Inbox>> added)
      : directory_(std::move(directory)),
        address_(std::move(added.first)),
        inbox_(std::move(added.second)) {}

  absl::Status AwaitGreeting(const ChannelSpec& channel,
                             const ConnectRequest& request) {
    const RankId peer = channels_.PeerOf(channel);
    std::optional<std::string> secret;
    while (!secret.has_value()) {
      if (request.interrupted) PENSTOCK_RETURN_IF_ERROR(request.interrupted());
      const absl::Time now = SystemClock().Now();
      if (now >= request.deadline) return ConnectDeadlinePassed(peer, channel);
      PENSTOCK_ASSIGN_OR_RETURN(
          secret, inbox_->TakeGreeting(channel.id, peer,
                                       std::min(request.deadline,
                                                now + absl::Milliseconds(50))));
    }
    if (*secret != request.epoch_secret) return WrongSecret(peer, channel);
    return absl::OkStatus();
  }

  const std::shared_ptr<Directory> directory_;
  const std::string address_;
  OwnInbox inbox_;
  ChannelTable channels_;
  std::map<RankId, std::shared_ptr<Inbox>> peers_;
};

class Fabric : public InProcessFabric {
 public:
  std::unique_ptr<TransportEndpoint> MakeEndpoint() override {
    return std::make_unique<InProcessEndpoint>(directory_);
  }

 private:
  const std::shared_ptr<Directory> directory_ = std::make_shared<Directory>();
};

}  // namespace

std::unique_ptr<InProcessFabric> InProcessFabric::Make() {
  return std::make_unique<Fabric>();
}

absl::StatusOr<std::vector<std::unique_ptr<Transport>>> ConnectInProcess(
    int num_ranks, const std::vector<ChannelSpec>& channels) {
  auto directory = std::make_shared<Directory>();
  std::vector<std::unique_ptr<InProcessEndpoint>> endpoints;
  ConnectRequest request;
  request.channels = channels;
  request.deadline = absl::InfiniteFuture();
  for (int rank = 0; rank < num_ranks; ++rank) {
    endpoints.push_back(std::make_unique<InProcessEndpoint>(directory));
    PENSTOCK_ASSIGN_OR_RETURN(TransportAddress address,
                              endpoints.back()->Address());
    request.peers.push_back(std::move(address));
  }
  for (int rank = 0; rank < num_ranks; ++rank) {
    request.rank = RankId(rank);
    PENSTOCK_RETURN_IF_ERROR(endpoints[rank]->Greet(request));
  }
  std::vector<std::unique_ptr<Transport>> transports;
  for (int rank = 0; rank < num_ranks; ++rank) {
    request.rank = RankId(rank);
    PENSTOCK_ASSIGN_OR_RETURN(std::unique_ptr<Transport> transport,
                              endpoints[rank]->AwaitGreetings(request));
    transports.push_back(std::move(transport));
  }
  return transports;
}

}  // namespace penstock
