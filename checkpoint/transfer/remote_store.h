#ifndef PENSTOCK_CHECKPOINT_TRANSFER_REMOTE_STORE_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_REMOTE_STORE_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "checkpoint/store/commit_store.h"
#include "checkpoint/transfer/tls_credentials.h"

namespace penstock {

struct RemoteStoreOptions {
  // "host:port" of a penstock-store.
  std::string address;
  // The key that the store has.
  std::string key;
  // How long a call waits for the store; a verification as long as it gets on.
  absl::Duration patience = absl::Seconds(60);
  // What it shows and whom it believes; null: it speaks in the clear.
  std::shared_ptr<const TlsCredentials> tls = nullptr;
};

// The store of a penstock-store process, for its owner. Nothing is connected to
// before the first call. `clock` must outlive it.
std::unique_ptr<CommitStore> MakeRemoteStore(RemoteStoreOptions options,
                                             const Clock& clock);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_REMOTE_STORE_H_
