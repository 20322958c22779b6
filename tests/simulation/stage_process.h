#ifndef PENSTOCK_TESTS_SIMULATION_STAGE_PROCESS_H_
#define PENSTOCK_TESTS_SIMULATION_STAGE_PROCESS_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "proto/stage_service.pb.h"
#include "tests/simulation/checkpoint_files.h"
#include "tests/simulation/data_plane.h"

namespace penstock::simulation {

// One process of a stage server: the real SessionCore over an executor that
// trains nothing, but takes its time, knows its peers through a DataPlane and
// keeps checkpoints in CheckpointFiles. Destroying it is kill -9.
//
// Nothing in here includes the coordinator's headers, whose names are others
// for the same things; nothing in the header the stage server's.
class StageProcess {
 public:
  // Where what it does goes to. Calls come from within calls of its own.
  class Outside {
   public:
    virtual ~Outside() = default;
    virtual void Register(const RegisterRequest& request) = 0;
    virtual void OpenSession(int64_t session) = 0;
    virtual void Send(const StageMessage& message) = 0;
    virtual void CloseSession() = 0;
    // It has ended; to be destroyed once the call has returned.
    virtual void Exit() = 0;
    // The process whose memory has this address; null if that is gone.
    virtual StageProcess* MemoryAt(const std::string& address) = 0;
  };

  struct Identity {
    std::string server_id;
    std::string host;
    uint64_t incarnation = 0;
    std::string build;
  };

  // What is passed by reference must outlive it.
  StageProcess(const Identity& identity, uint64_t seed, Outside& outside,
               DataPlane& plane, CheckpointFiles& files);
  ~StageProcess();

  void Start(absl::Time now);
  void Registered(const RegisterResponse& response, absl::Time now);
  void RegisterFailed(const absl::Status& why, absl::Time now);
  void Receive(int64_t session, const CoordinatorMessage& message,
               absl::Time now);
  void SessionEnded(int64_t session, const absl::Status& why, absl::Time now);
  // SIGTERM.
  void Terminate(absl::Duration leave_within, absl::Time now);
  // The device fails, if there is a rank on it.
  void FailDevice();

  // To be called when it is `next_wake`; earlier does no harm.
  void Wake(absl::Time now);
  absl::Time next_wake() const;

  // A peer's part of a state in memory.
  void HoldPart(const CheckpointId& id, int rank);
  bool HoldsPart(const CheckpointId& id, int rank) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::simulation

#endif  // PENSTOCK_TESTS_SIMULATION_STAGE_PROCESS_H_
