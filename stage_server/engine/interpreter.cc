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

namespace penstock {
namespace {

// How many of the actions before a failure its message names.
constexpr int kTold = 3;

DType DTypeOf(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kBFloat16:
      return DTYPE_BFLOAT16;
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

absl::Span<const std::byte> BytesOf(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()),
          static_cast<size_t>(tensor.nbytes())};
}

}  // namespace

Interpreter::Interpreter(RankProgram program, StageBackend* backend,
                         ChannelMap channels)
    : program_(std::move(program)),
      backend_(backend),
      agreement_(program_.rank, program_.owned_layers, program_.loss_places,
                 channels),
      reduction_(program_.rank, program_.schedule.placement,
                 std::move(channels)) {}

absl::StatusOr<std::unique_ptr<Interpreter>> Interpreter::Make(
    RankProgram program, StageBackend* backend) {
  const ChannelMap channels = ChannelMap::Of(program.schedule);
  const RankId rank = program.rank;
  std::unique_ptr<Interpreter> interpreter(
      new Interpreter(std::move(program), backend, channels));
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

absl::StatusOr<StepTiming> Interpreter::RunStep(int64_t step) {
  PENSTOCK_RETURN_IF_ERROR(Cancelled());
  if (transport_ == nullptr) {
    return absl::FailedPreconditionError("no transport is attached");
  }
  const int64_t start = MonotonicNanos();
  busy_nanos_ = 0;
  next_to_post_ = 0;
  const absl::Status status = RunCells(step);
  if (!status.ok()) {
    // A transport that was cancelled may answer with words of its own.
    PENSTOCK_RETURN_IF_ERROR(Cancelled());
    return status;
  }
  return StepTiming{MonotonicNanos() - start, busy_nanos_};
}

absl::Status Interpreter::RunCells(int64_t step) {
  PENSTOCK_RETURN_IF_ERROR(backend_->BeginStep(step - 1));
  for (size_t i = 0; i < cells_.size(); ++i) {
    PENSTOCK_RETURN_IF_ERROR(Cancelled());
    const size_t ahead = static_cast<size_t>(program_.receive_lookahead) + 1;
    absl::Status status =
        PostReceives(step, std::min(cells_.size(), i + ahead));
    if (status.ok()) status = PollSends();
    cell_start_nanos_ = MonotonicNanos();
    if (status.ok()) status = Run(step, cells_[i]);
    if (!status.ok()) return Explain(step, i, status);
    trace_.Add(
        {step, static_cast<int>(i), cell_start_nanos_, MonotonicNanos()});
  }
  PENSTOCK_RETURN_IF_ERROR(FinishSends());
  return backend_->EndStep();
}

absl::Status Interpreter::Run(int64_t step, Cell& cell) {
  if (IsSend(cell.action.op)) return RunSend(step, cell);
  if (IsReceive(cell.action.op)) return RunReceive(cell);
  if (cell.action.op == Op::kAgreeNorm) return RunAgreement(step);
  if (cell.action.op == Op::kReduceGradient) {
    return RunReduction(step, cell.action);
  }
  const absl::Status status = RunCompute(cell.action);
  busy_nanos_ += MonotonicNanos() - cell_start_nanos_;
  return status;
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
  }
  PENSTOCK_ASSIGN_OR_RETURN(at::Tensor tensor, backend_->Outgoing(cell.action));
  PENSTOCK_ASSIGN_OR_RETURN(
      const RequestId request,
      transport_->PostSend(cell.channel, HeaderOf(step, cell.action, tensor),
                           BytesOf(tensor)));
  sending_.push_back({request, std::move(tensor)});
  return absl::OkStatus();
}

absl::Status Interpreter::RunReceive(Cell& cell) {
  PENSTOCK_RETURN_IF_ERROR(transport_->Wait(cell.request, Deadline()));
  return backend_->Incoming(cell.action, std::move(cell.buffer));
}

absl::Status Interpreter::RunReduction(int64_t step, const Action& action) {
  PENSTOCK_ASSIGN_OR_RETURN(std::vector<at::Tensor> gradients,
                            backend_->Gradients(action.stage));
  return reduction_.Start(step, action.stage, std::move(gradients),
                          *transport_);
}

absl::Status Interpreter::FinishReductions() {
  const int64_t start = MonotonicNanos();
  int64_t waited_nanos = 0;
  PENSTOCK_RETURN_IF_ERROR(
      reduction_.Finish(*transport_, Deadline(), &waited_nanos));
  busy_nanos_ += MonotonicNanos() - start - waited_nanos;
  return absl::OkStatus();
}

absl::Status Interpreter::RunAgreement(int64_t step) {
  PENSTOCK_RETURN_IF_ERROR(FinishReductions());
  const int64_t start = MonotonicNanos();
  int64_t waited_nanos = 0;
  PENSTOCK_ASSIGN_OR_RETURN(const AgreementParts parts, backend_->NormParts());
  PENSTOCK_ASSIGN_OR_RETURN(
      const Agreement agreement,
      agreement_.Agree(step, parts, *transport_, Deadline(), &waited_nanos));
  busy_nanos_ += MonotonicNanos() - start - waited_nanos;
  return backend_->SetNorm(agreement);
}

absl::Status Interpreter::PostReceives(int64_t step, size_t end) {
  for (; next_to_post_ < end; ++next_to_post_) {
    Cell& cell = cells_[next_to_post_];
    if (!IsReceive(cell.action.op)) continue;
    PENSTOCK_ASSIGN_OR_RETURN(cell.buffer, backend_->Buffer(cell.action));
    PENSTOCK_ASSIGN_OR_RETURN(
        cell.request,
        transport_->PostReceive(
            cell.channel, HeaderOf(step, cell.action, cell.buffer),
            absl::MakeSpan(
                static_cast<std::byte*>(cell.buffer.mutable_data_ptr()),
                static_cast<size_t>(cell.buffer.nbytes()))));
  }
  return absl::OkStatus();
}

absl::Status Interpreter::PollSends() {
  while (!sending_.empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(const bool complete,
                              transport_->Test(sending_.front().request));
    if (!complete) break;
    sending_.pop_front();
  }
  return absl::OkStatus();
}

absl::Status Interpreter::FinishSends() {
  for (; !sending_.empty(); sending_.pop_front()) {
    PENSTOCK_RETURN_IF_ERROR(
        transport_->Wait(sending_.front().request, Deadline()));
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
