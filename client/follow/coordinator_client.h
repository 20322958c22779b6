#ifndef PENSTOCK_CLIENT_FOLLOW_COORDINATOR_CLIENT_H_
#define PENSTOCK_CLIENT_FOLLOW_COORDINATOR_CLIENT_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/interrupt.h"
#include "client/settings.h"
#include "proto/coordinator_service.pb.h"

namespace grpc {
class ClientContext;
class Status;
}  // namespace grpc

namespace penstock {

// What a command needs to know of waiting.
struct CallPolicy {
  // For one call with its retries.
  absl::Duration timeout = absl::Seconds(10);
  // How long a coordinator that does not answer is tried again; a coordinator
  // restarts within it.
  absl::Duration retry_unavailable = absl::Seconds(2);
};

// The coordinator's services as plain calls. Each call has a deadline and is
// tried again, with back-off, while the coordinator is UNAVAILABLE: all calls
// may be sent twice (reads, or mutations with an idempotency key).
//
// Errors keep the code of proto/coordinator_service.proto; UNAVAILABLE names
// the address, where it was configured, and what to do. Thread-safe.
// `interrupt` ends a call that waits with CANCELLED.
class CoordinatorClient {
 public:
  CoordinatorClient(CoordinatorSetting setting, CallPolicy policy,
                    Interrupt* interrupt);
  ~CoordinatorClient();

  absl::StatusOr<JobInfo> SubmitJob(const Job& job,
                                    const std::string& idempotency_key);
  absl::StatusOr<ValidateJobResponse> ValidateJob(const Job& job);
  absl::StatusOr<JobInfo> GetJob(const std::string& job);
  absl::StatusOr<ListJobsResponse> ListJobs(bool all);
  absl::StatusOr<JobInfo> CancelJob(const std::string& job,
                                    const std::string& reason,
                                    const std::string& idempotency_key);
  absl::StatusOr<JobInfo> SuspendJob(const std::string& job,
                                     const std::string& reason,
                                     const std::string& idempotency_key);
  absl::StatusOr<JobInfo> ResumeJob(const std::string& job,
                                    const std::string& idempotency_key);
  // Of all jobs if `job` is empty.
  absl::StatusOr<ListCheckpointsResponse> ListCheckpoints(
      const std::string& job, bool all);
  absl::StatusOr<GetCheckpointResponse> GetCheckpoint(
      const std::string& checkpoint);
  absl::StatusOr<CheckpointInfo> PinCheckpoint(
      const std::string& checkpoint, bool pinned,
      const std::string& idempotency_key);
  absl::StatusOr<CheckpointInfo> DeleteCheckpoint(
      const std::string& checkpoint, bool force,
      const std::string& idempotency_key);
  // With the job's model; CommitImport with what has been sent since.
  absl::StatusOr<BeginImportResponse> BeginImport(const Job& job);
  absl::StatusOr<CheckpointInfo> CommitImport(
      const CommitImportRequest& request);
  absl::StatusOr<ListServersResponse> ListServers();
  absl::StatusOr<ServerInfo> CordonServer(const std::string& server,
                                          const std::string& reason,
                                          const std::string& idempotency_key);
  // Without an end if `deadline_seconds` is 0.
  absl::StatusOr<ServerInfo> DrainServer(const std::string& server,
                                         const std::string& reason,
                                         double deadline_seconds,
                                         const std::string& idempotency_key);
  absl::StatusOr<ServerInfo> UncordonServer(const std::string& server,
                                            const std::string& idempotency_key);
  // Without a step the newest that was traced.
  absl::StatusOr<GetTimelineResponse> GetTimeline(const std::string& job,
                                                  std::optional<int64_t> step);

  // For streams, which follow_stream.h reads; coordinator_services.h has it.
  struct Services;
  Services& services() { return *services_; }
  const CoordinatorSetting& setting() const { return setting_; }

 private:
  static std::unique_ptr<Services> MakeServices(
      const CoordinatorSetting& setting);
  absl::Status Retry(
      const std::function<grpc::Status(grpc::ClientContext*)>& call);

  const CoordinatorSetting setting_;
  const CallPolicy policy_;
  Interrupt* const interrupt_;
  const std::unique_ptr<Services> services_;
};

// What to wait before the next attempt: 0.1 s, doubling to 5 s. `attempt`
// counts from 0.
absl::Duration BackOff(int attempt);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_FOLLOW_COORDINATOR_CLIENT_H_
