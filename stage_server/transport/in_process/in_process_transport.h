#ifndef PENSTOCK_STAGE_SERVER_TRANSPORT_IN_PROCESS_IN_PROCESS_TRANSPORT_H_
#define PENSTOCK_STAGE_SERVER_TRANSPORT_IN_PROCESS_IN_PROCESS_TRANSPORT_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "stage_server/transport/transport.h"

namespace penstock {

// Endpoints that live in one process and reach each other, one per thread. A
// send copies its bytes and is complete at once; nothing bounds how much waits
// for a receiver. A destroyed transport counts as a peer that is gone.
class InProcessFabric {
 public:
  virtual ~InProcessFabric() = default;

  static std::unique_ptr<InProcessFabric> Make();

  // Thread-safe. The endpoint may outlive the fabric's handle.
  virtual std::unique_ptr<TransportEndpoint> MakeEndpoint() = 0;
};

// One connected transport per rank, made on the calling thread; each may then
// be used by a thread of its own. For tests that run all ranks themselves.
//   INVALID_ARGUMENT  as ChannelTable::Make.
absl::StatusOr<std::vector<std::unique_ptr<Transport>>> ConnectInProcess(
    int num_ranks, const std::vector<ChannelSpec>& channels);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_TRANSPORT_IN_PROCESS_IN_PROCESS_TRANSPORT_H_
