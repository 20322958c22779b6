#ifndef PENSTOCK_TESTS_SIMULATION_TRAINING_H_
#define PENSTOCK_TESTS_SIMULATION_TRAINING_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/checkpoint.pb.h"
#include "proto/plan.pb.h"
#include "proto/stage_service.pb.h"
#include "tests/simulation/scenario.h"

namespace penstock::simulation {

// What simulated jobs train: one small model, whose weights after a step are
// known by that step alone, whatever happened before.

struct PlannedJob {
  std::shared_ptr<const Plan> plan;
  std::vector<int> parameter_layers;
};

// As the coordinator plans it. Plans are made once per kind of job.
PlannedJob PlanOf(const SimulatedJob& job);

// What a rank of a plan like that puts into a checkpoint.
std::vector<ShardFile> FilesOfRank(const Plan& plan, int rank);
// And what it says of its weights after `step`.
std::vector<LayerDigest> DigestsOfRank(const Plan& plan, int rank,
                                       int64_t step);
// Of the whole model, as a job shows it.
std::string DigestAfter(int64_t step);

// How a rank's device fails, for the job's owner.
inline constexpr char kDeviceError[] = "the device reports an error";

}  // namespace penstock::simulation

#endif  // PENSTOCK_TESTS_SIMULATION_TRAINING_H_
