#include "coordinator/service/loop.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "coordinator/core/desired_state.h"
#include "spdlog/spdlog.h"

namespace penstock {
namespace {

// Sequence numbers of desired states grow over restarts too.
constexpr int kTermShift = 32;

absl::Status Unavailable(const absl::Status& store_status) {
  return absl::Status(
      store_status.code(),
      absl::StrCat("nothing was changed: ", store_status.message()));
}

// Whether the row says that it is, or was.
bool IsKnownComplete(const JobRow& row, const CheckpointId& id) {
  return std::any_of(row.checkpoints().begin(), row.checkpoints().end(),
                     [&id](const CheckpointInfo& info) {
                       return info.id().step() == id.step() &&
                              info.id().epoch() == id.epoch() &&
                              (info.state() == CHECKPOINT_STATE_COMMITTED ||
                               info.state() == CHECKPOINT_STATE_EXPIRING ||
                               info.state() == CHECKPOINT_STATE_CORRUPT);
                     });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Loop>> Loop::Start(
    std::unique_ptr<StateStore> store, Options options) {
  std::unique_ptr<Loop> loop(new Loop(std::move(store), std::move(options)));
  PENSTOCK_RETURN_IF_ERROR(loop->Recover());
  loop->RemoveStrays();
  loop->thread_ = std::thread([raw = loop.get()] { raw->Run(); });
  return loop;
}

Loop::Loop(std::unique_ptr<StateStore> store, Options options)
    : store_(std::move(store)),
      options_(std::move(options)),
      start_time_(SystemClock().Now()),
      start_nanos_(MonotonicNanos()) {}

Loop::~Loop() {
  // Its threads call `Submit`.
  checkpoints_.reset();
  {
    const MutexLock lock(&mutex_);
    stopping_ = true;
    wake_.Signal();
  }
  if (thread_.joinable()) thread_.join();
}

absl::Time Loop::Now() const {
  return start_time_ + absl::Nanoseconds(MonotonicNanos() - start_nanos_);
}

absl::Status Loop::OpenCheckpoints(const std::string& cluster_secret) {
  if (checkpoints_ != nullptr || !options_.open_checkpoints) {
    return absl::OkStatus();
  }
  PENSTOCK_ASSIGN_OR_RETURN(checkpoints_,
                            options_.open_checkpoints(cluster_secret));
  return absl::OkStatus();
}

ClusterState Loop::StateOf(const StoredState& stored) const {
  ClusterState state = RestoreState(stored, options_.timing);
  if (checkpoints_ != nullptr) {
    state.checkpoint_store = checkpoints_->settings();
  }
  return state;
}

absl::StatusOr<std::vector<FoundCheckpoint>> Loop::FindCheckpoints(
    const StoredState& stored) {
  std::vector<FoundCheckpoint> found;
  for (const StoredJob& job : stored.jobs) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<CheckpointId> ids,
                              checkpoints_->List(job.row.info().id()));
    for (const CheckpointId& id : ids) {
      if (IsKnownComplete(job.row, id)) {
        found.push_back({id, nullptr});
        continue;
      }
      auto manifest = checkpoints_->ReadNow(id);
      if (manifest.ok()) {
        found.push_back({id, *std::move(manifest)});
      } else {
        spdlog::warn("left alone: {}",
                     std::string(manifest.status().message()));
      }
    }
  }
  return found;
}

absl::Status Loop::Recover() {
  PENSTOCK_ASSIGN_OR_RETURN(const StoredState stored, store_->Load());
  PENSTOCK_RETURN_IF_ERROR(OpenCheckpoints(stored.cluster_secret.empty()
                                               ? options_.cluster_secret
                                               : stored.cluster_secret));
  state_ = StateOf(stored);
  ClusterState started = state_;
  CoordinatorStarted event{options_.build_version, options_.cluster_secret,
                           std::nullopt};
  if (checkpoints_ != nullptr) {
    PENSTOCK_ASSIGN_OR_RETURN(event.checkpoints, FindCheckpoints(stored));
  }
  Effects effects;
  PENSTOCK_RETURN_IF_ERROR(Step(started, event, Now(), effects).status());
  PENSTOCK_RETURN_IF_ERROR(store_->Write(MakeBatch(started, effects)));
  state_ = std::move(started);
  HandOver(std::move(effects.checkpoint_work));
  next_tick_ = Now() + options_.timing.heartbeat;
  spdlog::info("term {}: {} jobs, {} stage servers in the store", state_.term,
               state_.jobs.size(), state_.servers.size());
  return absl::OkStatus();
}

void Loop::RemoveStrays() {
  if (checkpoints_ == nullptr) return;
  std::set<std::string> known;
  for (const auto& [id, job] : state_.jobs) known.insert(id);
  checkpoints_->RemoveStrays(std::move(known));
}

void Loop::HandOver(std::vector<CheckpointWork> work) {
  if (checkpoints_ == nullptr) return;
  for (CheckpointWork& one : work) {
    checkpoints_->Do(std::move(one), [this](ClusterEvent event) {
      Submit(std::move(event),
             [](const absl::StatusOr<std::string>&, const LoopView&) {});
    });
  }
}

void Loop::Submit(ClusterEvent event, Reply reply) {
  const MutexLock lock(&mutex_);
  items_.push_back({std::make_unique<ClusterEvent>(std::move(event)),
                    std::move(reply), nullptr});
  wake_.Signal();
}

void Loop::Ask(std::function<void(const LoopView&)> read) {
  const MutexLock lock(&mutex_);
  items_.push_back({nullptr, nullptr, std::move(read)});
  wake_.Signal();
}

uint64_t Loop::AddSession(std::weak_ptr<SessionSink> sink) {
  absl::Status ended;
  uint64_t session = 0;
  {
    const MutexLock lock(&mutex_);
    session = ++last_session_;
    ended = ended_;
    if (ended.ok()) sessions_[session] = sink;
  }
  if (const auto alive = sink.lock(); alive && !ended.ok()) alive->End(ended);
  return session;
}

void Loop::AddWatch(std::weak_ptr<Watch> watch) {
  absl::Status ended;
  {
    const MutexLock lock(&mutex_);
    ended = ended_;
    if (ended.ok()) watches_.push_back(watch);
  }
  if (const auto alive = watch.lock(); alive && !ended.ok()) alive->End(ended);
  WakeWatches();
}

void Loop::WakeWatches() {
  const MutexLock lock(&mutex_);
  watches_woken_ = true;
  wake_.Signal();
}

void Loop::EndStreams(const absl::Status& status) {
  std::map<uint64_t, std::weak_ptr<SessionSink>> sessions;
  std::vector<std::weak_ptr<Watch>> watches;
  {
    const MutexLock lock(&mutex_);
    ended_ = status;
    sessions.swap(sessions_);
    watches.swap(watches_);
  }
  for (const auto& [id, weak] : sessions) {
    if (const auto sink = weak.lock()) sink->End(status);
  }
  for (const auto& weak : watches) {
    if (const auto watch = weak.lock()) watch->End(status);
  }
}

std::vector<Loop::Item> Loop::TakeItems() {
  std::vector<Item> items;
  const MutexLock lock(&mutex_);
  while (!stopping_ && items_.empty() && !watches_woken_ &&
         Now() < next_tick_) {
    wake_.WaitWithDeadline(&mutex_, SystemClock().Now() + (next_tick_ - Now()));
  }
  items.swap(items_);
  return items;
}

void Loop::Run() {
  while (true) {
    std::vector<Item> items = TakeItems();
    const absl::Time tick = next_tick_;
    absl::Status ended;
    {
      const MutexLock lock(&mutex_);
      if (stopping_) return;
      ended = ended_;
    }
    if (!ended.ok()) {
      RefuseAll(std::move(items), ended);
      next_tick_ = Now() + options_.timing.heartbeat;
    } else if (!store_status_.ok()) {
      RefuseAll(std::move(items), Unavailable(store_status_));
      if (Now() < next_tick_) continue;
      next_tick_ = Now() + options_.timing.heartbeat;
      if (Recover().ok()) {
        spdlog::info("the store can be written again");
        store_status_ = absl::OkStatus();
      }
    } else {
      RunTurn(std::move(items));
    }
    PumpWatches();
    if (options_.on_beat && next_tick_ != tick) {
      options_.on_beat({state_, *store_}, store_status_);
    }
  }
}

void Loop::RunTurn(std::vector<Item> items) {
  Effects effects;
  std::vector<absl::StatusOr<std::string>> answers;
  for (const Item& item : items) {
    answers.push_back(item.event ? Step(state_, *item.event, Now(), effects)
                                 : absl::StatusOr<std::string>(""));
  }
  if (Now() >= next_tick_) {
    next_tick_ = Now() + options_.timing.heartbeat;
    Step(state_, Tick{}, Now(), effects).IgnoreError();
  }
  const WriteBatch batch = MakeBatch(state_, effects);
  if (!batch.empty()) {
    if (const absl::Status status = store_->Write(batch); !status.ok()) {
      OnStoreFailure(status);
      return RefuseAll(std::move(items), Unavailable(status));
    }
    for (const Event& event : batch.events) {
      spdlog::info("{} {}{}{}", event.kind(), event.job_id(),
                   event.message().empty() ? "" : " ", event.message());
    }
    WakeWatches();
  }
  const LoopView view{state_, *store_};
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i].reply) items[i].reply(answers[i], view);
    if (items[i].read) items[i].read(view);
  }
  HandOver(std::move(effects.checkpoint_work));
  Speak(effects);
}

void Loop::Speak(const Effects& effects) {
  for (const std::string& server_id : effects.desired) SendDesired(server_id);
  for (const std::string& server_id : effects.acks) {
    const auto sink = SinkOf(state_.servers.at(server_id).session);
    const auto ack = AckOf(state_, server_id);
    if (sink && ack) sink->Send(*ack);
  }
  for (const auto& [session, status] : effects.closed_sessions) {
    const auto sink = SinkOf(session);
    if (sink) sink->End(status);
    const MutexLock lock(&mutex_);
    sessions_.erase(session);
  }
  if (effects.step_down) {
    StopServing(absl::AbortedError(*effects.step_down));
  }
}

void Loop::SendDesired(const std::string& server_id) {
  ServerRecord& server = state_.servers.at(server_id);
  const auto sink = SinkOf(server.session);
  if (!sink) return;
  CoordinatorMessage message = DesiredOf(state_, server_id);
  message.set_idempotency_sequence((state_.term << kTermShift) +
                                   ++server.desired_sequence);
  sink->Send(message);
}

std::shared_ptr<SessionSink> Loop::SinkOf(uint64_t session) {
  const MutexLock lock(&mutex_);
  const auto found = sessions_.find(session);
  return found == sessions_.end() ? nullptr : found->second.lock();
}

void Loop::PumpWatches() {
  std::vector<std::shared_ptr<Watch>> alive;
  {
    const MutexLock lock(&mutex_);
    if (!watches_woken_) return;
    watches_woken_ = false;
    std::vector<std::weak_ptr<Watch>> kept;
    for (std::weak_ptr<Watch>& weak : watches_) {
      if (auto watch = weak.lock()) {
        alive.push_back(std::move(watch));
        kept.push_back(std::move(weak));
      }
    }
    watches_.swap(kept);
  }
  const LoopView view{state_, *store_};
  for (const auto& watch : alive) watch->Pump(view);
}

void Loop::OnStoreFailure(const absl::Status& status) {
  spdlog::error("{}", std::string(status.message()));
  if (!absl::IsResourceExhausted(status)) StopServing(status);
  store_status_ = status;
  std::map<uint64_t, std::weak_ptr<SessionSink>> sessions;
  {
    const MutexLock lock(&mutex_);
    sessions.swap(sessions_);
  }
  for (const auto& [id, weak] : sessions) {
    if (const auto sink = weak.lock()) {
      sink->End(absl::UnavailableError("the coordinator cannot write now"));
    }
  }
  // What is durable is what counts; reads are answered from it meanwhile.
  if (const auto stored = store_->Load(); stored.ok()) {
    state_ = StateOf(*stored);
  }
}

void Loop::StopServing(const absl::Status& status) {
  spdlog::error("stopping: {}", std::string(status.message()));
  if (options_.on_stop) options_.on_stop(status);
}

void Loop::RefuseAll(std::vector<Item> items, const absl::Status& status) {
  const LoopView view{state_, *store_};
  for (const Item& item : items) {
    if (item.reply) item.reply(status, view);
    if (item.read) item.read(view);
  }
}

}  // namespace penstock
