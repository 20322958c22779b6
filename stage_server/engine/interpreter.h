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
#include "stage_server/engine/run_list.h"
#include "stage_server/engine/stage_backend.h"
#include "stage_server/transport/transport.h"

namespace penstock {

// What a rank runs.
struct RankProgram {
  RankId rank;
  // Only this rank's lists are read. They have been checked.
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
  // Of the job; matters to schedules that never drain.
  int64_t num_steps = 0;
  // Such schedules are drained after every so many steps; 0: only at the end.
  int64_t drain_every = 0;
  // Steps that were made before, and whether they left nothing but the newest
  // weights (RunList::Span).
  int64_t steps_before = 0;
  bool newest_only = false;
  // Of an evaluation; 0: there are none.
  int evaluation_microbatches = 0;
  // Index is the rank: losses that it brings to an evaluation's agreement, if
  // several ranks have some.
  std::vector<int> evaluation_loss_places;
};

// How long a step took, by this thread's own clock.
struct StepTiming {
  int64_t step_nanos = 0;
  // In compute, updates and the arithmetic of agreement.
  int64_t busy_nanos = 0;
  // Of the steps that are reported (`IsTracedStep`): a step's, or where the
  // schedule never drains, that of a repetition of its period, whose step is
  // the one that ends in it. An index is the place in the step's or the
  // period's list.
  std::optional<StepTrace> trace;
};

// Runs a rank's action list, one step at a time: each action in its order, as
// soon as what it takes is there. It has no schedule logic: what runs when is
// the list's to say.
//
// Sends are posted and kept until they are complete, at the latest at the end
// of the list; receives are posted ahead, within the list, into memory of the
// backend's; in between both are polled, and reductions go on.
//
// The list is one step's, or where the schedule never drains the whole run's
// (run_list.h): there a step is a stretch of it, nothing is waited for at its
// end, and receives of later steps may have been posted. Messages name step and
// microbatch within the step either way.
//
// Used by one thread, except `Cancel`.
class Interpreter {
 public:
  //   NOT_FOUND         a communication action has no channel.
  //   INVALID_ARGUMENT  as EdgeWires::Make and RunList::Make; wire.compress
  //   auto,
  //                     for which ranks meet after a step, where none ends.
  static absl::StatusOr<std::unique_ptr<Interpreter>> Make(
      RankProgram program, StageBackend* backend);

  // Once, before the first step.
  void Attach(std::unique_ptr<Transport> transport) ABSL_LOCKS_EXCLUDED(mutex_);

  // Runs the list, or its next step; steps count from 1 and, where the list is
  // the run's, up. `between`, if there is one, is called before each action,
  // when the receives ahead of it have their memory, and after the last.
  //   FAILED_PRECONDITION  no transport is attached; the run is over.
  //   DEADLINE_EXCEEDED    names the action that waits, for what, and the
  //                        latest ones that ran.
  //   the status of `Cancel`; those of backend and transport, with the action
  //   before the message.
  absl::StatusOr<StepTiming> RunStep(
      int64_t step, const std::function<void()>& between = nullptr);

  // Runs the forwards of an evaluation; all ranks do after the same step.
  //   FAILED_PRECONDITION  the list has not been drained after the step that
  //                        ran last.
  //   else as `RunStep`.
  absl::Status Evaluate(int64_t step);

  // Makes `step` the last one, as of a job that has so many; between two steps.
  // The other ranks have to do the same.
  //   FAILED_PRECONDITION  as RunList::StopAfter.
  absl::Status StopAfter(int64_t step) {
    return list_.StopAfter(step, next_to_post_);
  }

  // Any thread. The first one counts.
  void Cancel(absl::Status why) ABSL_LOCKS_EXCLUDED(mutex_);

  const RunList& list() const { return list_; }
  const ActionRing& trace() const { return trace_; }

  // What the `RunStep` that failed was at; unset before one has.
  std::optional<MissingAction> Missing() const;
  // Over the epoch so far.
  std::vector<EdgeTraffic> EdgeTotals() const { return counters_.Totals(); }

 private:
  // An action of the list as it is to be run.
  struct Issue {
    // In the list.
    int64_t position = 0;
    Action action;
    // Communication.
    ChannelId channel;
    // Communication: what the message is of.
    RunList::InStep of;
  };
  // A receive that has been posted.
  struct Receiving {
    RequestId request = 0;
    at::Tensor buffer;
    // What it is on the wire; the same where it is not encoded.
    at::Tensor wire;
  };
  struct Sending {
    RequestId request = 0;
    // In the list.
    int64_t position = 0;
    // Keeps the bytes alive.
    at::Tensor tensor;
  };

  // An action of the evaluation's list, and its channel.
  struct EvaluationCell {
    Action action;
    ChannelId channel;
  };

  Interpreter(RankProgram program, StageBackend* backend, ChannelMap channels,
              EdgeWires wires, RunList list);

  absl::Status AddEvaluation(const ChannelMap& channels);
  absl::StatusOr<ChannelId> ChannelOf(const ChannelMap& channels,
                                      const Action& action) const;
  // Of the same edge, the other way.
  absl::StatusOr<ChannelId> ChannelBack(const ChannelMap& channels,
                                        const Action& action) const;
  absl::Status RunEvaluation(int64_t step);
  absl::Status AgreeOnEvaluation(int64_t step);

  absl::Status RunActions(int64_t step, const std::function<void()>& between);
  // `position_`'s, between `between` and what is polled.
  absl::Status RunNext(int64_t step, const std::function<void()>& between);
  absl::Status EndList(int64_t step);
  Issue IssueAt(int64_t step, int64_t position) const;
  Action ActionAt(int64_t position) const;
  // Of what has run of the list from `begin` to before `end`.
  StepTrace TraceOfActions(int64_t step, int64_t begin, int64_t end) const;
  std::optional<StepTrace> TakeTrace(int64_t step);
  absl::Status Run(int64_t step, const Issue& issue);
  absl::Status RunCompute(const Action& action);
  absl::Status RunSend(const Issue& issue);
  absl::Status RunReceive(const Issue& issue);
  absl::Status RunReduction(int64_t step, const Action& action);
  absl::Status PollReductions();
  absl::StatusOr<bool> ReduceUntilReceived(RequestId request,
                                           absl::Time deadline);
  absl::Status FinishReductions();
  absl::Status FinishReductionOf(const Action& update);
  absl::Status RunAgreement(int64_t step);
  absl::Status PostReceives(int64_t step, int64_t end);
  absl::Status PollSends();
  absl::Status EndWires(int64_t step);
  absl::Status FinishSends();
  absl::Status Explain(int64_t step, int64_t position,
                       const absl::Status& status);
  absl::Status Cancelled() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Time Deadline() const;

  const RankProgram program_;
  StageBackend* const backend_;
  NormAgreement agreement_;
  ClockOffset clock_offset_;
  GradientReduction reduction_;
  EdgeCounters counters_;
  EdgeWires wires_;
  RunList list_;
  // By cell of the list; of communication.
  std::vector<ChannelId> channel_of_cell_;
  std::vector<EvaluationCell> evaluation_;
  NormAgreement evaluation_agreement_;
  // Positions are of `evaluation_`.
  bool evaluating_ = false;
  // In the order of the list.
  std::deque<Receiving> receiving_;
  std::deque<Sending> sending_;
  // After everything that owns bytes it may still read or write.
  std::unique_ptr<Transport> transport_;
  // In the list: what runs next, and where the step began that runs. What is
  // before `next_to_post_` has its receives posted.
  int64_t position_ = 0;
  int64_t step_begin_ = 0;
  int64_t next_to_post_ = 0;
  // Traces up to this step have been handed over.
  int64_t traced_step_ = 0;
  int64_t step_start_nanos_ = 0;
  int64_t busy_nanos_ = 0;
  // Of the action that runs: when all before it was done, and when what it
  // needs was there.
  int64_t cell_issue_nanos_ = 0;
  int64_t cell_start_nanos_ = 0;
  ActionRing trace_;
  // Step and place in the list that a `RunStep` failed at.
  struct Failure {
    int64_t step = 0;
    int64_t position = 0;
    // Whether the action had been begun.
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
