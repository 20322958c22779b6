#ifndef PENSTOCK_TESTS_SIMULATION_AUDITOR_H_
#define PENSTOCK_TESTS_SIMULATION_AUDITOR_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "coordinator/core/effects.h"
#include "coordinator/core/state.h"
#include "tests/simulation/checkpoint_files.h"

namespace penstock::simulation {

// A sentence of docs/simulation.md that did not hold, and where.
struct Violation {
  std::string invariant;
  std::string what;
};

// Holds what a coordinator does against the invariants of docs/simulation.md:
// its state after every event, what it makes durable, and what it says and has
// done besides. Outlives coordinators. Keeps the first violation.
class Auditor {
 public:
  struct Options {
    // What ranks say may be lost within a session.
    bool is_lossy = false;
  };
  // `files` must outlive it.
  Auditor(const CheckpointFiles& files, Options options)
      : files_(files), options_(options) {}

  // A coordinator goes on from what is durable.
  void Started();
  // After each event.
  void Look(const ClusterState& state);
  // What a turn has made durable, of `state`.
  void Written(const ClusterState& state, const WriteBatch& batch);
  // What is then said and asked.
  void Said(const std::string& server_id, const CoordinatorMessage& message);
  void Asked(const CheckpointWork& work);

  // Someone wants it so.
  void NoteCancel(const std::string& job) { cancelled_.insert(job); }

  // Nothing goes wrong any more, and nothing more happens.
  void AtEnd(const ClusterState& state);

  void Report(absl::string_view invariant, const std::string& what);
  const std::optional<Violation>& violation() const { return violation_; }

  // What has been seen, by what it is: "job RUNNING > RECOVERING".
  const std::map<std::string, int>& seen() const { return seen_; }

 private:
  using CheckpointKey = std::pair<int64_t, int64_t>;  // step, epoch
  struct KnownJob {
    JobState state = JOB_STATE_UNSPECIFIED;
    int64_t epoch = 0;
  };
  struct DurableJob {
    JobRow row;
    std::string fingerprint;
    int64_t last_step = 0;
    // Steps that were ever made durable.
    std::set<int64_t> counted;
    // It went on from a state in memory that was ahead of what was reported.
    bool has_gap = false;
  };

  void LookAtJob(const ClusterState& state, const JobRecord& job);
  void LookAtRanks(const ClusterState& state, const JobRecord& job);
  void CheckRow(const JobRow& row);
  void CheckCheckpoints(const JobRow& before, const JobRow& row);
  void CheckEnd(const JobRow& row);
  void CheckStep(const ClusterState& state, const NewStep& step);
  void CheckDurable(const ClusterState& state);

  const CheckpointFiles& files_;
  const Options options_;
  std::map<std::string, KnownJob> known_;
  std::map<std::string, DurableJob> durable_;
  std::map<std::string, std::string> durable_servers_;
  int64_t term_ = 0;
  bool has_restarted_ = false;
  std::set<std::string> cancelled_;
  std::map<std::string, int> seen_;
  std::optional<Violation> violation_;
};

}  // namespace penstock::simulation

#endif  // PENSTOCK_TESTS_SIMULATION_AUDITOR_H_
