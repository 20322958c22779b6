#include "coordinator/core/checkpoint_manifest.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "checkpoint/manifest/manifest.h"
#include "coordinator/core/checkpointed_layers.h"
#include "coordinator/core/turn.h"

namespace penstock {
namespace {

absl::Status Differs(const std::string& what, int rank,
                     const std::string& theirs, const std::string& ours) {
  return absl::DataLossError(absl::StrCat("rank ", rank, " says that ", what,
                                          " is ", theirs, ", another rank ",
                                          ours));
}

// Takes what only some ranks know from the first that knows it.
absl::Status MergeText(const std::string& what, int rank,
                       const std::string& theirs, std::string& merged) {
  if (theirs.empty() || theirs == merged) return absl::OkStatus();
  if (!merged.empty()) return Differs(what, rank, theirs, merged);
  merged = theirs;
  return absl::OkStatus();
}

// One state of all ranks'.
absl::StatusOr<TrainState> MergeStates(
    const std::map<int, ShardReport>& reports) {
  TrainState merged = reports.begin()->second.state();
  merged.clear_stages();
  std::map<int, StageState> stages;
  for (const auto& [rank, report] : reports) {
    const TrainState& state = report.state();
    if (state.step() != merged.step()) {
      return Differs("the step", rank, absl::StrCat(state.step()),
                     absl::StrCat(merged.step()));
    }
    PENSTOCK_RETURN_IF_ERROR(MergeText("the data's fingerprint", rank,
                                       state.dataset_fingerprint(),
                                       *merged.mutable_dataset_fingerprint()));
    PENSTOCK_RETURN_IF_ERROR(MergeText("the numerics id", rank,
                                       state.numerics_id(),
                                       *merged.mutable_numerics_id()));
    if (state.loss_scale() != 0) {
      merged.set_loss_scale(state.loss_scale());
      merged.set_steps_at_loss_scale(state.steps_at_loss_scale());
    }
    merged.set_skipped_steps(
        std::max(merged.skipped_steps(), state.skipped_steps()));
    // Replicas of a stage say the same.
    for (const StageState& stage : state.stages()) {
      stages.emplace(stage.stage(), stage);
    }
  }
  for (const auto& [index, stage] : stages) *merged.add_stages() = stage;
  return merged;
}

}  // namespace

absl::StatusOr<CheckpointManifest> ManifestOf(const JobRecord& job,
                                              const CheckpointId& id,
                                              absl::Time now) {
  CheckpointManifest manifest;
  manifest.set_format_version(kCheckpointFormatVersion);
  *manifest.mutable_id() = id;
  const Plan& plan = *job.plan;
  manifest.set_plan_hash(plan.shape_hash());
  manifest.set_schedule(plan.job().schedule().name());
  manifest.set_weights_policy(plan.job().weights().policy());
  manifest.set_stages(plan.stages_size());
  manifest.set_ranks(plan.schedule().ranks_size());
  for (const auto& [rank, report] : job.pending.shards) {
    manifest.mutable_files()->MergeFrom(report.files());
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<ExpectedLayer> layers,
                            CheckpointedLayers(plan.job()));
  const std::vector<ShardFile> files(manifest.files().begin(),
                                     manifest.files().end());
  PENSTOCK_RETURN_IF_ERROR(
      CheckCover(files, layers, WantedOptimizerFiles(plan.job())));
  PENSTOCK_ASSIGN_OR_RETURN(*manifest.mutable_state(),
                            MergeStates(job.pending.shards));
  if (manifest.state().step() != id.step()) {
    return absl::DataLossError(absl::StrCat("the ranks' state is of step ",
                                            manifest.state().step(),
                                            ", wanted ", id.step()));
  }
  SortFiles(manifest);
  PENSTOCK_RETURN_IF_ERROR(ValidateManifest(manifest));
  manifest.set_created_unix_nanos(absl::ToUnixNanos(now));
  if (job.pending.evaluation_loss) {
    manifest.set_evaluation_loss(*job.pending.evaluation_loss);
  }
  if (id.step() == job.info.job().steps()) {
    manifest.set_weights_digest(DigestOf(job).value_or(""));
  }
  return manifest;
}

}  // namespace penstock
