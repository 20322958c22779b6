#ifndef PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_UCX_WORKER_H_
#define PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_UCX_WORKER_H_

#include <ucp/api/ucp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace penstock {

// "`what`: UCX says ...". Peer loss is UNAVAILABLE, lack of memory
// RESOURCE_EXHAUSTED, everything else INTERNAL. OK stays OK.
absl::Status UcxStatus(ucs_status_t status, absl::string_view what);

// The two ways that a rank reaches others (design page "Data plane"): through
// shared memory without UCX's error handling, where the death of a peer is for
// us to notice, or through TCP with it.
enum class UcxWay { kSharedMemory, kTcp };

// One UCP context and its one worker. Used by one thread.
//
// UCX's signal handlers and memory hooks are off in any process that makes one,
// and its log shows only what is fatal unless UCX_LOG_LEVEL says otherwise.
class UcxWorker {
 public:
  // `interface` is the network interface that TCP uses, for example "lo".
  //   INTERNAL  UCX's reason.
  static absl::StatusOr<std::unique_ptr<UcxWorker>> Make(
      UcxWay way, const std::string& interface);

  // Ends within 100 ms whatever peers do; requests that are pending end with
  // it and touch their buffers no more.
  ~UcxWorker();
  UcxWorker(const UcxWorker&) = delete;
  UcxWorker& operator=(const UcxWorker&) = delete;

  // What others connect to.
  absl::StatusOr<std::string> Address() const;

  // `*failure`, which must outlive the worker, becomes an error if the peer is
  // lost, where the way of this worker notices.
  absl::StatusOr<ucp_ep_h> Connect(const std::string& address,
                                   ucs_status_t* failure);

  // Pushes out what was sent, for at most `limit`, and lets peers know that no
  // more will come. Nothing may be posted afterwards.
  void CloseEndpoints(absl::Duration limit);

  ucp_worker_h handle() const { return worker_; }
  // True if anything moved.
  bool Progress() const { return ucp_worker_progress(worker_) != 0; }
  // Readable when there is something to progress, once Arm() was true.
  int event_fd() const { return event_fd_; }
  // False when there is something to progress already.
  absl::StatusOr<bool> Arm() const;

 private:
  explicit UcxWorker(UcxWay way) : way_(way) {}

  const UcxWay way_;
  ucp_context_h context_ = nullptr;
  ucp_worker_h worker_ = nullptr;
  int event_fd_ = -1;
  std::vector<ucp_ep_h> endpoints_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_UCX_WORKER_H_
