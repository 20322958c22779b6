#ifndef PENSTOCK_TESTS_SIMULATION_SCENARIO_H_
#define PENSTOCK_TESTS_SIMULATION_SCENARIO_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace penstock::simulation {

// What happens to a simulated cluster, as a text that can be kept and run
// again:
//
//   seed 7
//   events 500
//   servers 4
//   network lossy
//   job a stages=2 steps=8 every=2 keep=1 memory=0 min=0 limit=3
//   at 0.100 submit a
//   at 4.250 kill s2 1.5
//
// The seed decides what is not said: how long each thing takes.

// A job that can be submitted.
struct SimulatedJob {
  // Also its id.
  std::string name = "job";
  int stages = 2;
  int steps = 8;
  // checkpoint.every_steps; 0: only at the end; -1: it keeps no checkpoints.
  int every = 2;
  int keep = 1;
  // checkpoint.memory_every_steps.
  int memory = 0;
  // elastic.min_stages.
  int min = 0;
  // restart.limit.
  int limit = 5;

  friend bool operator==(const SimulatedJob&, const SimulatedJob&) = default;
};

enum class ActionKind {
  // What people ask; of a job.
  kSubmit,
  kCancel,
  kSuspend,
  kResume,
  kPin,
  kRemove,  // its newest checkpoint, by force
  // What happens to a stage server.
  kKill,       // and it is started again after so many seconds
  kTerminate,  // SIGTERM with a deadline of so many seconds
  kFreeze,     // SIGSTOP, SIGCONT after so many seconds
  kBreak,      // its session
  kPartition,  // from the coordinator, for so many seconds
  kUnplug,     // from the other servers, for so many seconds
  kFail,       // its device
  kReplay,     // what it once said in an epoch that is over comes again
  // What happens to checkpoints.
  kDamage,  // the newest one of a job
  kSlow,    // the store, for so many seconds
  kFill,    // the store's disk, for so many seconds
  // What happens to the coordinator.
  kCrash,           // and it is started again after so many seconds
  kCrashUnwritten,  // the same, before its next write
  kCrashUnspoken,   // the same, right after its next write
  kStall,           // SIGSTOP, SIGCONT after so many seconds
  kClock,           // the clock of its next process is off by so many seconds
};

struct Action {
  ActionKind kind = ActionKind::kKill;
  // Since the start.
  absl::Duration at;
  // Of a job or a server ("s1"); empty for the store and the coordinator.
  std::string target;
  // As the kind says; 0 where it says nothing.
  double seconds = 0;

  friend bool operator==(const Action&, const Action&) = default;
};

struct Scenario {
  uint64_t seed = 0;
  // So many of the coordinator, then what goes wrong ends.
  int events = 500;
  int servers = 4;
  // Messages of a session may be lost, doubled and late; else, as gRPC has it,
  // only those that come when it breaks are lost.
  bool is_lossy = false;
  std::vector<SimulatedJob> jobs;
  // By time.
  std::vector<Action> actions;

  friend bool operator==(const Scenario&, const Scenario&) = default;
};

// One that the seed decides.
Scenario RandomScenario(uint64_t seed, int events);

std::string ToText(const Scenario& scenario);
// "at 4.250 kill s2 1.5"
std::string ToText(const Action& action);

// Inverse of `ToText`; passes over empty lines and those that begin with '#'.
//   INVALID_ARGUMENT  names the line, what it says and what it may say.
absl::StatusOr<Scenario> ParseScenario(absl::string_view text);

}  // namespace penstock::simulation

#endif  // PENSTOCK_TESTS_SIMULATION_SCENARIO_H_
