#ifndef PENSTOCK_CHECKPOINT_MANIFEST_MANIFEST_H_
#define PENSTOCK_CHECKPOINT_MANIFEST_MANIFEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

// What manifest.json says, and whether it can be true. Pure.

// Written into `CheckpointManifest.format_version`; greater ones are refused.
inline constexpr int kCheckpointFormatVersion = 1;
// A longer manifest is refused.
inline constexpr int64_t kMaxManifestBytes = 256 << 20;

// Sorts files by layer and kind, and tensors by their place in the file: the
// order of a manifest.
void SortFiles(CheckpointManifest& manifest);

// Whether a manifest can be of a checkpoint, whoever wrote it: names of files
// that lead nowhere else and say their layer and kind; no file, no layer and
// kind, and no tensor of a kind twice; sizes that follow from types and shapes,
// within their file, without overlap; the order of `SortFiles`.
//   DATA_LOSS      says which file and tensor, wanted and got.
//   UNIMPLEMENTED  a newer format version, or a tensor's type is not known.
absl::Status ValidateManifest(const CheckpointManifest& manifest);

// The same bytes for the same manifest, which must be valid.
absl::StatusOr<std::string> EncodeManifest(const CheckpointManifest& manifest);

// Parses and validates. Safe on any input.
//   DATA_LOSS, UNIMPLEMENTED  as ValidateManifest.
absl::StatusOr<CheckpointManifest> ParseManifest(absl::string_view json);

// train_state.json. DATA_LOSS if it is none.
absl::StatusOr<std::string> EncodeTrainState(const TrainState& state);
absl::StatusOr<TrainState> ParseTrainState(absl::string_view json);

// model.safetensors.index.json, by which the Python packages `safetensors` and
// `transformers` find each weight's file. Of a valid manifest.
std::string EncodeWeightIndex(const CheckpointManifest& manifest);

// One layer that owns parameters or running statistics, as a model has it.
struct ExpectedLayer {
  struct Tensor {
    std::string name;
    std::vector<int64_t> shape;
  };
  // Index in the model graph, and its name.
  int layer = 0;
  std::string name;
  // What its WEIGHTS hold: exactly these, in any order. Empty: not looked at.
  std::vector<Tensor> tensors;
};

enum class OptimizerFiles { kRequired, kIgnored };

// Whether `files` are exactly what `layers`, each index once, need: WEIGHTS and
// OPTIMIZER of each once, of no other layer anything; OLDER_VERSIONS may be
// there or not. A model that has changed shows here.
//   FAILED_PRECONDITION  names the layers that are missing, too many, twice, of
//                        another name, and the tensors that are missing, too
//                        many or of another shape, each wanted and got; the
//                        first ten, and how many more there are.
absl::Status CheckCover(absl::Span<const ShardFile> files,
                        const std::vector<ExpectedLayer>& layers,
                        OptimizerFiles optimizer);

// Of all files.
int64_t TotalBytes(const CheckpointManifest& manifest);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_MANIFEST_MANIFEST_H_
