#include "stage_server/service/executor.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "stage_server/checkpoint/shard_reader.h"
#include "stage_server/transport/transport_errors.h"

namespace penstock {
namespace {

// Where the job sets no time limit.
constexpr absl::Duration kConnectLimit = absl::Seconds(60);

DataAddress ToProto(const TransportAddress& address) {
  DataAddress out;
  out.set_host_identity(address.host_identity);
  for (const auto& [name, bytes] : address.addresses) {
    (*out.mutable_addresses())[name] = bytes;
  }
  return out;
}

TransportAddress FromProto(const DataAddress& address) {
  TransportAddress out;
  out.host_identity = address.host_identity();
  for (const auto& [name, bytes] : address.addresses()) {
    out.addresses[name] = bytes;
  }
  return out;
}

StepReport ToProto(const StepResult& result) {
  StepReport report;
  report.set_step(result.step);
  if (result.loss.has_value()) report.set_loss(*result.loss);
  if (result.gradient_norm.has_value()) {
    report.set_gradient_norm(*result.gradient_norm);
  }
  report.set_step_nanos(result.step_nanos);
  report.set_busy_nanos(result.busy_nanos);
  report.set_learning_rate(result.learning_rate);
  report.set_tokens(result.tokens);
  report.set_skipped(result.skipped);
  if (result.loss_scale.has_value()) report.set_loss_scale(*result.loss_scale);
  if (result.evaluation_loss.has_value()) {
    report.set_evaluation_loss(*result.evaluation_loss);
  }
  return report;
}

RankUse ToProto(const EngineUse& use) {
  RankUse out;
  *out.mutable_memory() = use.memory;
  for (const EdgeTraffic& traffic : use.edges) {
    EdgeUse& edge = *out.add_edges();
    edge.set_edge(traffic.edge.value());
    edge.set_backward(traffic.direction == Direction::kBackward);
    edge.set_messages(traffic.messages);
    edge.set_bytes(traffic.wire_bytes);
    edge.set_tensor_bytes(traffic.tensor_bytes);
  }
  return out;
}

// Steps whose report says what was used: often enough to watch a job, and
// seldom enough to cost nothing.
bool TellsUse(int64_t step, int64_t first_step, int64_t last_step) {
  constexpr int64_t kInterval = 16;
  return step == first_step || step % kInterval == 0 || step == last_step;
}

bool NeverDrains(const Plan& plan) {
  return plan.schedule().policy() != wire::WEIGHT_POLICY_UNSPECIFIED &&
         plan.schedule().policy() != wire::WEIGHT_POLICY_FLUSH;
}

// The first after `step`; 0: none.
int64_t NextMemoryStep(const MemoryTier& tier, int64_t step) {
  const int64_t every = tier.every_steps();
  if (every <= 0) return 0;
  return (std::max(step, tier.from_step()) / every + 1) * every;
}

}  // namespace

Executor::Executor(ExecutorParts parts, const Clock& clock, Sink sink)
    : parts_(std::move(parts)),
      clock_(clock),
      sink_(std::move(sink)),
      thread_([this] { Loop(); }) {}

Executor::~Executor() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    Interrupt(absl::CancelledError("the stage server stops"));
    wake_.SignalAll();
  }
  thread_.join();
}

void Executor::Do(LoadLayers order) { Push(std::move(order)); }
void Executor::Do(ConnectPeers order) { Push(std::move(order)); }
void Executor::Do(RunSteps order) { Push(std::move(order)); }

void Executor::Do(ForgetMemory) {
  if (parts_.memory != nullptr) parts_.memory->KeepOnly("");
}

void Executor::Do(SetMarks order) {
  // At once: peers may send before this rank has got as far.
  if (parts_.memory != nullptr && order.memory.has_value()) {
    parts_.memory->Admit(order.epoch.job_id, order.memory->token());
  }
  MutexLock lock(&mutex_);
  marks_ = order;
  // For one that waits; one that runs looks at the marks by itself.
  orders_.push_back(std::move(order));
  wake_.SignalAll();
}

void Executor::Do(LeaveEpoch order) {
  MutexLock lock(&mutex_);
  Interrupt(order.why);
  orders_.push_back(std::move(order));
  wake_.SignalAll();
}

void Executor::Interrupt(const absl::Status& why) {
  interrupt_.Update(why);
  if (cancel_target_ != nullptr) cancel_target_->Cancel(why);
  if (cancel_store_ != nullptr) cancel_store_->Cancel(why);
  if (cancel_source_ != nullptr) cancel_source_->Cancel(why);
  if (cancel_keeper_ != nullptr) cancel_keeper_->Cancel(why);
}

void Executor::Push(Order order) {
  MutexLock lock(&mutex_);
  orders_.push_back(std::move(order));
  wake_.SignalAll();
}

void Executor::Loop() {
  while (true) {
    std::optional<Order> order;
    {
      MutexLock lock(&mutex_);
      while (orders_.empty() && !stopping_) wake_.Wait(&mutex_);
      if (stopping_) break;
      order = std::move(orders_.front());
      orders_.pop_front();
    }
    if (const auto* leave = std::get_if<LeaveEpoch>(&*order)) {
      Leave(*leave);
      continue;
    }
    if (const auto* load = std::get_if<LoadLayers>(&*order)) {
      epoch_ = load->epoch;
      failed_ = false;
      missing_.reset();
    }
    if (failed_) continue;
    const absl::Status status = std::visit(
        [this](const auto& what) -> absl::Status {
          if constexpr (std::is_same_v<decltype(what), const LeaveEpoch&>) {
            return absl::OkStatus();
          } else {
            return Run(what);
          }
        },
        *order);
    if (status.ok()) continue;
    failed_ = true;
    const bool too_long = absl::IsDeadlineExceeded(status);
    if (engine_ != nullptr) missing_ = engine_->Missing();
    DropEpoch();
    sink_(Failed{epoch_, status, GoneRank(status),
                 too_long ? missing_ : std::nullopt});
  }
  DropEpoch();
}

absl::Status Executor::Run(const LoadLayers& order) {
  PENSTOCK_RETURN_IF_ERROR(Interrupted());
  rank_ = order.rank;
  plan_ = order.plan;
  snapshot_step_ = 0;
  stop_step_ = 0;
  if (parts_.memory != nullptr) parts_.memory->KeepOnly(epoch_.job_id);
  PENSTOCK_RETURN_IF_ERROR(OpenStore(order));
  std::optional<ShardReader> restore;
  if (order.restore.has_value() && order.restore->has_memory()) {
    PENSTOCK_RETURN_IF_ERROR(OpenSource(*order.restore));
    restore.emplace(source_->point(), *source_);
  } else if (order.restore.has_value()) {
    restore.emplace(*order.restore, *store_);
  }
  PENSTOCK_ASSIGN_OR_RETURN(
      engine_, parts_.load_engine(plan_, rank_,
                                  restore.has_value() ? &*restore : nullptr));
  {
    MutexLock lock(&mutex_);
    cancel_target_ = engine_.get();
  }
  // A leave that came while the engine was made has not reached it.
  PENSTOCK_RETURN_IF_ERROR(Interrupted());
  peak_speed_ = parts_.peak_speed(plan_);
  PENSTOCK_ASSIGN_OR_RETURN(endpoint_, parts_.make_endpoint(plan_));
  PENSTOCK_ASSIGN_OR_RETURN(const TransportAddress address,
                            endpoint_->Address());
  sink_(Loaded{epoch_, ToProto(address)});
  return absl::OkStatus();
}

absl::Status Executor::OpenStore(const LoadLayers& order) {
  if (!order.checkpoints.has_value()) {
    if (!order.restore.has_value() || order.restore->has_memory()) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        "the job goes on from a checkpoint, and no store is named");
  }
  PENSTOCK_ASSIGN_OR_RETURN(
      store_, parts_.open_store(*order.checkpoints, order.coordinator_term));
  {
    MutexLock lock(&mutex_);
    cancel_store_ = store_.get();
  }
  writer_ = std::make_unique<SnapshotWriter>(
      *store_, [this, epoch = epoch_](ShardReport report) {
        sink_(ShardsStored{epoch, std::move(report)});
      });
  // A leave that came before the store was there has not reached it.
  return Interrupted();
}

absl::Status Executor::OpenSource(const RestorePoint& restore) {
  source_ = std::make_unique<MemorySource>(
      restore, [this](const std::string& address, const std::string& token,
                      int rank) { return OpenParts(address, token, rank); });
  {
    MutexLock lock(&mutex_);
    cancel_source_ = source_.get();
  }
  // A leave that came before the source was there has not reached it.
  PENSTOCK_RETURN_IF_ERROR(Interrupted());
  return source_->Open();
}

std::unique_ptr<ShardStore> Executor::OpenParts(const std::string& address,
                                                const std::string& token,
                                                int rank) {
  if (parts_.memory != nullptr && address == parts_.memory->address()) {
    return parts_.memory->StoreOf(rank);
  }
  return parts_.open_parts(address, token, rank);
}

absl::Status Executor::Run(const ConnectPeers& order) {
  ConnectRequest request;
  request.job_epoch = order.epoch.job_epoch;
  request.rank = rank_;
  request.epoch_secret = order.epoch_secret;
  for (const DataAddress& peer : order.peers) {
    request.peers.push_back(FromProto(peer));
  }
  request.channels = parts_.channels_of(plan_);
  const double seconds = plan_.job().step_timeout_seconds();
  request.deadline =
      clock_.Now() + (seconds > 0 ? absl::Seconds(seconds) : kConnectLimit);
  request.interrupted = [this] { return Interrupted(); };
  PENSTOCK_ASSIGN_OR_RETURN(std::unique_ptr<Transport> transport,
                            endpoint_->Connect(request));
  engine_->Attach(std::move(transport));
  sink_(Connected{epoch_});
  return absl::OkStatus();
}

absl::Status Executor::Run(const RunSteps& order) {
  const int64_t first_step = engine_->step() + 1;
  while (true) {
    PENSTOCK_RETURN_IF_ERROR(Interrupted());
    PENSTOCK_RETURN_IF_ERROR(HeedMarks());
    const int64_t last_step = stop_step_ > 0 ? stop_step_ : plan_.job().steps();
    if (engine_->step() >= last_step) break;
    PENSTOCK_ASSIGN_OR_RETURN(StepResult result, engine_->RunStep());
    StepDone done{epoch_, ToProto(result), std::move(result.trace),
                  std::nullopt};
    if (TellsUse(result.step, first_step, last_step)) {
      done.use = ToProto(engine_->Use());
      done.use->set_peak_flops_per_second(peak_speed_);
    }
    sink_(std::move(done));
  }
  std::vector<LayerDigest> layers;
  for (const LayerDigestResult& digest : engine_->Digests()) {
    LayerDigest& layer = layers.emplace_back();
    layer.set_layer(digest.layer);
    layer.set_name(digest.name);
    layer.set_sha256(digest.sha256);
  }
  // Engine and channels stay until the epoch is left: a peer may still be
  // taking what the last step sent.
  sink_(RunDone{epoch_, std::move(layers)});
  return absl::OkStatus();
}

absl::Status Executor::Run(const SetMarks& order) {
  return engine_ == nullptr ? absl::OkStatus() : HeedMarks();
}

absl::Status Executor::HeedMarks() {
  SetMarks marks;
  {
    MutexLock lock(&mutex_);
    marks = marks_;
  }
  if (marks.epoch != epoch_) return absl::OkStatus();
  if (marks.stop_step != stop_step_) {
    PENSTOCK_RETURN_IF_ERROR(HeedStop(marks.stop_step));
  }
  if (marks.snapshot_step != snapshot_step_) PlanSnapshot(marks.snapshot_step);
  HeedMemory(marks.memory);
  return TakeSnapshots();
}

absl::Status Executor::HeedStop(int64_t step) {
  if (step > 0 && step < engine_->step()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the run was to end after step ", step,
                     ", and has made step ", engine_->step(), " already"));
  }
  if (step > 0) PENSTOCK_RETURN_IF_ERROR(engine_->StopAfter(step));
  stop_step_ = step;
  return absl::OkStatus();
}

void Executor::PlanSnapshot(int64_t step) {
  snapshot_step_ = step;
  if (writer_ == nullptr) {
    SnapshotFailed(step, absl::FailedPreconditionError(
                             "no store for checkpoints was named"));
    return;
  }
  writer_->AbandonOthers(step);
  if (step == 0) return;
  const absl::Status status = engine_->PlanSnapshot(step);
  if (status.ok()) return;
  if (!absl::IsOutOfRange(status)) {
    SnapshotFailed(step, status);
    return;
  }
  SnapshotReport report;
  report.set_step(step);
  report.set_missed(true);
  sink_(SnapshotTaken{epoch_, std::move(report)});
}

void Executor::HeedMemory(const std::optional<MemoryTier>& tier) {
  if (parts_.memory == nullptr || SameTier(tier, tier_)) return;
  tier_ = tier;
  if (!tier_.has_value()) {
    {
      MutexLock lock(&mutex_);
      cancel_keeper_ = nullptr;
    }
    keeper_.reset();
    memory_step_ = 0;
    return;
  }
  if (keeper_ == nullptr) {
    keeper_ = std::make_unique<SnapshotKeeper>(
        *parts_.memory, rank_.value(), parts_.open_parts,
        [this, epoch = epoch_](std::string text) {
          sink_(Warned{epoch, std::move(text)});
        },
        clock_);
    MutexLock lock(&mutex_);
    cancel_keeper_ = keeper_.get();
    if (!interrupt_.ok()) keeper_->Cancel(interrupt_);
  }
  keeper_->SetPeer(tier_->peer_address(), tier_->token());
  PlanMemory();
}

void Executor::PlanMemory() {
  if (!tier_.has_value()) return;
  const int64_t step = engine_->step();
  memory_step_ = NextMemoryStep(*tier_, step);
  if (memory_step_ == 0 || !NeverDrains(plan_) || snapshot_step_ > step) return;
  // One that cannot be had any more is passed over.
  engine_->PlanSnapshot(memory_step_).IgnoreError();
}

absl::Status Executor::TakeSnapshots() {
  const int64_t step = engine_->step();
  const bool is_stored =
      writer_ != nullptr && snapshot_step_ > 0 && snapshot_step_ == step;
  const bool is_kept = memory_step_ > 0 && memory_step_ == step;
  if (!is_stored && !is_kept) return absl::OkStatus();
  const int64_t start = MonotonicNanos();
  const bool never_drains = NeverDrains(plan_);
  if (is_kept) {
    PENSTOCK_RETURN_IF_ERROR(keeper_->AwaitFree());
    // In place of a checkpoint's, which is asked for again below.
    if (!is_stored && !never_drains) {
      engine_->PlanSnapshot(step).IgnoreError();
    }
  }
  const int64_t waited_nanos = MonotonicNanos() - start;
  absl::StatusOr<std::optional<EngineSnapshot>> snapshot =
      engine_->TakeSnapshot();
  if (!snapshot.ok() && is_stored) SnapshotFailed(step, snapshot.status());
  if (!snapshot.ok() && is_kept) {
    sink_(Warned{epoch_, absl::StrCat("step ", step, " is not kept in memory: ",
                                      snapshot.status().message())});
  }
  if (snapshot.ok() && snapshot->has_value()) {
    if (is_stored) Store(**snapshot);
    if (is_kept) KeepInMemory(**std::move(snapshot), waited_nanos);
  }
  if (is_kept && !is_stored && !never_drains && snapshot_step_ > step) {
    const absl::Status again = engine_->PlanSnapshot(snapshot_step_);
    if (!again.ok()) SnapshotFailed(snapshot_step_, again);
  }
  PlanMemory();
  return absl::OkStatus();
}

void Executor::Store(const EngineSnapshot& snapshot) {
  SnapshotReport report;
  report.set_step(snapshot_step_);
  report.set_blocked_nanos(snapshot.blocked_nanos);
  report.set_size_bytes(snapshot.size_bytes);
  sink_(SnapshotTaken{epoch_, std::move(report)});
  writer_->Write(CheckpointOf(snapshot_step_), plan_.shape_hash(), snapshot);
}

void Executor::KeepInMemory(EngineSnapshot snapshot, int64_t waited_nanos) {
  ShardReport part;
  *part.mutable_checkpoint() = CheckpointOf(engine_->step());
  part.set_plan_hash(plan_.shape_hash());
  const int64_t blocked_nanos = waited_nanos + snapshot.blocked_nanos;
  keeper_->Keep(std::move(part), std::move(snapshot), blocked_nanos);
}

void Executor::SnapshotFailed(int64_t step, const absl::Status& why) {
  if (step == 0) return;
  ShardReport report;
  *report.mutable_checkpoint() = CheckpointOf(step);
  report.set_plan_hash(plan_.shape_hash());
  report.set_error(std::string(why.message()));
  sink_(ShardsStored{epoch_, std::move(report)});
}

CheckpointId Executor::CheckpointOf(int64_t step) const {
  CheckpointId checkpoint;
  checkpoint.set_job_id(epoch_.job_id);
  checkpoint.set_step(step);
  checkpoint.set_epoch(epoch_.job_epoch);
  return checkpoint;
}

void Executor::Leave(const LeaveEpoch& order) {
  DropEpoch();
  failed_ = true;
  {
    MutexLock lock(&mutex_);
    interrupt_ = absl::OkStatus();
  }
  sink_(Left{order.epoch, std::exchange(missing_, std::nullopt)});
}

void Executor::DropEpoch() {
  {
    MutexLock lock(&mutex_);
    cancel_target_ = nullptr;
    cancel_store_ = nullptr;
    cancel_source_ = nullptr;
    cancel_keeper_ = nullptr;
  }
  writer_.reset();
  store_.reset();
  source_.reset();
  keeper_.reset();
  tier_.reset();
  memory_step_ = 0;
  engine_.reset();
  endpoint_.reset();
  plan_.Clear();
}

absl::Status Executor::Interrupted() {
  MutexLock lock(&mutex_);
  return interrupt_;
}

}  // namespace penstock
