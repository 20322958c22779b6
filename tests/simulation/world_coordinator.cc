// The coordinator's process and its checkpoint store, as parts of the world.
#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "tests/simulation/world.h"

namespace penstock::simulation {
namespace {

constexpr size_t kMostPerTurn = 4;

}  // namespace

absl::Time World::CoordinatorNow() const { return now_ + clock_offset_; }

void World::StartCoordinator() {
  if (coordinator_ != nullptr) return;
  ++generation_;
  clock_offset_ = next_clock_offset_;
  coordinator_ =
      std::make_unique<CoordinatorProcess>(store_, files_, auditor_, *this);
  Trace("the coordinator starts");
  coordinator_->Start(CoordinatorNow());
  turn_at_ = absl::InfiniteFuture();
  ScheduleTurn(now_ + absl::Seconds(1));
}

void World::Crash(double seconds) {
  crash_ = CoordinatorProcess::Crash::kNever;
  if (coordinator_ == nullptr) return;
  Trace("the coordinator dies");
  past_events_ += coordinator_->events();
  coordinator_.reset();
  inbox_.clear();
  // What it was about to change in the store is changed, or not.
  if (!works_.empty() && dice_.OneIn(2)) FinishWork(works_.front());
  works_.clear();
  for (auto& [id, session] : sessions_) {
    if (!session.is_open_at_server) continue;
    session.is_open_at_coordinator = false;
    BreakServerSide(id, absl::UnavailableError("connection reset"),
                    dice_.Between(absl::Milliseconds(1), absl::Seconds(1)));
  }
  After(absl::Seconds(seconds), [this] { StartCoordinator(); });
}

void World::Submit(ClusterEvent event, CoordinatorProcess::Reply reply) {
  if (coordinator_ == nullptr) return;
  inbox_.push_back({std::move(event), std::move(reply)});
  ScheduleTurn(now_ +
               dice_.Between(absl::ZeroDuration(), absl::Milliseconds(4)));
}

void World::ScheduleTurn(absl::Time at) {
  if (turn_at_ <= at && turn_at_ >= now_) return;
  turn_at_ = at;
  Schedule(at, [this, at, generation = generation_] {
    if (generation != generation_ || turn_at_ != at ||
        coordinator_ == nullptr) {
      return;
    }
    turn_at_ = absl::InfiniteFuture();
    if (now_ < stalled_until_) return ScheduleTurn(stalled_until_);
    RunTurn();
  });
}

void World::RunTurn() {
  const size_t count = std::min(
      inbox_.size(), 1 + static_cast<size_t>(dice_.Below(kMostPerTurn)));
  const std::vector<CoordinatorProcess::Item> items(
      std::make_move_iterator(inbox_.begin()),
      std::make_move_iterator(inbox_.begin() + static_cast<int64_t>(count)));
  inbox_.erase(inbox_.begin(), inbox_.begin() + static_cast<int64_t>(count));
  if (!coordinator_->Turn(items, CoordinatorNow(), crash_)) {
    return Crash(crash_seconds_);
  }
  if (!inbox_.empty()) return ScheduleTurn(now_);
  ScheduleTurn(now_ + (coordinator_->next_tick() - CoordinatorNow()));
}

void World::Log(const Event& event) {
  Trace(absl::StrCat("* ", event.kind(), " ", event.job_id(),
                     event.job_id().empty() ? "" : "/", event.job_epoch(), " ",
                     event.message()));
}

// ---- The checkpoint store -------------------------------------------------

void World::Work(const CheckpointWork& work) {
  works_.push_back(work);
  if (works_.size() == 1) DoNextWork();
}

void World::DoNextWork() {
  if (works_.empty()) return;
  absl::Duration time =
      dice_.Between(absl::Milliseconds(2), absl::Milliseconds(200));
  if (now_ < slow_until_)
    time += dice_.Between(absl::Seconds(1), absl::Seconds(6));
  After(time, [this, generation = generation_] {
    if (generation != generation_ || works_.empty()) return;
    const CheckpointWork work = works_.front();
    FinishWork(work);
    works_.erase(works_.begin());
    DoNextWork();
  });
}

void World::FinishWork(const CheckpointWork& work) {
  if (const auto* commit = std::get_if<CommitCheckpoint>(&work)) {
    Submit(CheckpointStored{commit->manifest.id(),
                            files_.Commit(commit->manifest)});
  } else if (const auto* remove = std::get_if<RemoveCheckpoint>(&work)) {
    Submit(CheckpointRemoved{remove->id, files_.Remove(remove->id)});
  } else if (const auto* read = std::get_if<ReadManifest>(&work)) {
    Submit(ManifestRead{read->job_id, read->id, files_.Read(read->id)});
  } else if (const auto* begin = std::get_if<BeginStoreEpoch>(&work)) {
    files_.BeginEpoch(begin->job_id, begin->epoch);
  }
}

}  // namespace penstock::simulation
