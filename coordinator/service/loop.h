#ifndef PENSTOCK_COORDINATOR_SERVICE_LOOP_H_
#define PENSTOCK_COORDINATOR_SERVICE_LOOP_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "coordinator/core/event.h"
#include "coordinator/core/state.h"
#include "coordinator/core/step.h"
#include "coordinator/service/checkpoint_port.h"
#include "coordinator/store/state_store.h"

namespace penstock {

// What the loop thread lends to a callback, for the time of the call: the
// state, all of which is durable, and the store.
struct LoopView {
  const ClusterState& state;
  StateStore& store;
};

// The coordinator's end of one stage server's session. Calls come from the loop
// thread and must not block.
class SessionSink {
 public:
  virtual ~SessionSink() = default;
  // The newest desired state and the newest ack each replace one that still
  // waits to be sent.
  virtual void Send(const CoordinatorMessage& message) = 0;
  // Nothing is sent afterwards.
  virtual void End(const absl::Status& status) = 0;
};

// A stream to a client that shows what is appended to the store. Calls come
// from the loop thread and must not block.
class Watch {
 public:
  virtual ~Watch() = default;
  // There may be more to show.
  virtual void Pump(const LoopView& view) = 0;
  virtual void End(const absl::Status& status) = 0;
};

// The one thread that owns the state and the store. Each turn takes the events
// that have come, applies them with `Step`, makes the outcome durable in one
// transaction, and only then answers, tells servers and wakes watches.
//
// When the store cannot be written, nothing of the turn is spoken: its events
// are refused, all sessions end, and the loop starts over from what is durable,
// as after a restart, until a write succeeds. Stage servers keep stepping
// meanwhile.
//
// Thread-safe. Outlives everything that is registered with it.
class Loop {
 public:
  struct Options {
    Timing timing;
    std::string build_version;
    // Random; kept if the store has none.
    std::string cluster_secret;
    // Opens the checkpoint store of a cluster with this secret. Called once,
    // before anything else happens; without it no job keeps checkpoints.
    std::function<absl::StatusOr<std::unique_ptr<CheckpointPort>>(
        const std::string& cluster_secret)>
        open_checkpoints;
    // The loop has come round: called once a heartbeat on the loop thread, with
    // why the store cannot be written, if it cannot. Must not block.
    std::function<void(const LoopView&, const absl::Status& store)> on_beat;
    // The process must stop serving: another coordinator took over, or the
    // store is damaged. Called once at most, on the loop thread.
    std::function<void(const absl::Status&)> on_stop;
  };
  // The answer of `Step`, or why nothing was done.
  using Reply =
      std::function<void(const absl::StatusOr<std::string>&, const LoopView&)>;

  // Recovers the state, begins the next term and starts the thread.
  static absl::StatusOr<std::unique_ptr<Loop>> Start(
      std::unique_ptr<StateStore> store, Options options);
  // Stops the thread. Events that it has not taken are dropped.
  ~Loop();

  // `reply` is called on the loop thread, once the outcome is durable; with
  // UNAVAILABLE after `EndStreams`.
  void Submit(ClusterEvent event, Reply reply);

  // Calls `read` on the loop thread, in order with events.
  void Ask(std::function<void(const LoopView&)> read);

  // A number for `sink` that events can carry. Held weakly.
  uint64_t AddSession(std::weak_ptr<SessionSink> sink);
  // Pumps it soon, and after whatever changes. Held weakly.
  void AddWatch(std::weak_ptr<Watch> watch);
  // Pumps all watches soon.
  void WakeWatches();

  // Ends every session and watch, now and from now on, so that a server can
  // shut down. Jobs do not notice: events are refused from here on.
  void EndStreams(const absl::Status& status);

  // Null without a checkpoint store.
  CheckpointPort* checkpoints() const { return checkpoints_.get(); }
  const Timing& timing() const { return options_.timing; }
  const std::string& build_version() const { return options_.build_version; }

 private:
  struct Item {
    // Either an event with its reply, or a read.
    std::unique_ptr<ClusterEvent> event;
    Reply reply;
    std::function<void(const LoopView&)> read;
  };

  Loop(std::unique_ptr<StateStore> store, Options options);

  // Loads the state and makes the start of a term durable.
  absl::Status Recover();
  absl::Status OpenCheckpoints(const std::string& cluster_secret);
  ClusterState StateOf(const StoredState& stored) const;
  // Those that the stored jobs do not know as complete are read.
  absl::StatusOr<std::vector<FoundCheckpoint>> FindCheckpoints(
      const StoredState& stored);
  // Once, before anyone can begin an import.
  void RemoveStrays();
  void HandOver(std::vector<CheckpointWork> work);
  void Run();
  std::vector<Item> TakeItems();
  void RunTurn(std::vector<Item> items);
  void Speak(const Effects& effects);
  void SendDesired(const std::string& server_id);
  std::shared_ptr<SessionSink> SinkOf(uint64_t session);
  void PumpWatches();
  void OnStoreFailure(const absl::Status& status);
  void StopServing(const absl::Status& status);
  void RefuseAll(std::vector<Item> items, const absl::Status& status);
  // Wall time at the start plus a clock that never steps back.
  absl::Time Now() const;

  const std::unique_ptr<StateStore> store_;
  const Options options_;
  const absl::Time start_time_;
  const int64_t start_nanos_;
  // Set before the thread starts.
  std::unique_ptr<CheckpointPort> checkpoints_;

  // Of the loop thread alone.
  ClusterState state_;
  absl::Time next_tick_;
  // Why nothing can be written; OK while all is well.
  absl::Status store_status_;

  Mutex mutex_;
  CondVar wake_;
  std::vector<Item> items_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_session_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, std::weak_ptr<SessionSink>> sessions_
      ABSL_GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<Watch>> watches_ ABSL_GUARDED_BY(mutex_);
  bool watches_woken_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status ended_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_SERVICE_LOOP_H_
