#ifndef PENSTOCK_COORDINATOR_SERVICE_STAGE_CONTROL_H_
#define PENSTOCK_COORDINATOR_SERVICE_STAGE_CONTROL_H_

#include "coordinator/service/loop.h"
#include "proto/stage_service.grpc.pb.h"

namespace penstock {

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
};

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_SERVICE_STAGE_CONTROL_H_
