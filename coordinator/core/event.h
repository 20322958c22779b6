#ifndef PENSTOCK_COORDINATOR_CORE_EVENT_H_
#define PENSTOCK_COORDINATOR_CORE_EVENT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/checkpoint.pb.h"
#include "proto/coordinator_service.pb.h"
#include "proto/stage_service.pb.h"

namespace penstock {

// What can happen to a cluster. Each carries everything that `Step` needs, so
// that the same events at the same times give the same state again.

// A complete checkpoint that a starting coordinator found in the store.
struct FoundCheckpoint {
  CheckpointId id;
  // Read, and compared with its COMMIT, unless it was known to be complete.
  std::shared_ptr<const CheckpointManifest> manifest;
};

// First event of each process, before it serves. `cluster_secret` is taken
// when the store has none.
struct CoordinatorStarted {
  std::string build_version;
  std::string cluster_secret;
  // Of jobs that are known; not set without a checkpoint store.
  std::optional<std::vector<FoundCheckpoint>> checkpoints;
};

// Time passed.
struct Tick {};

struct JobSubmitted {
  Fence fence;
  std::string idempotency_key;
  // Fresh and random; unused when the key is known.
  std::string job_id;
  // Made from the job by `BuildPlan`.
  std::shared_ptr<const Plan> plan;
  std::vector<int> parameter_layers;
  // As `ChooseStart` says and read since; null: initial weights.
  std::shared_ptr<const CheckpointManifest> restore = nullptr;
};

struct JobCancelRequested {
  Fence fence;
  // Id, unique prefix or name.
  std::string job;
  std::string reason;
};

struct JobSuspendRequested {
  Fence fence;
  // Id, unique prefix or name.
  std::string job;
  std::string reason;
};

struct JobResumeRequested {
  Fence fence;
  std::string job;
  // Of its newest checkpoint, read since; null: what it started from last time.
  std::shared_ptr<const CheckpointManifest> restore = nullptr;
};

struct CheckpointPinRequested {
  Fence fence;
  // "<job>@<step>" or "<job>".
  std::string checkpoint;
  bool pinned = false;
};

struct CheckpointDeleteRequested {
  Fence fence;
  std::string checkpoint;
  bool force = false;
};

// What the checkpoint store has done of a turn's `checkpoint_work`
// (effects.h).
struct CheckpointStored {
  CheckpointId id;
  absl::Status status;
};
struct CheckpointRemoved {
  CheckpointId id;
  absl::Status status;
};
struct ManifestRead {
  std::string job_id;
  CheckpointId id;
  absl::StatusOr<std::shared_ptr<const CheckpointManifest>> manifest;
};

// Someone who read a checkpoint found it damaged.
struct CheckpointDamaged {
  CheckpointId id;
  std::string why;
};

// Weights that came from elsewhere are a complete checkpoint in the store: they
// become that of a new job, which never runs. The answer is the job's id.
struct WeightsImported {
  Fence fence;
  // Not empty.
  std::string idempotency_key;
  // Of its id are the job and the epoch.
  std::shared_ptr<const CheckpointManifest> manifest;
  // Made by `BuildPlan` of the job whose model they are of.
  std::shared_ptr<const Plan> plan;
  std::vector<int> parameter_layers;
  // Where they come from, for people.
  std::string source;
};

struct ServerRegistered {
  RegisterRequest request;
  // "ipv4:127.0.0.1:40312", as the transport names the peer.
  std::string address;
  // The coordinator's own.
  std::string build_version;
};

// An operator wants something of a server.
struct ServerDutyRequested {
  Fence fence;
  // Id, unique prefix or name.
  std::string server;
  // UNSPECIFIED: that it takes ranks again.
  ServerDuty duty = SERVER_DUTY_UNSPECIFIED;
  // Why, for people.
  std::string reason;
  // Of DRAINING; 0: none.
  double deadline_seconds = 0;
};

struct SessionOpened {
  // Never 0, never used again.
  uint64_t session = 0;
  Fence fence;
  uint64_t incarnation = 0;
  std::string server_id;
};

struct SessionClosed {
  uint64_t session = 0;
  std::string why;
};

// Anything but a Hello.
struct SessionSpoke {
  uint64_t session = 0;
  StageMessage message;
};

using ClusterEvent = std::variant<
    CoordinatorStarted, Tick, JobSubmitted, JobCancelRequested,
    JobSuspendRequested, JobResumeRequested, CheckpointPinRequested,
    CheckpointDeleteRequested, CheckpointStored, CheckpointRemoved,
    ManifestRead, CheckpointDamaged, WeightsImported, ServerRegistered,
    SessionOpened, SessionClosed, SessionSpoke, ServerDutyRequested>;

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_EVENT_H_
