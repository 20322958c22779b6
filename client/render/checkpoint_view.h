#ifndef PENSTOCK_CLIENT_RENDER_CHECKPOINT_VIEW_H_
#define PENSTOCK_CLIENT_RENDER_CHECKPOINT_VIEW_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "proto/coordinator_service.pb.h"

namespace penstock {

// Checkpoints for people (text) and programs (JSON). All pure. JSON keys are
// stable, as those of job_view.h.

// "COMMITTED" of CHECKPOINT_STATE_COMMITTED.
std::string StateName(CheckpointState state);

// "3f2a@500": how commands name it.
std::string CheckpointName(const CheckpointInfo& info);

// job_id, job, step, epoch, state, reason, pinned, bytes, created, committed,
// evaluation_loss, schedule, weights_policy, stages, ranks.
nlohmann::ordered_json CheckpointToJson(const CheckpointInfo& info);
// The same, and of a complete one `manifest`: its files with their tensors, its
// state and hashes.
nlohmann::ordered_json CheckpointToJson(const GetCheckpointResponse& answer);

std::string CheckpointTable(const std::vector<CheckpointInfo>& infos,
                            absl::Time now, bool wide);
std::string DescribeCheckpoint(const GetCheckpointResponse& answer,
                               absl::TimeZone zone);

// What differs between two complete ones, a line each: step, schedule, data,
// numerics, layers and tensors that only one has or that have another checksum.
// "the same weights and optimizer state" where none does.
std::string DiffCheckpoints(const GetCheckpointResponse& a,
                            const GetCheckpointResponse& b);

// "newest step 500, next 1000, 12.3 ms blocked, ...": of a job that keeps
// checkpoints; else "".
std::string CheckpointProgressText(const JobInfo& info);
// "step 500 of job 3f2a"; "" of initial weights.
std::string StartText(const JobInfo& info);
// "step 40, 2 copies of each part, each step, ...": of a job that keeps its
// state in memory; else "".
std::string MemoryProgressText(const JobInfo& info);
// null where the job has none.
nlohmann::ordered_json MemoryProgressToJson(const JobInfo& info);
nlohmann::ordered_json CheckpointProgressToJson(const JobInfo& info);
nlohmann::ordered_json StartToJson(const JobInfo& info);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_RENDER_CHECKPOINT_VIEW_H_
