#include "tests/simulation/executor.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/shards/corruption.h"
#include "tests/simulation/training.h"

namespace penstock::simulation {
namespace {

// Between two looks at what the peers do.
constexpr absl::Duration kLook = absl::Milliseconds(50);
constexpr absl::Duration kConnectLimit = absl::Seconds(10);
constexpr absl::Duration kStepLimit = absl::Seconds(60);
constexpr size_t kOwnParts = 3;

}  // namespace

SimulatedExecutor::SimulatedExecutor(const Surroundings& around, uint64_t seed)
    : around_(around), dice_(seed, {NameKey("executor"), around.process}) {}

DataPlane::Epoch SimulatedExecutor::PlaneEpoch() const {
  return {load_->epoch.job_id, load_->epoch.job_epoch};
}

// ---- What the core wants --------------------------------------------------

void SimulatedExecutor::Do(const LoadLayers& what, absl::Time now) {
  load_ = what;
  marks_ = SetMarks();
  activity_ = Activity::kLoading;
  next_at_ = now + dice_.Between(absl::Milliseconds(50), absl::Seconds(1));
  step_time_ = dice_.Between(absl::Milliseconds(100), absl::Milliseconds(600));
  held_.KeepOnly(what.epoch.job_id);
}

void SimulatedExecutor::Do(const ConnectPeers&, absl::Time now) {
  if (activity_ != Activity::kLoaded) return;
  activity_ = Activity::kConnecting;
  around_.plane.Connect(PlaneEpoch(), load_->rank.value(), around_.process);
  waits_since_ = now;
  next_at_ = now + kLook;
}

void SimulatedExecutor::Do(const RunSteps&, absl::Time now) {
  if (activity_ != Activity::kConnected) return;
  if (step_ >= load_->plan.job().steps()) return FinishRun();
  activity_ = Activity::kRunning;
  waits_since_ = now;
  next_at_ = now + step_time_;
}

void SimulatedExecutor::Do(const SetMarks& what, absl::Time now) {
  const bool is_new = what.snapshot_step != marks_.snapshot_step;
  marks_ = what;
  if (!is_new) return;
  uploads_.clear();
  // Once its run is over the last step's state stays.
  if (activity_ == Activity::kOver && step_ == what.snapshot_step) {
    TakeSnapshot(now);
    next_at_ = std::min(next_at_, now);
    return;
  }
  const bool is_late =
      activity_ == Activity::kOver ||
      (activity_ == Activity::kRunning && step_ >= what.snapshot_step);
  if (what.snapshot_step == 0 || !is_late) return;
  SnapshotReport report;
  report.set_job_id(load_->epoch.job_id);
  report.set_step(what.snapshot_step);
  report.set_missed(true);
  events_.push_back(SnapshotTaken{load_->epoch, std::move(report)});
  next_at_ = std::min(next_at_, now);
}

void SimulatedExecutor::Do(const LeaveEpoch& what, absl::Time now) {
  around_.plane.GetUp({what.epoch.job_id, what.epoch.job_epoch},
                      around_.process);
  leaves_ = what.epoch;
  activity_ = Activity::kOver;
  uploads_.clear();
  next_at_ = absl::InfiniteFuture();
  // Now and then a device takes its time.
  const absl::Duration most =
      dice_.OneIn(8) ? absl::Seconds(5) : absl::Milliseconds(500);
  leave_at_ = now + dice_.Between(absl::Milliseconds(10), most);
}

void SimulatedExecutor::Forget() {
  held_.Clear();
  held_changed_ = true;
}

// ---- What happens ---------------------------------------------------------

void SimulatedExecutor::FailDevice() {
  device_fails_ = activity_ != Activity::kNone && activity_ != Activity::kOver;
}

void SimulatedExecutor::HoldPart(const CheckpointId& id, int rank,
                                 size_t kept) {
  held_.Add(id, rank, kept);
  held_changed_ = true;
}

bool SimulatedExecutor::HoldsPart(const CheckpointId& id, int rank) const {
  return held_.Contains(id, rank);
}

std::vector<Event> SimulatedExecutor::Run(absl::Time now) {
  if (std::exchange(device_fails_, false)) {
    Fail(absl::InternalError(kDeviceError));
  }
  if (now >= leave_at_) {
    leave_at_ = absl::InfiniteFuture();
    activity_ = Activity::kNone;
    events_.push_back(Left{leaves_, std::nullopt});
  }
  FinishUploads(now);
  if (now >= next_at_) {
    next_at_ = absl::InfiniteFuture();
    switch (activity_) {
      case Activity::kLoading:
        FinishLoading();
        break;
      case Activity::kConnecting:
        TryToConnect(now);
        break;
      case Activity::kRunning:
        TryToStep(now);
        break;
      default:
        break;
    }
  }
  if (std::exchange(held_changed_, false)) {
    events_.push_back(MemoryChanged{held_.Report()});
  }
  return std::exchange(events_, {});
}

absl::Time SimulatedExecutor::next_wake() const {
  if (device_fails_ || held_changed_ || !events_.empty()) {
    return absl::InfinitePast();
  }
  absl::Time wake = std::min(next_at_, leave_at_);
  for (const Upload& upload : uploads_) wake = std::min(wake, upload.at);
  return wake;
}

absl::Status SimulatedExecutor::CheckMemory(const RestorePoint& restore) const {
  for (const MemoryRestore::Part& part : restore.memory().parts()) {
    const StageProcess* const holder = around_.outside.MemoryAt(part.address());
    if (holder == nullptr ||
        !holder->HoldsPart(restore.checkpoint(), part.rank())) {
      return absl::UnavailableError(absl::StrCat(
          kLostMemory, "part ", part.rank(), " of step ",
          restore.checkpoint().step(), " is not at ", part.address()));
    }
  }
  return absl::OkStatus();
}

void SimulatedExecutor::FinishLoading() {
  std::string start = "initial weights";
  step_ = 0;
  if (load_->restore) {
    const RestorePoint& restore = *load_->restore;
    const CheckpointId& id = restore.checkpoint();
    start = absl::StrCat(restore.has_memory() ? "memory of " : "", Describe(id),
                         " epoch ", id.epoch());
    step_ = id.step();
    if (restore.has_memory()) {
      if (const absl::Status there = CheckMemory(restore); !there.ok()) {
        return Fail(there);
      }
    } else if (!around_.files.IsCommitted(id)) {
      return Fail(absl::NotFoundError(
          absl::StrCat("the checkpoint of ", Describe(id), " was taken away")));
    } else if (!around_.files.IsWhole(id)) {
      return Fail(absl::DataLossError(
          absl::StrCat(kCorruptCheckpoint, "l0000.w.safetensors: a bit")));
    }
  }
  around_.plane.Sit(PlaneEpoch(), load_->rank.value(),
                    load_->plan.schedule().ranks_size(), around_.process,
                    around_.server_id, start, step_);
  activity_ = Activity::kLoaded;
  DataAddress address;
  address.set_host_identity("any");
  (*address.mutable_addresses())["tcp"] = around_.server_id;
  events_.push_back(Loaded{load_->epoch, std::move(address)});
}

void SimulatedExecutor::TryToConnect(absl::Time now) {
  const int rank = load_->rank.value();
  if (const auto peer = around_.plane.Missing(PlaneEpoch(), rank)) {
    return Fail(absl::UnavailableError("a channel broke"), peer);
  }
  if (around_.plane.IsConnected(PlaneEpoch())) {
    activity_ = Activity::kConnected;
    events_.push_back(Connected{load_->epoch});
  } else if (now >= waits_since_ + kConnectLimit) {
    Fail(absl::DeadlineExceededError("a channel could not be connected"));
  } else {
    next_at_ = now + kLook;
  }
}

void SimulatedExecutor::TryToStep(absl::Time now) {
  const int rank = load_->rank.value();
  if (const auto peer = around_.plane.Missing(PlaneEpoch(), rank)) {
    return Fail(absl::UnavailableError("a channel broke"), peer);
  }
  if (around_.plane.AllHave(PlaneEpoch(), step_)) return MakeStep(now);
  if (now >= waits_since_ + kStepLimit) {
    return Fail(absl::DeadlineExceededError("it waited too long"), std::nullopt,
                /*waited=*/true);
  }
  next_at_ = now + kLook;
}

// What it reports tells the epoch that it was made in, whatever a fence says.
void SimulatedExecutor::MakeStep(absl::Time now) {
  ++step_;
  around_.plane.SetStep(PlaneEpoch(), load_->rank.value(), around_.process,
                        step_);
  const int64_t nanos = absl::ToInt64Nanoseconds(step_time_);
  const int64_t epoch = load_->epoch.job_epoch;
  StepReport report;
  report.set_step(step_);
  report.set_loss(2.5);
  report.set_step_nanos(nanos);
  report.set_busy_nanos(nanos / 1000 * (1000 - epoch));
  report.set_tokens(epoch);
  events_.push_back(StepDone{load_->epoch, report, std::nullopt, std::nullopt});
  if (step_ == marks_.snapshot_step) TakeSnapshot(now);
  KeepInMemory();
  if (step_ < load_->plan.job().steps()) {
    waits_since_ = now;
    next_at_ = now + step_time_;
    return;
  }
  FinishRun();
}

void SimulatedExecutor::FinishRun() {
  activity_ = Activity::kOver;
  events_.push_back(RunDone{
      load_->epoch, DigestsOfRank(load_->plan, load_->rank.value(), step_)});
}

void SimulatedExecutor::TakeSnapshot(absl::Time now) {
  SnapshotReport report;
  report.set_job_id(load_->epoch.job_id);
  report.set_step(step_);
  report.set_blocked_nanos(1'000'000);
  events_.push_back(SnapshotTaken{load_->epoch, std::move(report)});
  const absl::Duration most =
      dice_.OneIn(6) ? absl::Seconds(8) : absl::Milliseconds(600);
  uploads_.push_back(
      {now + dice_.Between(absl::Milliseconds(20), most), step_});
}

void SimulatedExecutor::FinishUploads(absl::Time now) {
  for (const Upload& upload : uploads_) {
    if (now < upload.at) continue;
    const int rank = load_->rank.value();
    ShardReport report;
    CheckpointId& id = *report.mutable_checkpoint();
    id.set_job_id(load_->epoch.job_id);
    id.set_step(upload.step);
    id.set_epoch(load_->epoch.job_epoch);
    const std::vector<ShardFile> files = FilesOfRank(load_->plan, rank);
    const absl::Status put = around_.files.Put(id, files);
    if (!put.ok()) report.set_error(std::string(put.message()));
    report.mutable_files()->Add(files.begin(), files.end());
    report.set_plan_hash(load_->plan.shape_hash());
    report.mutable_state()->set_step(upload.step);
    report.mutable_state()->add_stages()->set_stage(rank);
    events_.push_back(ShardsStored{load_->epoch, std::move(report)});
  }
  std::erase_if(uploads_,
                [now](const Upload& upload) { return now >= upload.at; });
}

void SimulatedExecutor::KeepInMemory() {
  if (!marks_.memory || marks_.memory->every_steps() <= 0 ||
      step_ <= marks_.memory->from_step() ||
      step_ % marks_.memory->every_steps() != 0) {
    return;
  }
  CheckpointId id;
  id.set_job_id(load_->epoch.job_id);
  id.set_step(step_);
  id.set_epoch(load_->epoch.job_epoch);
  HoldPart(id, load_->rank.value(), kOwnParts);
  if (marks_.memory->peer_address().empty()) return;
  StageProcess* const peer =
      around_.outside.MemoryAt(marks_.memory->peer_address());
  if (peer != nullptr) peer->HoldPart(id, load_->rank.value());
}

void SimulatedExecutor::Fail(absl::Status why, std::optional<int> suspect,
                             bool waited) {
  around_.plane.GetUp(PlaneEpoch(), around_.process);
  activity_ = Activity::kOver;
  next_at_ = absl::InfiniteFuture();
  uploads_.clear();
  Failed failed{load_->epoch, std::move(why), std::nullopt, std::nullopt};
  if (suspect) failed.suspect = RankId(*suspect);
  if (waited) {
    failed.missing.emplace();
    failed.missing->set_step(step_ + 1);
  }
  events_.push_back(std::move(failed));
}

}  // namespace penstock::simulation
