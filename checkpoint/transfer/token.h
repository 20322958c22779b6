#ifndef PENSTOCK_CHECKPOINT_TRANSFER_TOKEN_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_TOKEN_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock {

// Who may move files: the servers of one epoch of one job, which show a token
// that only a holder of the store's key can have made (HMAC-SHA256, RFC 2104).
// Nothing is kept of it, so it is good after a restart of the store. Pure.

// What a token says.
struct TransferClaim {
  std::string job_id;
  int64_t epoch = 0;
};

// The job of the token of a store's owner: none that there can be.
inline constexpr char kOwnerJob[] = "";

// Printable. `key` is secret and at least 16 bytes.
std::string MakeTransferToken(absl::string_view key,
                              const TransferClaim& claim);

// PERMISSION_DENIED unless it was made with `key`. Takes the same time however
// much of it is right.
absl::StatusOr<TransferClaim> ReadTransferToken(absl::string_view key,
                                                absl::string_view token);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_TOKEN_H_
