#ifndef PENSTOCK_STAGE_SERVER_ENGINE_WEIGHT_STORE_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_WEIGHT_STORE_H_

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "models/graph/graph.h"
#include "stage_server/engine/device.h"
#include "stage_server/engine/flat_layout.h"
#include "stage_server/engine/optimizer.h"

namespace penstock {

// What a stage's flat buffers take, with the gaps in them.
struct WeightBytes {
  // Masters, and weights of another type or of older versions.
  int64_t weights = 0;
  int64_t gradients = 0;
  int64_t moments = 0;
};

// How many of each kind of buffer a store has.
struct WeightBuffers {
  // Of the optimizer: 1 or 2.
  int moments = 1;
  // Of the weights; at least 1.
  int versions = 1;
  // Of the gradients of different updates; at least 1.
  int gradients = 1;
};

// The parameters that one stage owns, each kind of number in one flat buffer:
// float32 masters, gradients and moments, and the weights that the layers read.
//
// A version of the weights is the number of updates that they have absorbed.
// The latest `max_versions` are held, each in a buffer of its own, a slot; an
// update writes the next one where the oldest was. So nothing is copied, and to
// take another version is to take other leaves (PipeDream, Narayanan et al.
// 2019, section 3.3, stashes copies; PipeDream-2BW, 2021, keeps two buffers).
// With one version, as where all is flushed before each update, it is updated
// in place.
//
// Float32: the newest version is the master. Else the masters, of which there
// is one buffer, are updated in place and the version written out from them.
//
// A microbatch holds the version that its forward reads until its backward is
// done, and a version that is held is never written over. Used by one thread.
// Libtorch's exceptions pass through.
class WeightStore {
 public:
  // Draws the initial values (models/layers/init.h), which are version 0;
  // moments are zero. Float32 per parameter: 12 bytes for SGD and 16 for AdamW,
  // with weights of another type 2 more; each version above one adds 4, or 2,
  // and each gradient above one 4. `weight_type` is float32, bfloat16 or
  // float16.
  //   INVALID_ARGUMENT  a parameter is tied: it is not owned.
  static absl::StatusOr<WeightStore> Make(std::vector<ParameterSpec> parameters,
                                          uint64_t seed,
                                          at::ScalarType weight_type,
                                          const WeightBuffers& buffers,
                                          Device& device);

  const std::vector<ParameterSpec>& parameters() const { return parameters_; }

  // A leaf that views the parameter's weight in a slot; autograd differentiates
  // by it. A new one with each call, all of the same memory.
  at::Tensor WeightLeaf(int parameter, int slot) const;
  // Views in the parameter's shape. The master is the newest version's.
  at::Tensor Master(int parameter) const;
  at::Tensor Gradient(int parameter, int slot = 0) const;

  // The optimizer's `moment`-th float32 state of the parameter.
  at::Tensor Moment(int parameter, int moment) const;
  // The weight of a version, in the weights' type. Requires: it is held.
  at::Tensor Weight(int parameter, int64_t version) const;

  int num_gradients() const { return static_cast<int>(gradients_.size()); }
  // Where the gradient of an update is; updates count from 0.
  int GradientSlotOf(int64_t update) const {
    return static_cast<int>(update % num_gradients());
  }
  // All gradients of an update, with the gaps between them.
  const at::Tensor& flat_gradient(int slot = 0) const {
    return gradients_[slot];
  }

  int max_versions() const { return static_cast<int>(weights_.size()); }
  // The updates that the newest version has absorbed.
  int64_t newest_version() const { return newest_; }
  int newest_slot() const { return SlotOf(newest_); }
  int64_t oldest_version() const {
    return std::max<int64_t>(0, newest_ - max_versions() + 1);
  }

  // Makes `newest` the newest version. What it and those before it are, and the
  // moments, is then to be written through the views above; the masters come
  // to the newest weights by `TakeMasters`. Requires: no microbatch holds one.
  void BeginAt(int64_t newest) { newest_ = newest; }
  void TakeMasters();

  int SlotOf(int64_t version) const {
    return static_cast<int>(version % max_versions());
  }

  // The slot of a version, which stays until the microbatch gives it back. No
  // version: the newest.
  //   INTERNAL  it is not there (any more), says which are; the microbatch
  //             holds one.
  absl::StatusOr<int> Hold(MicrobatchId microbatch,
                           std::optional<int32_t> version);
  //   INTERNAL  the microbatch does not hold this version, or with none given,
  //             any.
  absl::Status CheckHeld(MicrobatchId microbatch,
                         std::optional<int32_t> version) const;
  void GiveBack(MicrobatchId microbatch) { held_.erase(microbatch); }
  // Whether a microbatch holds the version.
  bool IsHeld(int64_t version) const;

  WeightBytes bytes() const;

  // Makes the next version of all parameters from their gradients, those in the
  // slot of the update, which stay.
  // `arguments.decay` is set here.
  //   INTERNAL  the version that has to go is still read.
  absl::Status Update(const Optimizer& optimizer, UpdateArguments arguments,
                      Device& device);

 private:
  WeightStore() = default;

  bool has_masters() const { return master_.defined(); }
  const at::Tensor& newest_master() const {
    return has_masters() ? master_ : weights_[SlotOf(newest_)];
  }
  at::Tensor View(const at::Tensor& flat, int parameter) const;
  void UpdateGroup(const Optimizer& optimizer, const UpdateArguments& arguments,
                   int64_t begin, int64_t end, Device& device);

  std::vector<ParameterSpec> parameters_;
  FlatLayout layout_;
  // By slot: the weights of one version.
  std::vector<at::Tensor> weights_;
  // The version that each microbatch in flight reads.
  std::map<MicrobatchId, int64_t> held_;
  int64_t newest_ = 0;
  // Undefined for float32.
  at::Tensor master_;
  // By slot.
  std::vector<at::Tensor> gradients_;
  // Undefined where the optimizer has fewer.
  at::Tensor first_moment_;
  at::Tensor second_moment_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_WEIGHT_STORE_H_
