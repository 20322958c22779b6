#ifndef PENSTOCK_COORDINATOR_SERVICE_HOSTED_CHECKPOINTS_H_
#define PENSTOCK_COORDINATOR_SERVICE_HOSTED_CHECKPOINTS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "checkpoint/transfer/tls_credentials.h"
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
  // What it shows and whom it believes; null: it speaks in the clear.
  std::shared_ptr<const TlsCredentials> tls = nullptr;
};

// The coordinator's own store: a folder, which nobody else owns meanwhile, and
// a TransferService for it.
//   Errors as CheckpointStore::Open, LockRoot and TransferServer::Start.
absl::StatusOr<std::unique_ptr<CheckpointPort>> OpenHostedCheckpoints(
    const HostedCheckpointsOptions& options);

struct RemoteCheckpointsOptions {
  // "host:port" of a penstock-store, as stage servers dial it too.
  std::string address;
  // The key that the store has.
  std::string key;
  // How long a call waits for a store that is away.
  absl::Duration patience = absl::Seconds(60);
  // What it shows and whom it believes; null: it speaks in the clear.
  std::shared_ptr<const TlsCredentials> tls = nullptr;
};

// The store of a penstock-store process, which must answer now; later it may be
// away for a while.
//   UNAVAILABLE        nobody answers there.
//   PERMISSION_DENIED  the store has another key.
absl::StatusOr<std::unique_ptr<CheckpointPort>> OpenRemoteCheckpoints(
    const RemoteCheckpointsOptions& options);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_SERVICE_HOSTED_CHECKPOINTS_H_
