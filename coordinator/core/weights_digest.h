#ifndef PENSTOCK_COORDINATOR_CORE_WEIGHTS_DIGEST_H_
#define PENSTOCK_COORDINATOR_CORE_WEIGHTS_DIGEST_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/stage_service.pb.h"

namespace penstock {

// What names the weights of a whole model: 64 lower-case hexadecimal digits of
// the sha256 over the raw 32-byte sha256s of the layers that own parameters,
// in the model graph's order. A layer's own sha256 is over the float32 masters
// of its parameters, each as little-endian bytes, in parameter order; a tied
// parameter counts at its owner alone.
//
// `digests` come in any order. Those of layers outside `parameter_layers` (a
// layer without parameters) are left out.
//   DATA_LOSS  a layer is missing, is there twice, or its sha256 is not 32
//              bytes; names it.
absl::StatusOr<std::string> WeightsDigest(
    const std::vector<LayerDigest>& digests,
    const std::vector<int>& parameter_layers);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_WEIGHTS_DIGEST_H_
