#ifndef PENSTOCK_COORDINATOR_SERVICE_HOSTED_CHECKPOINTS_H_
#define PENSTOCK_COORDINATOR_SERVICE_HOSTED_CHECKPOINTS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/service/checkpoint_port.h"

namespace penstock {

struct HostedCheckpointsOptions {
  // The folder of checkpoints; made if need be.
  std::string root;
  // "host:port" of the TransferService; port 0 takes a free one. Empty: there
  // is none, and the stage servers see `root` themselves.
  std::string listen = "127.0.0.1:0";
  // What stage servers dial instead of the host of `listen`; empty: that.
  std::string advertised_host;
  // Of the tokens of transfers; secret, at least 16 bytes.
  std::string key;
};

// The coordinator's own store: a folder, and a TransferService for it.
//   Errors as CheckpointStore::Open and TransferServer::Start.
absl::StatusOr<std::unique_ptr<CheckpointPort>> OpenHostedCheckpoints(
    const HostedCheckpointsOptions& options);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_SERVICE_HOSTED_CHECKPOINTS_H_
