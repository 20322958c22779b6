#ifndef PENSTOCK_COORDINATOR_CORE_EVENT_H_
#define PENSTOCK_COORDINATOR_CORE_EVENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "proto/coordinator_service.pb.h"
#include "proto/stage_service.pb.h"

namespace penstock {

// What can happen to a cluster. Each carries everything that `Step` needs, so
// that the same events at the same times give the same state again.

// First event of each process, before it serves. `cluster_secret` is taken
// when the store has none.
struct CoordinatorStarted {
  std::string build_version;
  std::string cluster_secret;
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
};

struct JobCancelRequested {
  Fence fence;
  // Id, unique prefix or name.
  std::string job;
  std::string reason;
};

struct ServerRegistered {
  RegisterRequest request;
  // "ipv4:127.0.0.1:40312", as the transport names the peer.
  std::string address;
  // The coordinator's own.
  std::string build_version;
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

using ClusterEvent =
    std::variant<CoordinatorStarted, Tick, JobSubmitted, JobCancelRequested,
                 ServerRegistered, SessionOpened, SessionClosed, SessionSpoke>;

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_EVENT_H_
