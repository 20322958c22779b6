#include "tests/simulation/coordinator_process.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "coordinator/core/desired_state.h"
#include "coordinator/core/step.h"

namespace penstock::simulation {
namespace {

// As in coordinator/service/loop.cc.
constexpr int kTermShift = 32;

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

std::vector<FoundCheckpoint> CoordinatorProcess::FindCheckpoints(
    const StoredState& stored) const {
  std::vector<FoundCheckpoint> found;
  for (const StoredJob& job : stored.jobs) {
    for (const CheckpointId& id : files_.List(job.row.info().id())) {
      if (IsKnownComplete(job.row, id)) {
        found.push_back({id, nullptr});
      } else if (auto manifest = files_.Read(id); manifest.ok()) {
        found.push_back({id, *std::move(manifest)});
      }
    }
  }
  return found;
}

void CoordinatorProcess::Start(absl::Time now) {
  auditor_.Started();
  const StoredState stored = store_.Load().value();
  state_ = RestoreState(stored, Timing());
  state_.checkpoint_store = {"store:1", "/checkpoints", "a key of the store's"};
  const CoordinatorStarted event{kBuild, "a secret of the cluster's",
                                 FindCheckpoints(stored)};
  Effects effects;
  const auto answer = Step(state_, event, now, effects);
  ++events_;
  if (!answer.ok()) {
    auditor_.Report("a coordinator can start", answer.status().ToString());
  }
  auditor_.Look(state_);
  const WriteBatch batch = MakeBatch(state_, effects);
  store_.Write(batch).IgnoreError();
  auditor_.Written(state_, batch);
  for (const Event& entry : batch.events) outside_.Log(entry);
  Speak(effects);
  next_tick_ = now + state_.timing.heartbeat;
}

bool CoordinatorProcess::Turn(const std::vector<Item>& items, absl::Time now,
                              Crash crash) {
  Effects effects;
  std::vector<absl::StatusOr<std::string>> answers;
  for (const Item& item : items) {
    answers.push_back(Step(state_, item.event, now, effects));
    ++events_;
    auditor_.Look(state_);
  }
  if (now >= next_tick_) {
    next_tick_ = now + state_.timing.heartbeat;
    Step(state_, Tick{}, now, effects).IgnoreError();
    ++events_;
    auditor_.Look(state_);
  }
  const WriteBatch batch = MakeBatch(state_, effects);
  if (!batch.empty()) {
    if (crash == Crash::kUnwritten) return false;
    store_.Write(batch).IgnoreError();
    auditor_.Written(state_, batch);
    for (const Event& entry : batch.events) outside_.Log(entry);
    if (crash == Crash::kUnspoken) return false;
  }
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i].reply) items[i].reply(answers[i]);
  }
  Speak(effects);
  if (effects.step_down) {
    auditor_.Report("the only coordinator does not step down",
                    *effects.step_down);
  }
  return true;
}

void CoordinatorProcess::Speak(const Effects& effects) {
  for (const CheckpointWork& work : effects.checkpoint_work) {
    auditor_.Asked(work);
    outside_.Work(work);
  }
  for (const std::string& id : effects.desired) {
    ServerRecord& server = state_.servers.at(id);
    if (server.session == 0) continue;
    CoordinatorMessage message = DesiredOf(state_, id);
    message.set_idempotency_sequence((state_.term << kTermShift) +
                                     ++server.desired_sequence);
    auditor_.Said(id, message);
    outside_.Send(server.session, message);
  }
  for (const std::string& id : effects.acks) {
    const ServerRecord& server = state_.servers.at(id);
    const auto ack = AckOf(state_, id);
    if (server.session == 0 || !ack) continue;
    auditor_.Said(id, *ack);
    outside_.Send(server.session, *ack);
  }
  for (const auto& [session, status] : effects.closed_sessions) {
    outside_.End(session, status);
  }
}

}  // namespace penstock::simulation
