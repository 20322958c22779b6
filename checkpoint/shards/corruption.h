#ifndef PENSTOCK_CHECKPOINT_SHARDS_CORRUPTION_H_
#define PENSTOCK_CHECKPOINT_SHARDS_CORRUPTION_H_

namespace penstock {

// How the text begins that a rank faults with when the checkpoint that it was
// to start from is not what was stored; then come file and tensor. By it the
// coordinator tells such a fault from others.
inline constexpr char kCorruptCheckpoint[] = "corrupt checkpoint: ";

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_SHARDS_CORRUPTION_H_
