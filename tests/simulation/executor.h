#ifndef PENSTOCK_TESTS_SIMULATION_EXECUTOR_H_
#define PENSTOCK_TESTS_SIMULATION_EXECUTOR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "stage_server/service/session_events.h"
#include "tests/simulation/checkpoint_files.h"
#include "tests/simulation/data_plane.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/held_parts.h"
#include "tests/simulation/stage_process.h"

namespace penstock::simulation {

// Carries out what a SessionCore wants of its executor, in simulated time:
// loads, connects, makes steps at the pace of the slowest rank, takes
// snapshots, fails when a peer is gone, hangs when one is frozen.
class SimulatedExecutor {
 public:
  // Among whom it is; references must outlive it.
  struct Surroundings {
    std::string server_id;
    uint64_t process = 0;
    StageProcess::Outside& outside;
    DataPlane& plane;
    CheckpointFiles& files;
  };

  SimulatedExecutor(const Surroundings& around, uint64_t seed);

  void Do(const LoadLayers& what, absl::Time now);
  void Do(const ConnectPeers& what, absl::Time now);
  void Do(const RunSteps& what, absl::Time now);
  void Do(const SetMarks& what, absl::Time now);
  void Do(const LeaveEpoch& what, absl::Time now);
  void Forget();

  void FailDevice();
  void HoldPart(const CheckpointId& id, int rank, size_t kept);
  bool HoldsPart(const CheckpointId& id, int rank) const;

  // What has happened until `now`, in order.
  std::vector<Event> Run(absl::Time now);
  absl::Time next_wake() const;

 private:
  enum class Activity {
    kNone,
    kLoading,
    kLoaded,
    kConnecting,
    kConnected,
    kRunning,
    kOver,  // made its last step, or failed
  };
  struct Upload {
    absl::Time at;
    int64_t step = 0;
  };

  DataPlane::Epoch PlaneEpoch() const;
  void FinishLoading();
  absl::Status CheckMemory(const RestorePoint& restore) const;
  void TryToConnect(absl::Time now);
  void TryToStep(absl::Time now);
  void MakeStep(absl::Time now);
  void FinishRun();
  void TakeSnapshot(absl::Time now);
  void KeepInMemory();
  void FinishUploads(absl::Time now);
  void Fail(absl::Status why, std::optional<int> suspect = std::nullopt,
            bool waited = false);

  const Surroundings around_;
  Dice dice_;

  Activity activity_ = Activity::kNone;
  std::optional<LoadLayers> load_;
  SetMarks marks_;
  int64_t step_ = 0;
  // Of the next try; and when it began to wait for others.
  absl::Time next_at_ = absl::InfiniteFuture();
  absl::Time waits_since_;
  absl::Duration step_time_;
  absl::Time leave_at_ = absl::InfiniteFuture();
  EpochKey leaves_;
  bool device_fails_ = false;
  std::vector<Upload> uploads_;
  HeldParts held_;
  bool held_changed_ = false;
  std::vector<Event> events_;
};

}  // namespace penstock::simulation

#endif  // PENSTOCK_TESTS_SIMULATION_EXECUTOR_H_
