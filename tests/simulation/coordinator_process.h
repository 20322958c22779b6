#ifndef PENSTOCK_TESTS_SIMULATION_COORDINATOR_PROCESS_H_
#define PENSTOCK_TESTS_SIMULATION_COORDINATOR_PROCESS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/core/effects.h"
#include "coordinator/core/event.h"
#include "coordinator/core/state.h"
#include "coordinator/store/state_store.h"
#include "tests/simulation/auditor.h"
#include "tests/simulation/checkpoint_files.h"

namespace penstock::simulation {

inline constexpr char kBuild[] = "1.0";

// One process of the coordinator: the real core and turns like those of
// coordinator/service/loop.cc, without its threads. Destroying it is kill -9:
// what goes on is what it has written.
class CoordinatorProcess {
 public:
  // Where what it does goes to, once it is durable.
  class Outside {
   public:
    virtual ~Outside() = default;
    virtual void Send(uint64_t session, const CoordinatorMessage& message) = 0;
    virtual void End(uint64_t session, const absl::Status& why) = 0;
    virtual void Work(const CheckpointWork& work) = 0;
    // An entry of the event log.
    virtual void Log(const Event& event) = 0;
  };
  using Reply = std::function<void(const absl::StatusOr<std::string>&)>;
  struct Item {
    ClusterEvent event;
    Reply reply;
  };
  // Where in a turn that writes something it dies.
  enum class Crash { kNever, kUnwritten, kUnspoken };

  // References must outlive it.
  CoordinatorProcess(StateStore& store, const CheckpointFiles& files,
                     Auditor& auditor, Outside& outside)
      : store_(store), files_(files), auditor_(auditor), outside_(outside) {}

  // Goes on from what is durable, in the next term.
  void Start(absl::Time now);

  // False if it has died.
  bool Turn(const std::vector<Item>& items, absl::Time now, Crash crash);

  const ClusterState& state() const { return state_; }
  absl::Time next_tick() const { return next_tick_; }
  // Calls of `Step`, all together.
  int events() const { return events_; }

 private:
  std::vector<FoundCheckpoint> FindCheckpoints(const StoredState& stored) const;
  void Speak(const Effects& effects);

  StateStore& store_;
  const CheckpointFiles& files_;
  Auditor& auditor_;
  Outside& outside_;
  ClusterState state_;
  absl::Time next_tick_;
  int events_ = 0;
};

}  // namespace penstock::simulation

#endif  // PENSTOCK_TESTS_SIMULATION_COORDINATOR_PROCESS_H_
