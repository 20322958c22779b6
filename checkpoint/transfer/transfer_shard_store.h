#ifndef PENSTOCK_CHECKPOINT_TRANSFER_TRANSFER_SHARD_STORE_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_TRANSFER_SHARD_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "checkpoint/shards/shard_store.h"
#include "checkpoint/transfer/tls_credentials.h"

namespace penstock {

struct TransferClientOptions {
  // Of the TransferService, and the token to show (token.h).
  std::string address;
  std::string token;
  // Sent as the fence of uploads.
  int64_t coordinator_term = 0;
  // Of whose parts of states in memory it is; unset: of checkpoints.
  std::optional<int> rank = std::nullopt;
  // So long without a byte of progress, and the store counts as gone.
  absl::Duration patience = absl::Seconds(60);
  // Appended and not acknowledged, over all uploads together. `Append` waits
  // beyond.
  int64_t max_unacked_bytes = int64_t{64} << 20;
  // What it shows and whom it believes; null: it speaks in the clear.
  std::shared_ptr<const TlsCredentials> tls = nullptr;
};

// Shards by way of a TransferService, over a connection of its own. Nothing is
// connected to before the first call. Every chunk carries its checksum; one
// that arrives damaged is sent again. A file is whole only if the store's
// checksum of all of it is the sender's (else DATA_LOSS). `clock` must outlive
// it, and it its uploads.
std::unique_ptr<ShardStore> MakeTransferShardStore(
    TransferClientOptions options, const Clock& clock);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_TRANSFER_SHARD_STORE_H_
