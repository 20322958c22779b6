#ifndef PENSTOCK_STAGE_SERVER_ENGINE_OPTIMIZER_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_OPTIMIZER_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proto/job.pb.h"

namespace penstock {

// A run of parameters that one update rule applies to, elementwise.
struct ParameterSpans {
  // Read, and written unless `next_master` is.
  absl::Span<float> master;
  absl::Span<const float> gradient;
  // `Optimizer::num_moments()` of them are used; zeros before the first update.
  absl::Span<float> first_moment;
  absl::Span<float> second_moment;
  // The new master rounded to nearest even; empty where the master itself is
  // the weight.
  absl::Span<uint16_t> bfloat16_weight;
  // Gets the new master, and `master` stays; empty: it is updated in place.
  // Does not overlap `master`. The bits are the same.
  absl::Span<float> next_master;
};

// What an update depends on besides its parameters.
struct UpdateArguments {
  double learning_rate = 0;
  // Of this update, from 0; Adam's bias correction counts it.
  int64_t update = 0;
  // Gradients are multiplied by it first (clipping).
  float gradient_scale = 1.0f;
  // Whether weight decay applies to these parameters.
  bool decay = false;
};

// SGD with momentum (weight decay as L2) and AdamW (Loshchilov & Hutter 2019,
// decoupled decay), the arithmetic of PyTorch's, in one pass over memory.
//
// An element's new value depends on nothing but its own old values: not on its
// position, the length or the alignment of the run, so any partition of the
// parameters over stages gives the same bits. libtorch's fused kernel does not
// promise that: it rounds the elements at the end of a buffer otherwise.
//
// Immutable, thread-safe.
class Optimizer {
 public:
  // INVALID_ARGUMENT for an unknown kind or numbers out of range.
  static absl::StatusOr<Optimizer> Make(const OptimizerSpec& spec);

  // Float32 buffers it keeps per parameter: 1 for SGD, 2 for AdamW.
  int num_moments() const { return kind_ == Kind::kSgd ? 1 : 2; }
  // What a checkpoint calls them: "momentum", or "exp_avg" and "exp_avg_sq", as
  // PyTorch does.
  absl::Span<const absl::string_view> moment_names() const;
  // 0 where gradients are not clipped.
  double clip_norm() const { return clip_norm_; }

  // Requires: spans that are used have the size of `spans.master`.
  void Update(const UpdateArguments& arguments,
              const ParameterSpans& spans) const;

 private:
  enum class Kind { kSgd, kAdamW };

  Optimizer() = default;

  Kind kind_ = Kind::kSgd;
  double momentum_ = 0;
  double beta1_ = 0;
  double beta2_ = 0;
  double epsilon_ = 0;
  double weight_decay_ = 0;
  double clip_norm_ = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_OPTIMIZER_H_
