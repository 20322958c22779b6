#ifndef PENSTOCK_STAGE_SERVER_ENGINE_ENGINE_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_ENGINE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "proto/plan.pb.h"
#include "proto/stage_service.pb.h"
#include "stage_server/engine/edge_counters.h"
#include "stage_server/engine/engine_state.h"
#include "stage_server/transport/transport.h"

namespace penstock {

class Device;

// What one rank knows of one finished step.
struct StepResult {
  int64_t step = 0;  // from 1
  // Mean over the microbatches; only where the loss is computed.
  std::optional<double> loss;
  // Over all ranks, before clipping; not of a skipped step, nor where ranks do
  // not wait for each other.
  std::optional<double> gradient_norm;
  int64_t step_nanos = 0;
  // Inside compute, updates and agreement arithmetic; the rest is waiting.
  int64_t busy_nanos = 0;
  double learning_rate = 0;
  // Trained on in this step by the whole job; only where the loss is computed.
  int64_t tokens = 0;
  // A gradient was not finite (float16), on whichever rank: nothing has changed
  // but the loss scale.
  bool skipped = false;
  // That this step's loss was multiplied by: of float16, where the loss is
  // computed.
  std::optional<double> loss_scale;
  // Mean loss on held-out data after this step, of those that are evaluated;
  // only from the rank that tells the loss. Its time is not the step's.
  std::optional<double> evaluation_loss;
  // Of some steps (step_trace.h), the same ones on every rank with as many
  // actions.
  std::optional<StepTrace> trace;
};

// Of the float32 masters that the layer owns, in parameter order, and then its
// running statistics.
struct LayerDigestResult {
  int layer = 0;
  std::string name;
  std::string sha256;  // 32 raw bytes
};

// What a rank has used so far.
struct EngineUse {
  // Of the first steps, and the first ones of the longest length, which hold
  // what the others do; weights, gradients and optimizer state alone before
  // them.
  MemoryUse memory;
  std::vector<EdgeTraffic> edges;
};

// One rank of one epoch of a job: its layers' weights and optimizer state, and
// the interpreter that runs its action list, once a step or, where the schedule
// never drains, once in all. Needs no knowledge of any particular schedule.
//
// All calls come from one executor thread, except `Cancel`. No exception leaves
// it. The header is free of libtorch.
class Engine {
 public:
  virtual ~Engine() = default;

  // Sets the executor thread's intra-op threads, builds and initialises the
  // rank's layers, opens its data. `plan.schedule` needs only this rank's
  // list; the list is checked again (complete, order). `restore`: where the
  // state comes from; null: initial weights. Steps then count on from its.
  //   INVALID_ARGUMENT  plan and model do not fit; says where.
  //   NOT_FOUND, OUT_OF_RANGE  the data file; says which and why.
  //   FAILED_PRECONDITION  data or numerics are not those of `restore`, and the
  //                        job does not allow that (StartSpec); says what has
  //                        changed.
  //   else                 as StateSource::Fill.
  static absl::StatusOr<std::unique_ptr<Engine>> Load(
      const Plan& plan, RankId rank, Device& device,
      StateSource* restore = nullptr);

  // Takes the data plane for the epoch. Call once, before the first step.
  virtual void Attach(std::unique_ptr<Transport> transport) = 0;

  // Runs the next step: the list once, or of a list that never drains what is
  // left until this rank has made its last update of the step, while others may
  // be some steps ahead or behind. After an error the engine is of no more use.
  //   DEADLINE_EXCEEDED  a receive timed out; names what is missing.
  //   INTERNAL, RESOURCE_EXHAUSTED  libtorch's message.
  //   FAILED_PRECONDITION  such a list has come to its end; the loss or a
  //   gradient is not finite (of float16: a
  //                        gradient, at the smallest loss scale); names step,
  //                        stage and microbatch, or layer.
  virtual absl::StatusOr<StepResult> RunStep() = 0;

  // Makes `step` the last one that `RunStep` runs, as if the job had no more;
  // what depends on the job's number of steps, like the learning rate, stays as
  // it was. All ranks have to be told the same step. From the thread of
  // `RunStep`; before a step that comes later than `step` has been begun.
  //   FAILED_PRECONDITION  it is too late: of a list that never drains the rank
  //                        has begun what comes after; says after which step it
  //                        can end.
  virtual absl::Status StopAfter(int64_t step) = 0;

  // Asks for the state after step `step`, which the rank has not gone beyond;
  // in place of one that was asked for before and not taken. Memory for it is
  // kept until the next.
  //   OUT_OF_RANGE  the rank, or one of its stages, is past it already.
  virtual absl::Status PlanSnapshot(int64_t step) = 0;
  // What was asked for, if its step has ended; else unset.
  //   RESOURCE_EXHAUSTED  there is no memory for it.
  virtual absl::StatusOr<std::optional<EngineSnapshot>> TakeSnapshot() = 0;

  // What the `RunStep` that failed was at, also when it was cancelled; unset
  // before one has.
  virtual std::optional<MissingAction> Missing() const = 0;

  // Makes the running and every later `RunStep` return `why` soon (within the
  // compute action that it is in). Any thread.
  virtual void Cancel(absl::Status why) = 0;

  // Steps finished, also before the engine was loaded.
  virtual int64_t step() const = 0;

  virtual EngineUse Use() const = 0;

  // Of the float32 masters of the layers that this rank owns, by layer.
  virtual std::vector<LayerDigestResult> Digests() const = 0;
};

// Every channel of the epoch, the same on each rank: for each edge of
// `plan.schedule` and each direction that crosses ranks, then the agreement
// channels between rank 0 and the others.
std::vector<ChannelSpec> ChannelsOf(const Plan& plan);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_ENGINE_H_
