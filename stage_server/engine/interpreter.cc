#include "stage_server/engine/interpreter.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "schedule/ir/text_format.h"
#include "stage_server/engine/edge_direction.h"
#include "stage_server/engine/evaluation_list.h"
#include "stage_server/engine/step_trace.h"

namespace penstock {
namespace {

// How many of the actions before a failure its message names.
constexpr int kTold = 3;
// Of clocks, where ranks meet only where the run is drained.
constexpr int kFirstExchanges = 4;
// Of clocks, where edges choose by them, so that none has drifted far.
constexpr int64_t kAutoExchangeSteps = 8;

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

MessageHeader HeaderOf(const RunList::InStep& of, const at::Tensor& tensor) {
  return {of.step,
          of.microbatch,
          DTypeOf(tensor),
          {tensor.sizes().begin(), tensor.sizes().end()}};
}

// Whether an action's time from its start counts as busy. N counts its own.
bool IsWork(Op op) { return IsCompute(op) || op == Op::kUpdate; }

absl::Span<const std::byte> BytesOf(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()),
          static_cast<size_t>(tensor.nbytes())};
}

// On losses alone.
NormAgreement LossAgreement(const RankProgram& program) {
  const auto num_ranks = static_cast<size_t>(program.schedule.num_ranks());
  std::vector<int> places = program.evaluation_loss_places;
  places.resize(num_ranks);
  return NormAgreement(program.rank, std::vector<std::vector<int>>(num_ranks),
                       std::move(places), ChannelMap::Of(program.schedule));
}

absl::Status CheckWire(const RankProgram& program) {
  if (!program.schedule.is_continuous() || program.wire.compress() != "auto") {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "wire.compress: auto chooses anew where a step has ended everywhere, and "
      "schedule ",
      program.schedule.name,
      " never drains; want none, bf16, fp16 or fp8_block"));
}

}  // namespace

Interpreter::Interpreter(RankProgram program, StageBackend* backend,
                         ChannelMap channels, EdgeWires wires, RunList list)
    : program_(std::move(program)),
      backend_(backend),
      agreement_(program_.rank, program_.owned_layers, program_.loss_places,
                 channels),
      clock_offset_(program_.rank, program_.schedule.num_ranks(), channels),
      reduction_(program_.rank, program_.schedule.placement,
                 std::move(channels)),
      counters_(static_cast<int>(program_.schedule.edges.size())),
      wires_(std::move(wires)),
      list_(std::move(list)),
      evaluation_agreement_(LossAgreement(program_)),
      trace_(2 * list_.cells().size()) {}

absl::StatusOr<std::unique_ptr<Interpreter>> Interpreter::Make(
    RankProgram program, StageBackend* backend) {
  const ChannelMap channels = ChannelMap::Of(program.schedule);
  const RankId rank = program.rank;
  PENSTOCK_RETURN_IF_ERROR(CheckWire(program));
  PENSTOCK_ASSIGN_OR_RETURN(EdgeWires wires, EdgeWires::Make(program.wire));
  PENSTOCK_ASSIGN_OR_RETURN(
      RunList list, RunList::Make(program.schedule, rank,
                                  {program.num_steps, program.drain_every,
                                   program.steps_before, program.newest_only}));
  std::unique_ptr<Interpreter> interpreter(
      new Interpreter(std::move(program), backend, channels, std::move(wires),
                      std::move(list)));
  for (const Action& action : interpreter->list_.cells()) {
    ChannelId& channel = interpreter->channel_of_cell_.emplace_back();
    if (!IsSend(action.op) && !IsReceive(action.op)) continue;
    PENSTOCK_ASSIGN_OR_RETURN(channel,
                              interpreter->ChannelOf(channels, action));
    const Edge& edge =
        interpreter->program_.schedule.edges[action.edge.value()];
    if (edge.kind != EdgeKind::kActivation) continue;
    PENSTOCK_ASSIGN_OR_RETURN(const ChannelId back,
                              interpreter->ChannelBack(channels, action));
    interpreter->wires_.AddChannel(channel, back, DirectionOf(action.op),
                                   IsSend(action.op));
  }
  PENSTOCK_RETURN_IF_ERROR(interpreter->AddEvaluation(channels));
  return interpreter;
}

absl::StatusOr<ChannelId> Interpreter::ChannelOf(const ChannelMap& channels,
                                                 const Action& action) const {
  const bool sends = IsSend(action.op);
  return channels.OfEdge(action.edge, DirectionOf(action.op),
                         sends ? program_.rank : action.peer,
                         sends ? action.peer : program_.rank);
}

absl::StatusOr<ChannelId> Interpreter::ChannelBack(const ChannelMap& channels,
                                                   const Action& action) const {
  const bool sends = IsSend(action.op);
  return channels.OfEdge(
      action.edge,
      DirectionOf(action.op) == Direction::kForward ? Direction::kBackward
                                                    : Direction::kForward,
      sends ? action.peer : program_.rank, sends ? program_.rank : action.peer);
}

absl::Status Interpreter::AddEvaluation(const ChannelMap& channels) {
  if (program_.evaluation_microbatches == 0) return absl::OkStatus();
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<Action> actions,
                            EvaluationList(program_.schedule, program_.rank,
                                           program_.evaluation_microbatches));
  for (const Action& action : actions) {
    EvaluationCell& cell = evaluation_.emplace_back();
    cell.action = action;
    if (action.op == Op::kForward) continue;
    PENSTOCK_ASSIGN_OR_RETURN(cell.channel, ChannelOf(channels, action));
  }
  return absl::OkStatus();
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
  if (!list_.runs_on()) {
    position_ = 0;
    next_to_post_ = 0;
  } else if (position_ == list_.size()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the run of ", list_.num_steps(), " steps is over"));
  }
  step_begin_ = position_;
  step_start_nanos_ = MonotonicNanos();
  busy_nanos_ = 0;
  const absl::Status status = RunActions(step, between);
  if (!status.ok()) {
    // A transport that was cancelled may answer with words of its own.
    PENSTOCK_RETURN_IF_ERROR(Cancelled());
    return status;
  }
  return StepTiming{MonotonicNanos() - step_start_nanos_, busy_nanos_,
                    TakeTrace(step)};
}

absl::Status Interpreter::RunActions(int64_t step,
                                     const std::function<void()>& between) {
  PENSTOCK_RETURN_IF_ERROR(backend_->BeginStep(step - 1));
  if (list_.runs_on() && (position_ == 0 || list_.IsDrainedAfter(step - 1))) {
    // Elsewhere ranks are not at the same place.
    failure_ = {step, position_, /*is_begun=*/false};
    for (int i = 0; i < kFirstExchanges; ++i) {
      PENSTOCK_RETURN_IF_ERROR(
          clock_offset_.Exchange(step, *transport_, Deadline()));
    }
  }
  cell_issue_nanos_ = MonotonicNanos();
  for (const int64_t end = list_.EndOf(step); position_ < end; ++position_) {
    PENSTOCK_RETURN_IF_ERROR(RunNext(step, between));
  }
  failure_.reset();
  if (between) between();
  const bool is_drained = list_.IsDrainedAfter(step);
  if (is_drained) {
    if (const absl::Status status = FinishSends(); !status.ok()) {
      failure_ = {step, sending_.front().position, /*is_begun=*/true};
      return Explain(step, failure_->position, status);
    }
  }
  PENSTOCK_RETURN_IF_ERROR(EndWires(step));
  PENSTOCK_RETURN_IF_ERROR(backend_->EndStep());
  return is_drained ? backend_->EndList() : absl::OkStatus();
}

absl::Status Interpreter::EndWires(int64_t step) {
  std::optional<ClockSample> clock;
  if (clock_offset_.is_known()) clock = clock_offset_.best();
  return wires_.EndStep(step, busy_nanos_, clock, *transport_, Deadline());
}

absl::Status Interpreter::Evaluate(int64_t step) {
  PENSTOCK_RETURN_IF_ERROR(Cancelled());
  if (transport_ == nullptr || evaluation_.empty() ||
      !list_.IsDrainedAfter(step)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "step ", step,
        ": an evaluation needs a transport, microbatches and a drained list"));
  }
  const int64_t position = std::exchange(position_, 0);
  const int64_t next_to_post = std::exchange(next_to_post_, 0);
  evaluating_ = true;
  step_begin_ = 0;
  step_start_nanos_ = MonotonicNanos();
  const absl::Status status = RunEvaluation(step);
  if (!status.ok()) {
    PENSTOCK_RETURN_IF_ERROR(Cancelled());
    return status;
  }
  evaluating_ = false;
  position_ = position;
  next_to_post_ = next_to_post;
  return absl::OkStatus();
}

absl::Status Interpreter::RunEvaluation(int64_t step) {
  PENSTOCK_RETURN_IF_ERROR(backend_->BeginEvaluation());
  const auto end = static_cast<int64_t>(evaluation_.size());
  cell_issue_nanos_ = MonotonicNanos();
  for (; position_ < end; ++position_) {
    failure_ = {step, position_, /*is_begun=*/true};
    PENSTOCK_RETURN_IF_ERROR(Cancelled());
    absl::Status status = PostReceives(
        step, std::min(end, position_ + program_.receive_lookahead + 1));
    if (status.ok()) status = PollSends();
    if (status.ok()) status = Run(step, IssueAt(step, position_));
    if (!status.ok()) return Explain(step, position_, status);
  }
  failure_.reset();
  if (const absl::Status status = FinishSends(); !status.ok()) {
    return Explain(step, sending_.front().position, status);
  }
  return AgreeOnEvaluation(step);
}

absl::Status Interpreter::AgreeOnEvaluation(int64_t step) {
  const std::vector<int>& places = program_.evaluation_loss_places;
  if (std::all_of(places.begin(), places.end(),
                  [](int of_rank) { return of_rank == 0; })) {
    return backend_->EndEvaluation(std::nullopt);
  }
  int64_t waited_nanos = 0;
  PENSTOCK_ASSIGN_OR_RETURN(const AgreementParts parts,
                            backend_->EvaluationParts());
  PENSTOCK_ASSIGN_OR_RETURN(
      const Agreement agreement,
      evaluation_agreement_.Agree(step, parts, *transport_, Deadline(),
                                  &waited_nanos));
  return backend_->EndEvaluation(agreement.mean_loss);
}

absl::Status Interpreter::RunNext(int64_t step,
                                  const std::function<void()>& between) {
  failure_ = {step, position_, /*is_begun=*/false};
  PENSTOCK_RETURN_IF_ERROR(Cancelled());
  failure_->is_begun = true;
  const Issue issue = IssueAt(step, position_);
  absl::Status status =
      PostReceives(step, std::min(list_.NextDrain(position_),
                                  position_ + program_.receive_lookahead + 1));
  if (status.ok()) status = PollSends();
  if (status.ok()) status = PollReductions();
  if (between) between();
  cell_start_nanos_ = MonotonicNanos();
  if (status.ok()) status = Run(step, issue);
  if (!status.ok()) return Explain(step, position_, status);
  const int64_t end = MonotonicNanos();
  if (IsWork(issue.action.op)) busy_nanos_ += end - cell_start_nanos_;
  if (program_.traces) {
    trace_.Add({step, position_, cell_issue_nanos_, cell_start_nanos_, end});
  }
  cell_issue_nanos_ = end;
  return absl::OkStatus();
}

Action Interpreter::ActionAt(int64_t position) const {
  return evaluating_ ? evaluation_[static_cast<size_t>(position)].action
                     : list_.ActionAt(position);
}

Interpreter::Issue Interpreter::IssueAt(int64_t step, int64_t position) const {
  Issue issue = {position, ActionAt(position)};
  if (evaluating_) {
    issue.channel = evaluation_[static_cast<size_t>(position)].channel;
    // Behind those of the step.
    issue.of = {step, program_.schedule.num_microbatches +
                          issue.action.microbatch.value()};
    return issue;
  }
  if (!IsSend(issue.action.op) && !IsReceive(issue.action.op)) return issue;
  issue.channel = channel_of_cell_[list_.PlaceAt(position).cell];
  issue.of = list_.StepOf(step, issue.action.microbatch);
  if (list_.runs_on() && issue.action.microbatch == kWholeStep) {
    issue.of = {issue.action.version.value_or(0), kWholeStep.value()};
  }
  return issue;
}

StepTrace Interpreter::TraceOfActions(int64_t step, int64_t begin,
                                      int64_t end) const {
  std::vector<ActionRecord> records =
      trace_.Latest(static_cast<size_t>(position_ - begin));
  std::erase_if(records, [&](const ActionRecord& record) {
    return record.action < begin || record.action >= end ||
           (!list_.runs_on() && record.step != step);
  });
  const int64_t start = list_.runs_on() && !records.empty()
                            ? records.front().issue_nanos
                            : step_start_nanos_;
  StepTrace trace = TraceOf(step, start, records);
  const ClockSample clock = clock_offset_.best();
  trace.set_clock_offset_nanos(clock.offset_nanos);
  trace.set_round_trip_nanos(clock.round_trip_nanos);
  return trace;
}

std::optional<StepTrace> Interpreter::TakeTrace(int64_t step) {
  const std::optional<RunList::Traced> traced =
      list_.TracedBefore(step, position_);
  if (!program_.traces || !traced.has_value()) return std::nullopt;
  if (list_.runs_on() && traced->step == traced_step_) return std::nullopt;
  traced_step_ = traced->step;
  if (!IsTracedStep(traced->step, static_cast<size_t>(list_.traced_size()))) {
    return std::nullopt;
  }
  return TraceOfActions(traced->step, traced->begin, traced->end);
}

std::optional<MissingAction> Interpreter::Missing() const {
  if (!failure_.has_value()) return std::nullopt;
  MissingAction missing;
  missing.set_step(failure_->step);
  // Of an evaluation there is no place in the schedule's list, and that of a
  // run that begins behind other steps is not its writer's.
  const int64_t place =
      failure_->position - list_.LatestDrain(failure_->position);
  missing.set_position(evaluating_ || program_.steps_before > 0
                           ? -1
                           : static_cast<int>(std::min<int64_t>(
                                 place, std::numeric_limits<int32_t>::max())));
  // Evaluations are not traced.
  if (evaluating_) return missing;
  StepTrace& trace = *missing.mutable_trace();
  trace = TraceOfActions(failure_->step, step_begin_, list_.size());
  if (failure_->is_begun) {
    trace.add_issued(cell_issue_nanos_ - trace.start_nanos());
  }
  return missing;
}

absl::Status Interpreter::Run(int64_t step, const Issue& issue) {
  if (IsSend(issue.action.op)) return RunSend(issue);
  if (IsReceive(issue.action.op)) return RunReceive(issue);
  if (issue.action.op == Op::kAgreeNorm) return RunAgreement(step);
  if (issue.action.op == Op::kReduceGradient) {
    return RunReduction(step, issue.action);
  }
  if (issue.action.op == Op::kUpdate) {
    PENSTOCK_RETURN_IF_ERROR(FinishReductionOf(issue.action));
  }
  return RunCompute(issue.action);
}

absl::Status Interpreter::RunCompute(const Action& action) {
  switch (action.op) {
    case Op::kForward:
      for (int i = 0; i < action.num_microbatches; ++i) {
        PENSTOCK_RETURN_IF_ERROR(backend_->Forward(
            action.stage, MicrobatchId(action.microbatch.value() + i),
            action.version));
      }
      return absl::OkStatus();
    case Op::kBackward:
      return backend_->Backward(action.stage, action.microbatch, action.half,
                                action.version);
    case Op::kBackwardInput:
      return backend_->BackwardInput(action.stage, action.microbatch,
                                     action.half, action.version);
    case Op::kBackwardWeight:
      return backend_->BackwardWeight(action.stage, action.microbatch,
                                      action.half, action.version);
    case Op::kRecompute:
      return backend_->Recompute(action.stage, action.microbatch,
                                 action.version);
    case Op::kUpdate:
      return backend_->Update(action.stage, action.version);
    default:
      return absl::UnimplementedError("this engine does not run the op");
  }
}

absl::Status Interpreter::RunSend(const Issue& issue) {
  // A tied weight's gradient is that of all copies.
  if (issue.action.microbatch == kWholeStep) {
    PENSTOCK_RETURN_IF_ERROR(FinishReductions());
    cell_start_nanos_ = MonotonicNanos();
  }
  PENSTOCK_ASSIGN_OR_RETURN(at::Tensor tensor,
                            backend_->Outgoing(issue.action));
  Sending sending;
  sending.position = issue.position;
  PENSTOCK_ASSIGN_OR_RETURN(sending.tensor,
                            wires_.ToWire(issue.channel, tensor));
  const int64_t posted_nanos = MonotonicNanos();
  if (!sending.tensor.is_same(tensor)) {
    busy_nanos_ += posted_nanos - cell_start_nanos_;
  }
  if (!evaluating_) wires_.Sent(issue.channel, posted_nanos);
  PENSTOCK_ASSIGN_OR_RETURN(
      sending.request,
      transport_->PostSend(issue.channel, HeaderOf(issue.of, tensor),
                           BytesOf(sending.tensor)));
  counters_.Add(issue.action.edge, DirectionOf(issue.action.op),
                static_cast<int64_t>(sending.tensor.nbytes()),
                static_cast<int64_t>(tensor.nbytes()));
  sending_.push_back(std::move(sending));
  return absl::OkStatus();
}

absl::Status Interpreter::RunReceive(const Issue& issue) {
  const absl::Time deadline = Deadline();
  Receiving& receiving = receiving_.front();
  PENSTOCK_ASSIGN_OR_RETURN(const bool came,
                            ReduceUntilReceived(receiving.request, deadline));
  if (!came) {
    PENSTOCK_RETURN_IF_ERROR(transport_->Wait(receiving.request, deadline));
  }
  cell_start_nanos_ = MonotonicNanos();
  if (!evaluating_) {
    wires_.Received(issue.channel,
                    static_cast<int64_t>(receiving.wire.nbytes()),
                    static_cast<int64_t>(receiving.buffer.nbytes()),
                    cell_issue_nanos_, cell_start_nanos_);
  }
  if (!receiving.wire.is_same(receiving.buffer)) {
    const int64_t start = MonotonicNanos();
    PENSTOCK_RETURN_IF_ERROR(
        wires_.FromWire(issue.channel, receiving.wire, receiving.buffer));
    busy_nanos_ += MonotonicNanos() - start;
  }
  at::Tensor tensor = std::move(receiving.buffer);
  receiving_.pop_front();
  return backend_->Incoming(issue.action, std::move(tensor));
}

// The transport only moves what has been posted; what a reduction is to post
// next follows from what has come.
absl::StatusOr<bool> Interpreter::ReduceUntilReceived(RequestId request,
                                                      absl::Time deadline) {
  while (reduction_.is_active() && SystemClock().Now() < deadline) {
    PENSTOCK_ASSIGN_OR_RETURN(const bool came, transport_->Test(request));
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
  return reduction_.Start(action.version.value_or(step), action.stage,
                          std::move(gradients), *transport_);
}

// Of the version that an update makes; N has waited for those of a flush.
absl::Status Interpreter::FinishReductionOf(const Action& update) {
  if (!update.version.has_value() || !reduction_.is_active()) {
    return absl::OkStatus();
  }
  const absl::Status status = reduction_.FinishOne(
      *update.version, update.stage, *transport_, Deadline());
  busy_nanos_ += reduction_.TakeBusyNanos();
  cell_start_nanos_ = MonotonicNanos();
  return status;
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
  if (IsSampledStep(step) ||
      (wires_.is_auto() && step % kAutoExchangeSteps == 0)) {
    PENSTOCK_RETURN_IF_ERROR(
        clock_offset_.Exchange(step, *transport_, Deadline()));
  }
  PENSTOCK_RETURN_IF_ERROR(backend_->SetNorm(agreement));
  // Its arithmetic is told as one piece at its end.
  cell_start_nanos_ = MonotonicNanos() - (busy_nanos_ - busy_before);
  return absl::OkStatus();
}

absl::Status Interpreter::PostReceives(int64_t step, int64_t end) {
  for (; next_to_post_ < end; ++next_to_post_) {
    const Issue issue = IssueAt(step, next_to_post_);
    if (!IsReceive(issue.action.op)) continue;
    Receiving receiving;
    PENSTOCK_ASSIGN_OR_RETURN(receiving.buffer, backend_->Buffer(issue.action));
    PENSTOCK_ASSIGN_OR_RETURN(
        receiving.wire, wires_.WireBuffer(issue.channel, receiving.buffer));
    PENSTOCK_ASSIGN_OR_RETURN(
        receiving.request,
        transport_->PostReceive(
            issue.channel, HeaderOf(issue.of, receiving.buffer),
            absl::MakeSpan(
                static_cast<std::byte*>(receiving.wire.mutable_data_ptr()),
                static_cast<size_t>(receiving.wire.nbytes()))));
    receiving_.push_back(std::move(receiving));
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

absl::Status Interpreter::Explain(int64_t step, int64_t position,
                                  const absl::Status& status) {
  const auto name = [&](int64_t at) {
    return ToString(ActionAt(at), program_.schedule.edges);
  };
  std::string message =
      absl::StrCat("step ", step, ", rank ", program_.rank.value(), ", action ",
                   position, " (", name(position), "): ", status.message());
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
