#ifndef PENSTOCK_TESTS_SIMULATION_WORLD_H_
#define PENSTOCK_TESTS_SIMULATION_WORLD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "coordinator/store/memory_store.h"
#include "tests/simulation/auditor.h"
#include "tests/simulation/checkpoint_files.h"
#include "tests/simulation/coordinator_process.h"
#include "tests/simulation/data_plane.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/host.h"
#include "tests/simulation/network.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/timetable.h"

namespace penstock::simulation {

struct RunOptions {
  // A planted bug: what is replayed carries the fence of the present epoch, as
  // if nobody looked at it.
  bool rewrites_fences = false;
  // What happens, a line each; may be null.
  std::vector<std::string>* trace = nullptr;
};

struct RunResult {
  std::optional<Violation> violation;
  // Of the coordinator, those after everything was mended too.
  int events = 0;
  // What has been seen (auditor.h).
  std::map<std::string, int> seen;
};

// A cluster: one coordinator, its stores, stage servers, the network between
// them, people and everything that goes wrong, on one thread and one simulated
// clock. Equal scenarios give equal runs, to the last message.
//
// After the scenario's last event everything is mended: what is stopped is
// started, people resume what is suspended, and it goes on until all jobs have
// ended, or for half an hour.
class World : public CoordinatorProcess::Outside, public Host::Surroundings {
 public:
  World(const Scenario& scenario, const RunOptions& options);
  ~World() override;

  RunResult Run();

 private:
  // CoordinatorProcess::Outside.
  void Send(uint64_t session, const CoordinatorMessage& message) override;
  void End(uint64_t session, const absl::Status& why) override;
  void Work(const CheckpointWork& work) override;
  void Log(const Event& event) override;

  // Host::Surroundings.
  void Register(Host& host, const RegisterRequest& request) override;
  void OpenSession(Host& host, int64_t number) override;
  void Send(Host& host, const StageMessage& message) override;
  void CloseSession(Host& host) override;
  void Exited(Host& host) override;
  StageProcess* MemoryAt(const std::string& address) override;

  // The coordinator (world_coordinator.cc).
  void StartCoordinator();
  void Crash(double seconds);
  void Submit(ClusterEvent event, CoordinatorProcess::Reply reply = nullptr);
  void ScheduleTurn(absl::Time at);
  void RunTurn();
  void DoNextWork();
  void FinishWork(const CheckpointWork& work);
  absl::Time CoordinatorNow() const;

  // The network.
  void Deliver(uint64_t session, const StageMessage& message);
  void DeliverUp(uint64_t session);
  void DeliverDown(uint64_t session);
  void BreakServerSide(uint64_t session, const absl::Status& why,
                       absl::Duration after);
  void BreakCoordinatorSide(uint64_t session, const std::string& why,
                            absl::Duration after);
  void BreakSession(Host& host);
  void BeginPartition(Host& host, double seconds);
  bool IsCutOff(const Host& host) const;

  // What people do, and what goes wrong (world_actions.cc).
  void Act(const Action& action);
  void ActOnJob(const Action& action);
  void ActOnServer(const Action& action);
  void SubmitJob(const SimulatedJob& job, const std::string& id);
  void Resume(const std::string& job);
  void Kill(Host& host, double seconds);
  void Replay(Host& host);
  void Mend();
  void TendJobs();
  bool IsOver() const;

  void Schedule(absl::Time at, std::function<void()> what);
  void After(absl::Duration time, std::function<void()> what);
  // In a process of the host, unless that has ended; when it is not frozen.
  void InHost(Host& host, absl::Duration after,
              std::function<void(StageProcess&)> what);
  void RunInHost(Host& host, uint64_t incarnation,
                 const std::function<void(StageProcess&)>& what);
  void WakeHosts();
  void StartHost(Host& host);
  void Trace(const std::string& text);
  Host* HostOf(const std::string& id);
  const SimulatedJob& JobOf(const std::string& name) const;
  void CollectViolations();

  const Scenario scenario_;
  const RunOptions options_;
  Dice dice_;
  absl::Time now_;
  Timetable timetable_;

  CheckpointFiles files_;
  DataPlane plane_;
  MemoryStore store_;
  Auditor auditor_;

  std::map<std::string, std::unique_ptr<Host>> hosts_;
  std::map<uint64_t, Session> sessions_;
  uint64_t last_session_ = 0;
  uint64_t last_incarnation_ = 0;

  std::unique_ptr<CoordinatorProcess> coordinator_;
  // Grows with each process.
  int64_t generation_ = 0;
  absl::Time stalled_until_;
  absl::Duration clock_offset_;
  absl::Duration next_clock_offset_;
  CoordinatorProcess::Crash crash_ = CoordinatorProcess::Crash::kNever;
  double crash_seconds_ = 0;
  std::vector<CoordinatorProcess::Item> inbox_;
  absl::Time turn_at_ = absl::InfiniteFuture();
  std::vector<CheckpointWork> works_;
  absl::Time slow_until_;
  int past_events_ = 0;

  std::set<std::string> submitted_;
  std::set<std::string> accepted_;
  bool is_mended_ = false;
  size_t actions_done_ = 0;
};

// Runs it in a world of its own.
RunResult RunScenario(const Scenario& scenario, const RunOptions& options = {});

}  // namespace penstock::simulation

#endif  // PENSTOCK_TESTS_SIMULATION_WORLD_H_
