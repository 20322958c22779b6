#ifndef PENSTOCK_STAGE_SERVER_SERVICE_EXECUTOR_H_
#define PENSTOCK_STAGE_SERVER_SERVICE_EXECUTOR_H_

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "checkpoint/shards/shard_store.h"
#include "proto/plan.pb.h"
#include "proto/stage_service.pb.h"
#include "stage_server/checkpoint/memory_source.h"
#include "stage_server/checkpoint/snapshot_keeper.h"
#include "stage_server/checkpoint/snapshot_writer.h"
#include "stage_server/checkpoint/state_memory.h"
#include "stage_server/engine/engine.h"
#include "stage_server/service/session_events.h"
#include "stage_server/transport/transport.h"

namespace penstock {

// How the executor gets an epoch's parts; called on its thread.
struct ExecutorParts {
  // `restore` may be null.
  std::function<absl::StatusOr<std::unique_ptr<Engine>>(
      const Plan& plan, RankId rank, StateSource* restore)>
      load_engine;
  // Where checkpoints go to and come from.
  std::function<absl::StatusOr<std::unique_ptr<ShardStore>>(
      const CheckpointStoreAddress& address, int64_t coordinator_term)>
      open_store;
  // A rank's parts of states in the memory of the server at `address`.
  std::function<std::unique_ptr<ShardStore>(const std::string& address,
                                            const std::string& token, int rank)>
      open_parts;
  std::function<absl::StatusOr<std::unique_ptr<TransportEndpoint>>(
      const Plan& plan)>
      make_endpoint;
  // Channels of the epoch: `ChannelsOf`.
  std::function<std::vector<ChannelSpec>(const Plan& plan)> channels_of;
  // After the engine: RankUse.peak_flops_per_second.
  std::function<double(const Plan& plan)> peak_speed;
  // Of this process; must outlive the executor. Null: it keeps no states.
  StateMemory* memory = nullptr;
};

// The one thread that computes and moves tensors. Carries out the effects
// `LoadLayers`, `ConnectPeers`, `RunSteps` and `LeaveEpoch` in the order given
// and tells how each went; `SetMarks` counts from the next step on. Snapshots
// are taken between steps and stored by a thread of their own, until the epoch
// is left; that one fails ends nothing. With a memory tier (SetMarks::memory)
// the next step waits until the last snapshot for it is with the peer.
//
// Where a schedule never drains, a snapshot has to be asked for ahead, and the
// engine takes one at a time: there, none is taken for the memory tier from the
// moment that a checkpoint's step is known until that is taken.
//
// `Do` may be called from any thread and does not block. `sink` is called on
// the executor's thread with `Loaded`, `Connected`, `StepDone`, `RunDone`,
// `SnapshotTaken`, `Failed` and `Left`, on any with `ShardsStored` and
// `Warned`; it must not block and must outlive the executor. An error ends the
// epoch's engine and channels at once; what is still ordered in that epoch is
// skipped, except for `LeaveEpoch`.
class Executor {
 public:
  using Sink = std::function<void(Event)>;

  Executor(ExecutorParts parts, const Clock& clock, Sink sink);
  // Cancels what is running and waits for it: as long as the compute action
  // that it is in.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  void Do(LoadLayers order);
  void Do(ConnectPeers order);
  void Do(RunSteps order);
  void Do(SetMarks order) ABSL_LOCKS_EXCLUDED(mutex_);
  // At once, whatever the epoch is doing.
  void Do(ForgetMemory order);
  // Also interrupts what the epoch is doing now.
  void Do(LeaveEpoch order) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Order =
      std::variant<LoadLayers, ConnectPeers, RunSteps, SetMarks, LeaveEpoch>;

  void Push(Order order) ABSL_LOCKS_EXCLUDED(mutex_);
  void Loop() ABSL_LOCKS_EXCLUDED(mutex_);

  // On the executor's thread.
  absl::Status Run(const LoadLayers& order);
  absl::Status Run(const ConnectPeers& order);
  absl::Status Run(const RunSteps& order);
  absl::Status Run(const SetMarks& order);
  absl::Status OpenStore(const LoadLayers& order) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status OpenSource(const RestorePoint& restore)
      ABSL_LOCKS_EXCLUDED(mutex_);
  std::unique_ptr<ShardStore> OpenParts(const std::string& address,
                                        const std::string& token, int rank);
  // What the marks ask for now, between two steps.
  absl::Status HeedMarks() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status HeedStop(int64_t step);
  void PlanSnapshot(int64_t step);
  void HeedMemory(const std::optional<MemoryTier>& tier)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // The next snapshot for the memory tier.
  void PlanMemory();
  absl::Status TakeSnapshots();
  void Store(const EngineSnapshot& snapshot);
  void KeepInMemory(EngineSnapshot snapshot, int64_t waited_nanos);
  void SnapshotFailed(int64_t step, const absl::Status& why);
  CheckpointId CheckpointOf(int64_t step) const;
  void Leave(const LeaveEpoch& order) ABSL_LOCKS_EXCLUDED(mutex_);
  void DropEpoch() ABSL_LOCKS_EXCLUDED(mutex_);
  void Interrupt(const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Why the present epoch is to stop; OK while it is not.
  absl::Status Interrupted() ABSL_LOCKS_EXCLUDED(mutex_);

  const ExecutorParts parts_;
  const Clock& clock_;
  const Sink sink_;

  // Of the executor's thread alone.
  EpochKey epoch_;
  bool failed_ = false;
  RankId rank_;
  Plan plan_;
  // What the epoch's step was at when it failed.
  std::optional<MissingAction> missing_;
  std::unique_ptr<TransportEndpoint> endpoint_;
  std::unique_ptr<Engine> engine_;
  double peak_speed_ = 0;
  // Null where the job has no checkpoints.
  std::unique_ptr<ShardStore> store_;
  std::unique_ptr<SnapshotWriter> writer_;
  // Where a state in memory is read from.
  std::unique_ptr<MemorySource> source_;
  // Null without a memory tier.
  std::unique_ptr<SnapshotKeeper> keeper_;
  // Marks that have been heeded.
  int64_t snapshot_step_ = 0;
  int64_t stop_step_ = 0;
  std::optional<MemoryTier> tier_;
  // The next step that is kept in memory; 0: none.
  int64_t memory_step_ = 0;

  Mutex mutex_;
  CondVar wake_;
  std::deque<Order> orders_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status interrupt_ ABSL_GUARDED_BY(mutex_);
  // `engine_`, for `Cancel`, which is called with the lock held so that the
  // engine cannot go meanwhile; null while there is none.
  Engine* cancel_target_ ABSL_GUARDED_BY(mutex_) = nullptr;
  // `store_`, `source_` and `keeper_`, likewise.
  ShardStore* cancel_store_ ABSL_GUARDED_BY(mutex_) = nullptr;
  ShardStore* cancel_source_ ABSL_GUARDED_BY(mutex_) = nullptr;
  SnapshotKeeper* cancel_keeper_ ABSL_GUARDED_BY(mutex_) = nullptr;
  SetMarks marks_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_SERVICE_EXECUTOR_H_
