#include "stage_server/transport/ucx/ucx_peers.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "stage_server/transport/transport_errors.h"
#include "stage_server/transport/ucx/host_identity.h"

namespace penstock {
namespace {

constexpr char kSharedMemoryKey[] = "shm";
constexpr char kTcpKey[] = "tcp";
constexpr int kEpochBits = 64 - kEpochShift;

// Receives a message that was taken off the queue into nothing.
void Discard(ucp_worker_h worker, ucp_tag_message_h message) {
  ucp_request_param_t params;
  params.op_attr_mask = 0;
  const ucs_status_ptr_t request =
      ucp_tag_msg_recv_nbx(worker, nullptr, 0, message, &params);
  if (UCS_PTR_IS_PTR(request)) ucp_request_free(request);
}

}  // namespace

absl::Status UcxPeer::status() const {
  if (failure != UCS_OK) {
    return PeerGone(
        rank, absl::StrCat("UCX says \"", ucs_status_string(failure), "\""));
  }
  if (process_ended) return PeerGone(rank, "its process has ended");
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<UcxPeers>> UcxPeers::Make(
    const std::string& interface) {
  auto peers = std::make_unique<UcxPeers>();
  PENSTOCK_ASSIGN_OR_RETURN(peers->process_namespace_, NamespaceInode("pid"));
  PENSTOCK_ASSIGN_OR_RETURN(peers->shared_memory_,
                            UcxWorker::Make(UcxWay::kSharedMemory, interface));
  PENSTOCK_ASSIGN_OR_RETURN(peers->tcp_,
                            UcxWorker::Make(UcxWay::kTcp, interface));
  return peers;
}

absl::StatusOr<TransportAddress> UcxPeers::Address(
    const std::string& host_identity) {
  TransportAddress address;
  address.host_identity = host_identity;
  PENSTOCK_ASSIGN_OR_RETURN(address.addresses[kSharedMemoryKey],
                            shared_memory_->Address());
  PENSTOCK_ASSIGN_OR_RETURN(address.addresses[kTcpKey], tcp_->Address());
  return address;
}

absl::Status UcxPeers::Connect(RankId rank, const std::string& host_identity,
                               const TransportAddress& address) {
  if (peers_.contains(rank)) return absl::OkStatus();
  const bool same_host = address.host_identity == host_identity;
  const char* key = same_host ? kSharedMemoryKey : kTcpKey;
  const auto found = address.addresses.find(key);
  if (found == address.addresses.end() || found->second.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank ", rank.value(), " has given no address for ", key));
  }
  auto peer = std::make_unique<UcxPeer>();
  peer->rank = rank;
  peer->worker = same_host ? shared_memory_.get() : tcp_.get();
  const auto endpoint = peer->worker->Connect(found->second, &peer->failure);
  if (!endpoint.ok()) {
    return PeerGone(rank, endpoint.status().message());
  }
  peer->endpoint = *endpoint;
  if (std::count(workers_.begin(), workers_.end(), peer->worker) == 0) {
    workers_.push_back(peer->worker);
  }
  peers_[rank] = std::move(peer);
  return absl::OkStatus();
}

bool UcxPeers::Progress() {
  bool moved = false;
  for (const UcxWorker* worker : workers_) moved |= worker->Progress();
  return moved;
}

absl::Status UcxPeers::Sleep(int wake_fd, absl::Duration limit) {
  polled_.clear();
  for (const UcxWorker* worker : workers_) {
    PENSTOCK_ASSIGN_OR_RETURN(const bool armed, worker->Arm());
    if (!armed) return absl::OkStatus();
    polled_.push_back({worker->event_fd(), POLLIN, 0});
  }
  polled_.push_back({wake_fd, POLLIN, 0});
  const size_t first_process = polled_.size();
  for (const UcxPeer* peer : watched_) {
    polled_.push_back({peer->process.value(), POLLIN, 0});
  }
  const timespec timeout =
      absl::ToTimespec(std::clamp(limit, absl::ZeroDuration(), absl::Hours(1)));
  if (ppoll(polled_.data(), polled_.size(), &timeout, nullptr) > 0) {
    NoticeEnded(first_process);
  }
  return absl::OkStatus();
}

void UcxPeers::WatchProcess(UcxPeer& peer, const Greeting& greeting) {
  const bool same_numbers = greeting.process_namespace == process_namespace_;
  if (peer.worker != shared_memory_.get() || !same_numbers ||
      greeting.process_id == getpid() || peer.process.is_open()) {
    return;
  }
  // Where it fails, the peer is watched by deadlines alone.
  peer.process = FileDescriptor(
      static_cast<int>(syscall(SYS_pidfd_open, greeting.process_id, 0)));
  if (peer.process.is_open()) watched_.push_back(&peer);
}

void UcxPeers::NoticeEndedProcesses() {
  if (watched_.empty()) return;
  polled_.clear();
  for (const UcxPeer* peer : watched_) {
    polled_.push_back({peer->process.value(), POLLIN, 0});
  }
  if (poll(polled_.data(), polled_.size(), 0) > 0) NoticeEnded(0);
}

void UcxPeers::NoticeEnded(size_t first_process) {
  bool any = false;
  for (size_t i = watched_.size(); i-- > 0;) {
    if (polled_[first_process + i].revents == 0) continue;
    watched_[i]->process_ended = true;
    watched_.erase(watched_.begin() + i);
    any = true;
  }
  // What it sent before it ended still counts.
  while (any && Progress()) {
  }
}

int64_t UcxPeers::DropStaleMessages(int64_t job_epoch) {
  // UCX can look for equal bits only, so it is asked once for each bit in
  // which the epoch of a message may differ.
  const uint64_t own = WireTag(job_epoch, ChannelId(0), WireKind::kGreeting);
  int64_t dropped = 0;
  for (const UcxWorker* worker : workers_) {
    for (int bit = 0; bit < kEpochBits; ++bit) {
      const uint64_t mask = uint64_t{1} << (kEpochShift + bit);
      ucp_tag_recv_info_t info;
      while (const ucp_tag_message_h message = ucp_tag_probe_nb(
                 worker->handle(), ~own, mask, /*remove=*/1, &info)) {
        Discard(worker->handle(), message);
        dropped += KindOfTag(info.sender_tag) != WireKind::kLargePayload;
      }
    }
  }
  return dropped;
}

void UcxPeers::Close(absl::Duration limit) {
  for (UcxWorker* worker : workers_) {
    worker->CloseEndpoints(limit / static_cast<int>(workers_.size()));
  }
}

}  // namespace penstock
