#ifndef PENSTOCK_CHECKPOINT_EXCHANGE_MANIFEST_DIFF_H_
#define PENSTOCK_CHECKPOINT_EXCHANGE_MANIFEST_DIFF_H_

#include <string>
#include <vector>

#include "proto/checkpoint.pb.h"

namespace penstock {

enum class TensorChange {
  kSame,
  // Other values.
  kChanged,
  // Another type or shape.
  kReshaped,
  kOnlyInFirst,
  kOnlyInSecond,
};

// "same", "changed", "reshaped", "only in the first", "only in the second".
std::string ToString(TensorChange change);

struct TensorDifference {
  std::string name;
  ShardFile::Kind kind = ShardFile::KIND_UNSPECIFIED;
  TensorChange change = TensorChange::kSame;
  // "F32 [4, 3]"; empty where there is none.
  std::string first;
  std::string second;
};

// Two checkpoints, tensor by tensor, by what their manifests say: equal bytes
// have equal checksums, and unequal ones other checksums in all but one of four
// thousand million cases. By kind and name; layers and files may have moved.
// Pure.
std::vector<TensorDifference> DiffManifests(const CheckpointManifest& first,
                                            const CheckpointManifest& second);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_EXCHANGE_MANIFEST_DIFF_H_
