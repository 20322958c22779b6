#ifndef PENSTOCK_STAGE_SERVER_ENGINE_INTERPRETER_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_INTERPRETER_H_

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "proto/stage_service.pb.h"
#include "schedule/ir/schedule.h"
#include "stage_server/engine/action_ring.h"
#include "stage_server/engine/channels.h"
#include "stage_server/engine/clock_offset.h"
#include "stage_server/engine/edge_counters.h"
#include "stage_server/engine/edge_wires.h"
#include "stage_server/engine/gradient_reduction.h"
#include "stage_server/engine/norm_agreement.h"
#include "stage_server/engine/stage_backend.h"
#include "stage_server/transport/transport.h"

namespace penstock {

// What a rank runs.
struct RankProgram {
  RankId rank;
  // Only this rank's list is read. It has been checked.
  Schedule schedule;
  // Index is the rank: layers that it speaks for in N, ascending.
  std::vector<std::vector<int>> owned_layers;
  // Index is the rank: losses that it brings to N, if several ranks have some.
  std::vector<int> loss_places;
  // Receives are posted this many actions ahead.
  int receive_lookahead = 0;
  // How long one receive or agreement may take.
  absl::Duration step_timeout;
  // What activations are on the way between ranks.
  WireSpec wire;
  // Whether it keeps when its actions ran; off only to measure what that costs.
  bool traces = true;
};

// How long a step took, by this thread's own clock.
struct StepTiming {
  int64_t step_nanos = 0;
  // In compute, updates and the arithmetic of agreement.
  int64_t busy_nanos = 0;
  // Of the steps that are reported (`IsTracedStep`).
  std::optional<StepTrace> trace;
};

// Runs a rank's action list, one step at a time: each action in its order, as
// soon as what it takes is there. It has no schedule logic: what runs when is
// the list's to say.
//
// Sends are posted and kept until they are complete, at the latest at the end
// of the step; receives are posted ahead, within the step, into memory of the
// backend's; in between both are polled, and reductions go on.
//
// Used by one thread, except `Cancel`.
class Interpreter {
 public:
  //   NOT_FOUND         a communication action has no channel.
  //   INVALID_ARGUMENT  as EdgeWires::Make.
  static absl::StatusOr<std::unique_ptr<Interpreter>> Make(
      RankProgram program, StageBackend* backend);

  // Once, before the first step.
  void Attach(std::unique_ptr<Transport> transport) ABSL_LOCKS_EXCLUDED(mutex_);

  // Runs the list; steps count from 1. `between`, if there is one, is called
  // before each action, when the receives ahead of it have their memory, and
  // after the last.
  //   FAILED_PRECONDITION  no transport is attached.
  //   DEADLINE_EXCEEDED    names the action that waits, for what, and the
  //                        latest ones that ran.
  //   the status of `Cancel`; those of backend and transport, with the action
  //   before the message.
  absl::StatusOr<StepTiming> RunStep(
      int64_t step, const std::function<void()>& between = nullptr);

  // Any thread. The first one counts.
  void Cancel(absl::Status why) ABSL_LOCKS_EXCLUDED(mutex_);

  const ActionRing& trace() const { return trace_; }

  // What the `RunStep` that failed was at; unset before one has.
  std::optional<MissingAction> Missing() const;
  // Over the epoch so far.
  std::vector<EdgeTraffic> EdgeTotals() const { return counters_.Totals(); }

 private:
  // An action with what its execution needs.
  struct Cell {
    Action action;
    // Communication.
    ChannelId channel;
    // A receive that has been posted in this step.
    RequestId request = 0;
    at::Tensor buffer;
    // What it is on the wire; the same where it is not encoded.
    at::Tensor wire;
  };
  struct Sending {
    RequestId request = 0;
    // Keeps the bytes alive.
    at::Tensor tensor;
    ChannelId channel;
    int64_t tensor_bytes = 0;
    // When it was posted, and what the rank had computed by then.
    int64_t posted_nanos = 0;
    int64_t busy_nanos = 0;
  };

  Interpreter(RankProgram program, StageBackend* backend, ChannelMap channels,
              EdgeWires wires);

  absl::Status RunCells(int64_t step, const std::function<void()>& between);
  StepTrace TraceOfStep(int64_t step) const;
  // The cell of the first send that is not complete, after the last cell of a
  // step. Requires: there is one.
  size_t OldestSend() const;
  absl::Status Run(int64_t step, Cell& cell);
  absl::Status RunCompute(const Action& action);
  absl::Status RunSend(int64_t step, Cell& cell);
  absl::Status RunReceive(Cell& cell);
  absl::Status RunReduction(int64_t step, const Action& action);
  absl::Status PollReductions();
  absl::StatusOr<bool> ReduceUntilReceived(Cell& cell, absl::Time deadline);
  absl::Status FinishReductions();
  absl::Status RunAgreement(int64_t step);
  absl::Status PostReceives(int64_t step, size_t end);
  absl::Status PollSends();
  void NoteSent(const Sending& sending);
  absl::Status FinishSends();
  absl::Status Explain(int64_t step, size_t cell, const absl::Status& status);
  absl::Status Cancelled() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Time Deadline() const;

  const RankProgram program_;
  StageBackend* const backend_;
  NormAgreement agreement_;
  ClockOffset clock_offset_;
  GradientReduction reduction_;
  EdgeCounters counters_;
  EdgeWires wires_;
  std::vector<Cell> cells_;
  std::deque<Sending> sending_;
  // After everything that owns bytes it may still read or write.
  std::unique_ptr<Transport> transport_;
  // Cells before it have their receives posted.
  size_t next_to_post_ = 0;
  int64_t step_start_nanos_ = 0;
  int64_t busy_nanos_ = 0;
  // Of the cell that runs: when all before it was done, and when what it needs
  // was there.
  int64_t cell_issue_nanos_ = 0;
  int64_t cell_start_nanos_ = 0;
  ActionRing trace_;
  // Step and cell that a `RunStep` failed at.
  struct Failure {
    int64_t step = 0;
    size_t cell = 0;
    // Whether the cell had been begun.
    bool is_begun = false;
  };
  std::optional<Failure> failure_;

  std::atomic<bool> is_cancelled_ = false;
  Mutex mutex_;
  absl::Status cancelled_ ABSL_GUARDED_BY(mutex_);
  // The same as `transport_`, for `Cancel`.
  Transport* attached_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_INTERPRETER_H_
