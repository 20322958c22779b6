#ifndef PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_UCX_PEERS_H_
#define PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_UCX_PEERS_H_

#include <poll.h>
#include <ucp/api/ucp.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "stage_server/transport/transport.h"
#include "stage_server/transport/ucx/file_descriptor.h"
#include "stage_server/transport/ucx/ucx_worker.h"
#include "stage_server/transport/ucx/wire.h"

namespace penstock {

struct UcxPeer {
  RankId rank;
  UcxWorker* worker = nullptr;
  ucp_ep_h endpoint = nullptr;
  // Set by UCX, over TCP only.
  ucs_status_t failure = UCS_OK;
  // Of the peer's process, where that can be watched: another one on this host.
  FileDescriptor process;
  bool process_ended = false;

  // UNAVAILABLE, naming the rank, once the peer is known to be gone. What it
  // sent before may still be unread: ask only about what has not come.
  absl::Status status() const;
};

// The ranks that one rank talks to, each by its way, and the workers that
// carry it. Used by one thread.
class UcxPeers {
 public:
  static absl::StatusOr<std::unique_ptr<UcxPeers>> Make(
      const std::string& interface);

  // This rank's addresses, of both ways.
  absl::StatusOr<TransportAddress> Address(const std::string& host_identity);

  // Begins to connect `rank`: through shared memory if its host identity is
  // `host_identity`. A second call for a rank changes nothing.
  //   INVALID_ARGUMENT  the rank has no address of that way.
  //   UNAVAILABLE       UCX cannot reach the address; names the rank.
  absl::Status Connect(RankId rank, const std::string& host_identity,
                       const TransportAddress& address);

  // Requires: connected.
  UcxPeer& Get(RankId rank) { return *peers_.at(rank); }

  // Makes progress without blocking; true if anything moved.
  bool Progress();

  // Blocks until there is something to progress, `wake_fd` is readable, a
  // peer's process has ended, or `limit` has passed. May return early.
  absl::Status Sleep(int wake_fd, absl::Duration limit);

  // Has the end of this peer's process noticed, if it shares memory and its
  // process number means something here.
  void WatchProcess(UcxPeer& peer, const Greeting& greeting);
  // Asks whether a watched process has ended, without blocking.
  void NoticeEndedProcesses();

  // Drops what has come of other epochs than `job_epoch`; returns how many
  // messages.
  int64_t DropStaleMessages(int64_t job_epoch);

  // As UcxWorker::CloseEndpoints, for all peers together.
  void Close(absl::Duration limit);

  // As in this process's greetings.
  uint64_t process_namespace() const { return process_namespace_; }

 private:
  void NoticeEnded(size_t first_process);

  uint64_t process_namespace_ = 0;
  std::map<RankId, std::unique_ptr<UcxPeer>> peers_;
  // What Sleep polls; kept to spare it an allocation.
  std::vector<pollfd> polled_;
  std::vector<UcxPeer*> watched_;
  std::unique_ptr<UcxWorker> shared_memory_;
  std::unique_ptr<UcxWorker> tcp_;
  // Those that have a peer.
  std::vector<UcxWorker*> workers_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_UCX_PEERS_H_
