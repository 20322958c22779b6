#ifndef PENSTOCK_COORDINATOR_SERVICE_SERVER_H_
#define PENSTOCK_COORDINATOR_SERVICE_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/transfer/tls_credentials.h"
#include "coordinator/service/admin_service.h"
#include "coordinator/service/job_service.h"
#include "coordinator/service/loop.h"
#include "coordinator/service/stage_control.h"
#include "grpcpp/server.h"

namespace penstock {

// The coordinator's gRPC server: JobService, AdminService, StageControl,
// grpc.health.v1.Health and reflection on one address.
class CoordinatorServer {
 public:
  // Serves on `address`, "host:port"; port 0 takes a free one. Without `tls` in
  // the clear. `loop` must outlive the server.
  //   UNAVAILABLE       the address cannot be listened on: taken, or not of
  //                     this machine.
  //   INVALID_ARGUMENT  no host:port.
  static absl::StatusOr<std::unique_ptr<CoordinatorServer>> Start(
      const std::string& address, Loop& loop,
      JobServiceAdapter::IdSource new_id,
      const std::shared_ptr<const TlsCredentials>& tls = nullptr);
  // Stops, if `Stop` was not called.
  ~CoordinatorServer();

  // "host:port", with the port that was bound.
  const std::string& address() const { return address_; }

  // Ends all streams with `why`, lets unary calls finish and closes the port.
  // Blocks for at most a few seconds. Running jobs do not notice.
  void Stop(const absl::Status& why);

 private:
  CoordinatorServer(Loop& loop, JobServiceAdapter::IdSource new_id);

  Loop& loop_;
  JobServiceAdapter jobs_;
  AdminServiceAdapter admin_;
  StageControlService stages_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

struct HostPort {
  // Without brackets.
  std::string host;
  int port = 0;
};

// Splits "host:port" and "[::1]:port". INVALID_ARGUMENT, quoting `address`, if
// it is neither.
absl::StatusOr<HostPort> ParseHostPort(absl::string_view address);

// Whether only this machine can reach a listener on `host`.
bool IsLoopback(absl::string_view host);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_SERVICE_SERVER_H_
