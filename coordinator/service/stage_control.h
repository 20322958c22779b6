#ifndef PENSTOCK_COORDINATOR_SERVICE_STAGE_CONTROL_H_
#define PENSTOCK_COORDINATOR_SERVICE_STAGE_CONTROL_H_

#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "base/tls/identity.h"
#include "coordinator/service/loop.h"
#include "proto/stage_service.grpc.pb.h"

namespace penstock {

// Which certificate each stage server has registered with, so that no holder of
// one speaks for the server of another. A caller in the clear, which has none,
// may be any server. Thread-safe.
class ServerCertificates {
 public:
  // Whether `caller` may register the server of `request`: its certificate has
  // the server's id, or its name; by a name, only an id that nobody of another
  // name has.
  //   PERMISSION_DENIED  says which certificate was wanted.
  static absl::Status CheckRegister(const std::optional<Identity>& caller,
                                    const RegisterRequest& request,
                                    const ClusterState& state);

  // Once `caller` has registered `server_id`.
  void Add(const std::optional<Identity>& caller, const std::string& server_id)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether `caller` is who registered `server_id` last.
  //   ABORTED            nobody has since this coordinator started; register.
  //   PERMISSION_DENIED  somebody else has.
  absl::Status CheckSession(const std::optional<Identity>& caller,
                            const std::string& server_id) const
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  mutable Mutex mutex_;
  // Names in certificates, by server id.
  std::map<std::string, std::string> names_ ABSL_GUARDED_BY(mutex_);
};

// Translates only: wire -> event -> loop -> wire. Thread-safe; `loop` must
// outlive it.
class StageControlService final : public StageControl::CallbackService {
 public:
  explicit StageControlService(Loop& loop) : loop_(loop) {}

  grpc::ServerUnaryReactor* Register(grpc::CallbackServerContext* context,
                                     const RegisterRequest* request,
                                     RegisterResponse* response) override;
  grpc::ServerBidiReactor<StageMessage, CoordinatorMessage>* Session(
      grpc::CallbackServerContext* context) override;

 private:
  Loop& loop_;
  ServerCertificates certificates_;
};

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_SERVICE_STAGE_CONTROL_H_
