#ifndef PENSTOCK_CHECKPOINT_EXCHANGE_IMPORT_WEIGHTS_H_
#define PENSTOCK_CHECKPOINT_EXCHANGE_IMPORT_WEIGHTS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/manifest/manifest.h"
#include "checkpoint/shards/shard_store.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

// How the files name what a parameter has.
enum class WeightNames {
  // As Penstock does.
  kOwn,
  // As GPT2LMHeadModel of `transformers` does (gpt2.h), or GPT2Model, whose
  // names have no "transformer." in front.
  kGpt2,
};

// Takes weights that were trained elsewhere into a store: sends, for each of
// `layers`, the file of kind WEIGHTS of `checkpoint`, and returns what a
// manifest says of these files. `path` is a safetensors file, or a folder with
// model.safetensors, or with model.safetensors.index.json and the files that it
// names. Half precision becomes float32; other tensors that are there are
// passed over. Nothing is sent unless all that is wanted is there. `report`, if
// given, is called now and then and ends the work with CANCELLED by answering
// false.
//   NOT_FOUND            there is no such file or folder.
//   FAILED_PRECONDITION  tensors are missing or have another shape: names the
//                        first ten, wanted and got.
//   DATA_LOSS            a file is damaged, or an index names a file elsewhere.
// Else the errors of the store.
absl::StatusOr<std::vector<ShardFile>> ImportWeights(
    const std::string& path, const std::vector<ExpectedLayer>& layers,
    const CheckpointId& checkpoint, ShardStore& store,
    WeightNames names = WeightNames::kOwn,
    const std::function<bool(int64_t done_bytes, int64_t total_bytes)>& report =
        nullptr);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_EXCHANGE_IMPORT_WEIGHTS_H_
