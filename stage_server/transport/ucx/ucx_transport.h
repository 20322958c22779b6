#ifndef PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_UCX_TRANSPORT_H_
#define PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_UCX_TRANSPORT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "stage_server/transport/transport.h"

namespace penstock {

struct UcxOptions {
  // The network interface that TCP listens and sends on. The data plane is
  // neither encrypted nor, beyond the epoch's secret, authenticated: choose one
  // of a private network.
  std::string interface = "lo";
  // From HostIdentity(). Ranks with equal ones share memory, others use TCP.
  std::string host_identity;
  // How long a wait polls before it blocks.
  absl::Duration spin = absl::Microseconds(50);
};

// UcxOptions::spin where so many ranks may share so many cores: zero if they
// have less than one each, so that a waiting rank leaves its core to another.
absl::Duration SpinFor(int num_ranks, int num_cores);

// An endpoint over UCX (host memory). Tensors larger than kMaxInlinePayload
// (wire.h) are sent from and received into the caller's buffers without a copy
// of ours.
//
// The loss of a peer is noticed over TCP by UCX; through shared memory by the
// end of the peer's process, if it runs in the same pid namespace, and else
// only by deadlines. Several endpoints may live in one process, each on its
// own thread. Make it after any fork.
//   INTERNAL  UCX's reason, for example an interface that does not exist.
absl::StatusOr<std::unique_ptr<TransportEndpoint>> MakeUcxEndpoint(
    const UcxOptions& options);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_UCX_TRANSPORT_H_
