#ifndef PENSTOCK_COORDINATOR_CORE_EMULATION_H_
#define PENSTOCK_COORDINATOR_CORE_EMULATION_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/graph/graph.h"
#include "proto/job.pb.h"
#include "proto/plan.pb.h"

namespace penstock {

// What stands for the model in a job on emulated devices (Job.emulate): the
// profile's layers as a chain, each taking the output of the one before. All
// pure.

// The layers by name; kinds and attributes are empty.
Graph EmulatedGraph(const wire::Profile& profile);

// Parameters of each layer, as float32.
std::vector<int64_t> EmulatedParameterCounts(const wire::Profile& profile);

// The stage of each layer, cut evenly by time.
//   INVALID_ARGUMENT  as CutProfile.
absl::StatusOr<std::vector<int>> EmulatedStages(const wire::Profile& profile,
                                                int num_stages);

// What crosses where the chain is cut after a layer, by the layer's name: as
// many float32 as hold the tensor's bytes. Layers whose size the profile does
// not say are not there.
std::map<std::string, TensorSpec> EmulatedTensors(const wire::Profile& profile);

// Whether the job can be emulated: what CheckProfile wants, no model and no
// data beside it.
//   INVALID_ARGUMENT  it cannot; says which key.
absl::Status CheckEmulation(const Job& job);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_EMULATION_H_
