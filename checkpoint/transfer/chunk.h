#ifndef PENSTOCK_CHECKPOINT_TRANSFER_CHUNK_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_CHUNK_H_

#include <cstdint>

namespace penstock {

// What one message of a transfer carries at most, and a little more for the
// rest of it.
inline constexpr int64_t kChunkBytes = int64_t{1} << 20;
inline constexpr int kMaxTransferMessageBytes = 4 << 20;
// What carries a manifest whole.
inline constexpr int kMaxManifestMessageBytes = 256 << 20;

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_CHUNK_H_
