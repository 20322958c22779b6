#ifndef PENSTOCK_CHECKPOINT_SHARDS_CORRUPTION_H_
#define PENSTOCK_CHECKPOINT_SHARDS_CORRUPTION_H_

namespace penstock {

// How the text begins that a rank faults with when the checkpoint that it was
// to start from is not what was stored; then come file and tensor. By it the
// coordinator tells such a fault from others.
inline constexpr char kCorruptCheckpoint[] = "corrupt checkpoint: ";

// The same of a state in stage servers' memory, whatever keeps it from being
// read: another copy, an older one or a checkpoint is to be tried.
inline constexpr char kLostMemory[] = "lost memory: ";

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_SHARDS_CORRUPTION_H_
