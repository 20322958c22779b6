#ifndef PENSTOCK_STAGE_SERVER_SERVICE_FAKE_ENGINE_H_
#define PENSTOCK_STAGE_SERVER_SERVICE_FAKE_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "base/mutex.h"
#include "stage_server/checkpoint/memory_shard_store.h"
#include "stage_server/checkpoint/state_memory.h"
#include "stage_server/engine/engine.h"
#include "stage_server/service/executor.h"
#include "stage_server/transport/transport.h"

namespace penstock {

// What a test wants of fake engines and endpoints, and what it sees of them.
// Thread-safe.
struct FakeWorld {
  Mutex mutex;
  CondVar changed;
  // Steps that engines may finish; at the next one they wait, as an engine
  // waits for a peer.
  int64_t steps_allowed ABSL_GUARDED_BY(mutex) = 1'000'000;
  absl::Status load_status ABSL_GUARDED_BY(mutex);
  absl::Status endpoint_status ABSL_GUARDED_BY(mutex);
  absl::Status connect_status ABSL_GUARDED_BY(mutex);
  // Connecting waits until it is interrupted.
  bool connect_hangs ABSL_GUARDED_BY(mutex) = false;
  bool connecting ABSL_GUARDED_BY(mutex) = false;
  absl::Status step_status ABSL_GUARDED_BY(mutex);
  absl::Status snapshot_status ABSL_GUARDED_BY(mutex);
  // What the store of the root "root" has.
  const std::shared_ptr<ShardMemory> shards = std::make_shared<ShardMemory>();
  // What peers have in memory.
  const std::shared_ptr<ShardMemory> peers_memory =
      std::make_shared<ShardMemory>();
  ConnectRequest connected ABSL_GUARDED_BY(mutex);
  int engines_alive ABSL_GUARDED_BY(mutex) = 0;
  int engines_made ABSL_GUARDED_BY(mutex) = 0;

  void Set(absl::Status FakeWorld::*member, absl::Status status) {
    MutexLock lock(&mutex);
    this->*member = std::move(status);
  }
  void AllowSteps(int64_t steps) {
    MutexLock lock(&mutex);
    steps_allowed = steps;
    changed.SignalAll();
  }
};

class FakeEngine : public Engine {
 public:
  FakeEngine(FakeWorld& world, StateSource* restore)
      : world_(world), step_(restore == nullptr ? 0 : restore->state().step()) {
    MutexLock lock(&world_.mutex);
    ++world_.engines_alive;
    ++world_.engines_made;
  }
  ~FakeEngine() override {
    MutexLock lock(&world_.mutex);
    --world_.engines_alive;
  }
  void Attach(std::unique_ptr<Transport>) override {}
  absl::StatusOr<StepResult> RunStep() override {
    MutexLock lock(&world_.mutex);
    while (cancelled_.ok() && world_.steps_allowed <= step_) {
      world_.changed.Wait(&world_.mutex);
    }
    if (!cancelled_.ok()) return cancelled_;
    if (!world_.step_status.ok()) return world_.step_status;
    StepResult result;
    result.step = ++step_;
    result.trace.emplace().set_step(step_);
    result.loss = 1.0 / static_cast<double>(step_);
    return result;
  }
  absl::Status PlanSnapshot(int64_t step) override {
    if (step < step_) return absl::OutOfRangeError("over");
    snapshot_step_ = step;
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<EngineSnapshot>> TakeSnapshot() override {
    if (snapshot_step_ != step_) return std::nullopt;
    snapshot_step_.reset();
    MutexLock lock(&world_.mutex);
    if (!world_.snapshot_status.ok()) return world_.snapshot_status;
    EngineSnapshot snapshot;
    snapshot.state.set_step(step_);
    snapshot.blocked_nanos = 5;
    auto bytes = std::make_shared<std::vector<std::byte>>(8);
    snapshot.tensors.push_back({{3,
                                 "head",
                                 ShardFile::WEIGHTS,
                                 "head.weight",
                                 StoredType::kFloat32,
                                 {2}},
                                *bytes});
    snapshot.size_bytes = 8;
    snapshot.memory = std::move(bytes);
    return snapshot;
  }
  absl::Status StopAfter(int64_t) override { return absl::OkStatus(); }
  std::optional<MissingAction> Missing() const override {
    MissingAction missing;
    missing.set_step(step_ + 1);
    return missing;
  }
  void Cancel(absl::Status why) override {
    MutexLock lock(&world_.mutex);
    cancelled_.Update(why);
    world_.changed.SignalAll();
  }
  int64_t step() const override { return step_; }
  EngineUse Use() const override {
    EngineUse use;
    use.memory.set_peak_bytes(1000);
    use.edges = {
        {EdgeId(1), Direction::kBackward, step_, 10 * step_, 20 * step_}};
    return use;
  }
  std::vector<LayerDigestResult> Digests() const override {
    return {{3, "head", std::string(32, 'd')}};
  }

 private:
  FakeWorld& world_;
  int64_t step_ = 0;
  std::optional<int64_t> snapshot_step_;
  absl::Status cancelled_;
};

class FakeEndpoint : public TransportEndpoint {
 public:
  explicit FakeEndpoint(FakeWorld& world) : world_(world) {}
  absl::StatusOr<TransportAddress> Address() override {
    return TransportAddress{"host-x", {{"shm", "here"}}};
  }
  absl::StatusOr<std::unique_ptr<Transport>> Connect(
      const ConnectRequest& request) override {
    while (true) {
      {
        MutexLock lock(&world_.mutex);
        world_.connecting = true;
        world_.changed.SignalAll();
        if (!world_.connect_status.ok()) return world_.connect_status;
        world_.connected = request;
        if (!world_.connect_hangs) return std::unique_ptr<Transport>();
        world_.changed.WaitWithDeadline(&world_.mutex,
                                        absl::Now() + absl::Milliseconds(10));
      }
      if (absl::Status why = request.interrupted(); !why.ok()) return why;
    }
  }

 private:
  FakeWorld& world_;
};

inline ExecutorParts FakeParts(FakeWorld& world,
                               StateMemory* memory = nullptr) {
  ExecutorParts parts;
  parts.memory = memory;
  parts.open_parts = [&world](const std::string&, const std::string&, int) {
    return MakeMemoryShardStore(world.peers_memory);
  };
  parts.load_engine = [&world](const Plan&, RankId, StateSource* restore)
      -> absl::StatusOr<std::unique_ptr<Engine>> {
    absl::Status status;
    {
      MutexLock lock(&world.mutex);
      status = world.load_status;
    }
    if (!status.ok()) return status;
    return std::make_unique<FakeEngine>(world, restore);
  };
  parts.open_store =
      [&world](const CheckpointStoreAddress& address,
               int64_t) -> absl::StatusOr<std::unique_ptr<ShardStore>> {
    if (address.root() != "root") return absl::NotFoundError("no such root");
    return MakeMemoryShardStore(world.shards);
  };
  parts.make_endpoint =
      [&world](
          const Plan&) -> absl::StatusOr<std::unique_ptr<TransportEndpoint>> {
    MutexLock lock(&world.mutex);
    if (!world.endpoint_status.ok()) return world.endpoint_status;
    return std::make_unique<FakeEndpoint>(world);
  };
  parts.channels_of = [](const Plan&) {
    return std::vector<ChannelSpec>{
        {ChannelId(0), RankId(0), RankId(1), "h 0>1"}};
  };
  parts.peak_speed = [](const Plan&) { return 5e9; };
  return parts;
}

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_SERVICE_FAKE_ENGINE_H_
