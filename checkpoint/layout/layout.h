#ifndef PENSTOCK_CHECKPOINT_LAYOUT_LAYOUT_H_
#define PENSTOCK_CHECKPOINT_LAYOUT_LAYOUT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

// Names of the folders and files of checkpoints (docs/checkpoints.md):
//
//   <root>/<job id>/LATEST
//   <root>/<job id>/step-000001200.e0007/l0000-embed.w.safetensors ...
//
// Pure. Every name that comes from elsewhere goes through the checks here
// before it is part of a path, so that none leads out of the root.

// The files of a checkpoint beside its shards.
inline constexpr char kManifestFile[] = "manifest.json";
inline constexpr char kTrainStateFile[] = "train_state.json";
inline constexpr char kWeightIndexFile[] = "model.safetensors.index.json";
// Its presence means complete; holds the sha256 of the manifest's bytes.
inline constexpr char kCommitFile[] = "COMMIT";
// What kCommitFile is renamed to before anything else of it is removed.
inline constexpr char kDeletingFile[] = "DELETING";
// In the job's folder: the name of the newest one. May be stale.
inline constexpr char kLatestFile[] = "LATEST";
// Of a rank's part of a state in memory (docs/checkpoints.md): what it consists
// of. The last of the part's files; its presence means complete.
inline constexpr char kPartFile[] = "part.pb";
// Behind the name of a file that is not whole yet.
inline constexpr char kPartSuffix[] = ".part";

// OK for 1 to 128 letters, digits, '-', '_' and '.', not '.' first, else
// INVALID_ARGUMENT, quoting `job_id`.
absl::Status CheckJobId(absl::string_view job_id);

// OK for a job id, a step and an epoch that none are negative.
absl::Status CheckCheckpointId(const CheckpointId& id);

// "step-000001200.e0007". More digits where they are needed.
std::string CheckpointFolder(int64_t step, int64_t epoch);

struct StepAndEpoch {
  int64_t step = 0;
  int64_t epoch = 0;
};
// Inverse of `CheckpointFolder`; nothing for any other text, also for another
// spelling of the same numbers.
std::optional<StepAndEpoch> ParseCheckpointFolder(absl::string_view name);

// "l0000-embed.w.safetensors". Of the layer's name what fits into a file's
// name: other characters become '_', and at most 80 stay.
// Requires: a kind, and layer >= 0.
std::string ShardFileName(int layer, absl::string_view layer_name,
                          ShardFile::Kind kind);

struct ShardName {
  int layer = 0;
  ShardFile::Kind kind = ShardFile::KIND_UNSPECIFIED;
};
// What `ShardFileName` says, read back.
//   INVALID_ARGUMENT  it gives no such name: a folder in it, "..", another
//                     ending. Quotes `name`.
absl::StatusOr<ShardName> ParseShardFileName(absl::string_view name);

// OK for what a stage server may store: a shard's name and kPartFile. Else as
// `ParseShardFileName`.
absl::Status CheckStoredName(absl::string_view name);

// "<root>/rank-0003": the root of one rank's parts. Requires: rank >= 0.
std::string RankPath(const std::string& root, int rank);
// "<root>/<job id>". Requires: CheckJobId.
std::string JobPath(const std::string& root, absl::string_view job_id);
// "<root>/<job id>/step-000001200.e0007". Requires: CheckCheckpointId.
std::string CheckpointPath(const std::string& root, const CheckpointId& id);

// "step 1200, epoch 7, of job 2f0c", for messages.
std::string Describe(const CheckpointId& id);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_LAYOUT_LAYOUT_H_
