#ifndef PENSTOCK_TESTS_PARITY_REFERENCE_LOOP_H_
#define PENSTOCK_TESTS_PARITY_REFERENCE_LOOP_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/job.pb.h"
#include "proto/plan.pb.h"

namespace penstock {

// What two runs of a job must agree on, to the bit.
struct TrainingRecord {
  // By step.
  std::vector<double> losses;
  std::vector<double> gradient_norms;
  // Float16: skipped ones, ascending from 1; they have no gradient norm.
  std::vector<int64_t> skipped_steps;
  // sha256 of the float32 masters, and then the running statistics, of each
  // layer that owns parameters, in layer order: raw bytes.
  std::vector<std::string> layer_digests;

  friend bool operator==(const TrainingRecord&,
                         const TrainingRecord&) = default;
};

// Index is the layer: for each copy of its stage the microbatches in the order
// in which their gradients are added; then the copies' sums are added in their
// order. Empty: one copy, ascending.
using SummationOrder = std::vector<std::vector<std::vector<int>>>;

// Trains `job` for `num_steps` steps in one process on one thread: a plain loop
// over the model's layers, without schedule, stages, flat buffers or channels.
// It shares the layers, the data and the learning rate with the engine, and
// spells out everything else, so that it defines the order of every sum:
//
// * a microbatch's loss counts 1/m; the step's loss is the mean of the
//   microbatches', added in their order in double precision;
// * a main gradient is a float32 sum in microbatch order, or that of `order`;
//   each use of a tied parameter has one, and they are added in layer order;
// * running statistics move once a step, microbatch by microbatch;
// * float16: the share of the loss is times the loss scale, and the norm and
//   what an update takes are divided by it; a step with a gradient that is not
//   finite changes the scale alone;
// * the norm adds, layer by layer in graph order, the squares of each parameter
//   in eight interleaved sums in double precision.
//
// Autograd computes all gradients: the loop does not split the backward.
absl::StatusOr<TrainingRecord> TrainInOneLoop(const Job& job, int num_steps,
                                              const SummationOrder& order = {});

// The layers of one stage, and which weights it reads in a run that does not
// flush.
struct VersionedStage {
  // By name, in graph order.
  std::vector<std::string> layers;
  // It makes one update of so many ...
  int microbatches_per_update = 1;
  // ... and microbatch b of the run reads, forward and backward, the weights
  // after max(0, floor(b / microbatches_per_update) - delay) updates.
  int delay = 0;
  // Microbatch b's gradients are summed with those of the same b modulo so
  // many, and then these sums.
  int replicas = 1;
  // Its learning rate is the job's times this.
  double rate_factor = 1;
};

// `rule(stage)` of each stage of the plan, with the layers that it has there.
std::vector<VersionedStage> RulesOf(
    const Plan& plan, const std::function<VersionedStage(int)>& rule);

// The same loop over a run whose microbatches read weights some updates old:
// microbatch by microbatch, through the whole run, each layer with the weights
// that the rule of its stage names, all of which are kept. It knows no
// schedule, and differs from `TrainInOneLoop` in this:
//
// * a step is the job's microbatches, as there, but each stage updates after
//   its own number of them, and counts its updates for the learning rate, of
//   which it makes steps * microbatches / microbatches_per_update in all;
// * a microbatch's loss counts 1 / microbatches_per_update of the last stage;
//   another stage's gradients are times its own share, before they are clipped;
// * a stage clips by the norm of its own gradient; there are no norms to
// record;
// * running statistics move microbatch by microbatch, and have no versions.
//
// `newest_only_after`: as if that many steps had ended in a drain that left the
// newest weights alone: microbatches after it read at least the version that
// their stage had by then. 0: there was none.
// Requires: every layer in one stage; a tied parameter in that of its owner, or
// in a later one with the same rule; not float16.
absl::StatusOr<TrainingRecord> ReplayVersions(
    const Job& job, int num_steps, const std::vector<VersionedStage>& stages,
    int newest_only_after = 0);

// The main gradients of the job's first step, by parameter, before clipping.
absl::StatusOr<std::map<std::string, at::Tensor>> FirstGradients(
    const Job& job);

}  // namespace penstock

#endif  // PENSTOCK_TESTS_PARITY_REFERENCE_LOOP_H_
