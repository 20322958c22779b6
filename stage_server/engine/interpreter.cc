#include "stage_server/engine/interpreter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "schedule/ir/text_format.h"
#include "stage_server/engine/edge_direction.h"
#include "stage_server/engine/step_trace.h"

namespace penstock {
namespace {

// How many of the actions before a failure its message names.
constexpr int kTold = 3;

DType DTypeOf(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kBFloat16:
      return DTYPE_BFLOAT16;
    case at::kHalf:
      return DTYPE_FLOAT16;
    case at::kLong:
      return DTYPE_INT64;
    default:
      return DTYPE_FLOAT32;
  }
}

MessageHeader HeaderOf(int64_t step, const Action& action,
                       const at::Tensor& tensor) {
  return {step,
          action.microbatch.value(),
          DTypeOf(tensor),
          {tensor.sizes().begin(), tensor.sizes().end()}};
}

// Whether an action's time from its start counts as busy. N counts its own.
bool IsWork(Op op) { return IsCompute(op) || op == Op::kUpdate; }

absl::Span<const std::byte> BytesOf(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()),
          static_cast<size_t>(tensor.nbytes())};
}

}  // namespace

Interpreter::Interpreter(RankProgram program, StageBackend* backend,
                         ChannelMap channels, EdgeWires wires)
    : program_(std::move(program)),
      backend_(backend),
      agreement_(program_.rank, program_.owned_layers, program_.loss_places,
                 channels),
      clock_offset_(program_.rank, program_.schedule.num_ranks(), channels),
      reduction_(program_.rank, program_.schedule.placement,
                 std::move(channels)),
      counters_(static_cast<int>(program_.schedule.edges.size())),
      wires_(std::move(wires)),
      trace_(program_.schedule.ranks[program_.rank.value()].size()) {}

absl::StatusOr<std::unique_ptr<Interpreter>> Interpreter::Make(
    RankProgram program, StageBackend* backend) {
  const ChannelMap channels = ChannelMap::Of(program.schedule);
  const RankId rank = program.rank;
  PENSTOCK_ASSIGN_OR_RETURN(EdgeWires wires, EdgeWires::Make(program.wire));
  std::unique_ptr<Interpreter> interpreter(
      new Interpreter(std::move(program), backend, channels, std::move(wires)));
  for (const Action& action :
       interpreter->program_.schedule.ranks[rank.value()]) {
    Cell& cell = interpreter->cells_.emplace_back();
    cell.action = action;
    if (!IsSend(action.op) && !IsReceive(action.op)) continue;
    const bool sends = IsSend(action.op);
    PENSTOCK_ASSIGN_OR_RETURN(
        cell.channel, channels.OfEdge(action.edge, DirectionOf(action.op),
                                      sends ? rank : action.peer,
                                      sends ? action.peer : rank));
    const Edge& edge =
        interpreter->program_.schedule.edges[action.edge.value()];
    if (edge.kind != EdgeKind::kActivation) continue;
    interpreter->wires_.AddChannel(cell.channel, DirectionOf(action.op), sends);
  }
  return interpreter;
}

void Interpreter::Attach(std::unique_ptr<Transport> transport) {
  transport_ = std::move(transport);
  absl::Status cancelled;
  {
    MutexLock lock(&mutex_);
    attached_ = transport_.get();
    cancelled = cancelled_;
  }
  if (!cancelled.ok()) transport_->Cancel(cancelled);
}

void Interpreter::Cancel(absl::Status why) {
  MutexLock lock(&mutex_);
  if (!cancelled_.ok()) return;
  cancelled_ = why;
  is_cancelled_.store(true);
  // Under the lock: the interpreter, and with it the transport, may be
  // destroyed only after `Cancel` has returned.
  if (attached_ != nullptr) attached_->Cancel(std::move(why));
}

absl::Status Interpreter::Cancelled() {
  if (!is_cancelled_.load(std::memory_order_relaxed)) return absl::OkStatus();
  MutexLock lock(&mutex_);
  return cancelled_;
}

absl::Time Interpreter::Deadline() const {
  return SystemClock().Now() + program_.step_timeout;
}

absl::StatusOr<StepTiming> Interpreter::RunStep(
    int64_t step, const std::function<void()>& between) {
  PENSTOCK_RETURN_IF_ERROR(Cancelled());
  if (transport_ == nullptr) {
    return absl::FailedPreconditionError("no transport is attached");
  }
  step_start_nanos_ = MonotonicNanos();
  busy_nanos_ = 0;
  next_to_post_ = 0;
  const absl::Status status = RunCells(step, between);
  if (!status.ok()) {
    // A transport that was cancelled may answer with words of its own.
    PENSTOCK_RETURN_IF_ERROR(Cancelled());
    return status;
  }
  StepTiming timing{MonotonicNanos() - step_start_nanos_, busy_nanos_, {}};
  if (program_.traces && IsTracedStep(step, cells_.size())) {
    timing.trace = TraceOfStep(step);
  }
  return timing;
}

absl::Status Interpreter::RunCells(int64_t step,
                                   const std::function<void()>& between) {
  PENSTOCK_RETURN_IF_ERROR(backend_->BeginStep(step - 1));
  cell_issue_nanos_ = MonotonicNanos();
  for (size_t i = 0; i < cells_.size(); ++i) {
    failure_ = {step, i, /*is_begun=*/false};
    PENSTOCK_RETURN_IF_ERROR(Cancelled());
    failure_->is_begun = true;
    const size_t ahead = static_cast<size_t>(program_.receive_lookahead) + 1;
    absl::Status status =
        PostReceives(step, std::min(cells_.size(), i + ahead));
    if (status.ok()) status = PollSends();
    if (status.ok()) status = PollReductions();
    if (between) between();
    cell_start_nanos_ = MonotonicNanos();
    if (status.ok()) status = Run(step, cells_[i]);
    if (!status.ok()) return Explain(step, i, status);
    const int64_t end = MonotonicNanos();
    if (IsWork(cells_[i].action.op)) busy_nanos_ += end - cell_start_nanos_;
    if (program_.traces) {
      trace_.Add({step, static_cast<int>(i), cell_issue_nanos_,
                  cell_start_nanos_, end});
    }
    cell_issue_nanos_ = end;
  }
  failure_.reset();
  if (between) between();
  if (const absl::Status status = FinishSends(); !status.ok()) {
    failure_ = {step, OldestSend(), /*is_begun=*/true};
    return Explain(step, failure_->cell, status);
  }
  PENSTOCK_RETURN_IF_ERROR(
      wires_.EndStep(step, busy_nanos_, *transport_, Deadline()));
  return backend_->EndStep();
}

size_t Interpreter::OldestSend() const {
  // They are posted in the order of the list.
  size_t left = sending_.size();
  size_t cell = cells_.size();
  while (left > 0 && cell > 0) left -= IsSend(cells_[--cell].action.op) ? 1 : 0;
  return cell;
}

StepTrace Interpreter::TraceOfStep(int64_t step) const {
  std::vector<ActionRecord> records = trace_.Latest(cells_.size());
  std::erase_if(records, [step](const ActionRecord& record) {
    return record.step != step;
  });
  StepTrace trace = TraceOf(step, step_start_nanos_, records);
  const ClockSample clock = clock_offset_.best();
  trace.set_clock_offset_nanos(clock.offset_nanos);
  trace.set_round_trip_nanos(clock.round_trip_nanos);
  return trace;
}

std::optional<MissingAction> Interpreter::Missing() const {
  if (!failure_.has_value()) return std::nullopt;
  const Action& action = cells_[failure_->cell].action;
  MissingAction missing;
  missing.set_step(failure_->step);
  missing.set_position(static_cast<int>(failure_->cell));
  missing.set_action(ToString(action, program_.schedule.edges));
  if (IsReceive(action.op)) missing.set_peer(action.peer.value());
  *missing.mutable_trace() = TraceOfStep(failure_->step);
  if (failure_->is_begun) {
    missing.mutable_trace()->add_issued(cell_issue_nanos_ - step_start_nanos_);
  }
  return missing;
}

absl::Status Interpreter::Run(int64_t step, Cell& cell) {
  if (IsSend(cell.action.op)) return RunSend(step, cell);
  if (IsReceive(cell.action.op)) return RunReceive(cell);
  if (cell.action.op == Op::kAgreeNorm) return RunAgreement(step);
  if (cell.action.op == Op::kReduceGradient) {
    return RunReduction(step, cell.action);
  }
  return RunCompute(cell.action);
}

absl::Status Interpreter::RunCompute(const Action& action) {
  switch (action.op) {
    case Op::kForward:
      for (int i = 0; i < action.num_microbatches; ++i) {
        PENSTOCK_RETURN_IF_ERROR(backend_->Forward(
            action.stage, MicrobatchId(action.microbatch.value() + i)));
      }
      return absl::OkStatus();
    case Op::kBackward:
      return backend_->Backward(action.stage, action.microbatch, action.half);
    case Op::kBackwardInput:
      return backend_->BackwardInput(action.stage, action.microbatch,
                                     action.half);
    case Op::kBackwardWeight:
      return backend_->BackwardWeight(action.stage, action.microbatch,
                                      action.half);
    case Op::kRecompute:
      return backend_->Recompute(action.stage, action.microbatch);
    case Op::kUpdate:
      return backend_->Update(action.stage);
    default:
      return absl::UnimplementedError("this engine does not run the op");
  }
}

absl::Status Interpreter::RunSend(int64_t step, Cell& cell) {
  // A tied weight's gradient is that of all copies.
  if (cell.action.microbatch == kWholeStep) {
    PENSTOCK_RETURN_IF_ERROR(FinishReductions());
    cell_start_nanos_ = MonotonicNanos();
  }
  PENSTOCK_ASSIGN_OR_RETURN(at::Tensor tensor, backend_->Outgoing(cell.action));
  Sending sending;
  PENSTOCK_ASSIGN_OR_RETURN(sending.tensor,
                            wires_.ToWire(cell.channel, tensor));
  sending.posted_nanos = MonotonicNanos();
  if (!sending.tensor.is_same(tensor)) {
    busy_nanos_ += sending.posted_nanos - cell_start_nanos_;
  }
  sending.busy_nanos = busy_nanos_;
  sending.channel = cell.channel;
  sending.tensor_bytes = static_cast<int64_t>(tensor.nbytes());
  PENSTOCK_ASSIGN_OR_RETURN(
      sending.request,
      transport_->PostSend(cell.channel, HeaderOf(step, cell.action, tensor),
                           BytesOf(sending.tensor)));
  counters_.Add(cell.action.edge, DirectionOf(cell.action.op),
                static_cast<int64_t>(sending.tensor.nbytes()),
                sending.tensor_bytes);
  sending_.push_back(std::move(sending));
  return absl::OkStatus();
}

absl::Status Interpreter::RunReceive(Cell& cell) {
  const absl::Time deadline = Deadline();
  PENSTOCK_ASSIGN_OR_RETURN(const bool came,
                            ReduceUntilReceived(cell, deadline));
  if (!came) {
    PENSTOCK_RETURN_IF_ERROR(transport_->Wait(cell.request, deadline));
  }
  cell_start_nanos_ = MonotonicNanos();
  if (!cell.wire.is_same(cell.buffer)) {
    const int64_t start = MonotonicNanos();
    PENSTOCK_RETURN_IF_ERROR(
        wires_.FromWire(cell.channel, cell.wire, cell.buffer));
    busy_nanos_ += MonotonicNanos() - start;
  }
  cell.wire.reset();
  return backend_->Incoming(cell.action, std::move(cell.buffer));
}

// The transport only moves what has been posted; what a reduction is to post
// next follows from what has come.
absl::StatusOr<bool> Interpreter::ReduceUntilReceived(Cell& cell,
                                                      absl::Time deadline) {
  while (reduction_.is_active() && SystemClock().Now() < deadline) {
    PENSTOCK_ASSIGN_OR_RETURN(const bool came, transport_->Test(cell.request));
    if (came) return true;
    PENSTOCK_RETURN_IF_ERROR(PollReductions());
    PENSTOCK_RETURN_IF_ERROR(Cancelled());
    PENSTOCK_RETURN_IF_ERROR(transport_->AwaitProgress(deadline));
  }
  return false;
}

absl::Status Interpreter::PollReductions() {
  if (!reduction_.is_active()) return absl::OkStatus();
  const absl::Status status = reduction_.Poll(*transport_);
  busy_nanos_ += reduction_.TakeBusyNanos();
  return status;
}

absl::Status Interpreter::RunReduction(int64_t step, const Action& action) {
  PENSTOCK_ASSIGN_OR_RETURN(std::vector<at::Tensor> gradients,
                            backend_->Gradients(action.stage));
  return reduction_.Start(step, action.stage, std::move(gradients),
                          *transport_);
}

absl::Status Interpreter::FinishReductions() {
  const absl::Status status = reduction_.Finish(*transport_, Deadline());
  busy_nanos_ += reduction_.TakeBusyNanos();
  return status;
}

absl::Status Interpreter::RunAgreement(int64_t step) {
  const int64_t busy_before = busy_nanos_;
  PENSTOCK_RETURN_IF_ERROR(FinishReductions());
  const int64_t start = MonotonicNanos();
  int64_t waited_nanos = 0;
  PENSTOCK_ASSIGN_OR_RETURN(const AgreementParts parts, backend_->NormParts());
  PENSTOCK_ASSIGN_OR_RETURN(
      const Agreement agreement,
      agreement_.Agree(step, parts, *transport_, Deadline(), &waited_nanos));
  const int64_t agreed = MonotonicNanos();
  busy_nanos_ += agreed - start - waited_nanos;
  // Everyone is here just now.
  if (IsSampledStep(step)) {
    PENSTOCK_RETURN_IF_ERROR(
        clock_offset_.Exchange(step, *transport_, Deadline()));
  }
  PENSTOCK_RETURN_IF_ERROR(backend_->SetNorm(agreement));
  // Its arithmetic is told as one piece at its end.
  cell_start_nanos_ = MonotonicNanos() - (busy_nanos_ - busy_before);
  return absl::OkStatus();
}

absl::Status Interpreter::PostReceives(int64_t step, size_t end) {
  for (; next_to_post_ < end; ++next_to_post_) {
    Cell& cell = cells_[next_to_post_];
    if (!IsReceive(cell.action.op)) continue;
    PENSTOCK_ASSIGN_OR_RETURN(cell.buffer, backend_->Buffer(cell.action));
    PENSTOCK_ASSIGN_OR_RETURN(cell.wire,
                              wires_.WireBuffer(cell.channel, cell.buffer));
    PENSTOCK_ASSIGN_OR_RETURN(
        cell.request,
        transport_->PostReceive(
            cell.channel, HeaderOf(step, cell.action, cell.buffer),
            absl::MakeSpan(
                static_cast<std::byte*>(cell.wire.mutable_data_ptr()),
                static_cast<size_t>(cell.wire.nbytes()))));
  }
  return absl::OkStatus();
}

absl::Status Interpreter::PollSends() {
  while (!sending_.empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(const bool complete,
                              transport_->Test(sending_.front().request));
    if (!complete) break;
    NoteSent(sending_.front());
    sending_.pop_front();
  }
  return absl::OkStatus();
}

void Interpreter::NoteSent(const Sending& sending) {
  if (!wires_.enabled()) return;
  wires_.Sent(sending.channel, static_cast<int64_t>(sending.tensor.nbytes()),
              sending.tensor_bytes,
              MonotonicNanos() - sending.posted_nanos -
                  (busy_nanos_ - sending.busy_nanos));
}

absl::Status Interpreter::FinishSends() {
  for (; !sending_.empty(); sending_.pop_front()) {
    PENSTOCK_RETURN_IF_ERROR(
        transport_->Wait(sending_.front().request, Deadline()));
    NoteSent(sending_.front());
  }
  return absl::OkStatus();
}

absl::Status Interpreter::Explain(int64_t step, size_t cell,
                                  const absl::Status& status) {
  const auto name = [&](int64_t index) {
    return ToString(cells_[static_cast<size_t>(index)].action,
                    program_.schedule.edges);
  };
  std::string message = absl::StrCat(
      "step ", step, ", rank ", program_.rank.value(), ", action ", cell, " (",
      name(static_cast<int64_t>(cell)), "): ", status.message());
  if (status.code() == absl::StatusCode::kDeadlineExceeded) {
    const char* separator = "; before it ran ";
    for (const ActionRecord& record : trace_.Latest(kTold)) {
      absl::StrAppend(&message, separator, name(record.action), " of step ",
                      record.step);
      separator = ", ";
    }
  }
  return WithMessage(status, message);
}

}  // namespace penstock
