#ifndef PENSTOCK_COORDINATOR_SERVICE_ADMIN_SERVICE_H_
#define PENSTOCK_COORDINATOR_SERVICE_ADMIN_SERVICE_H_

#include "coordinator/service/loop.h"
#include "proto/coordinator_service.grpc.pb.h"

namespace penstock {

// Translates only. Thread-safe; `loop` must outlive it.
class AdminServiceAdapter final : public AdminService::CallbackService {
 public:
  explicit AdminServiceAdapter(Loop& loop) : loop_(loop) {}

  grpc::ServerUnaryReactor* ListServers(grpc::CallbackServerContext* context,
                                        const ListServersRequest* request,
                                        ListServersResponse* response) override;
  grpc::ServerUnaryReactor* CordonServer(
      grpc::CallbackServerContext* context, const CordonServerRequest* request,
      CordonServerResponse* response) override;
  grpc::ServerUnaryReactor* DrainServer(grpc::CallbackServerContext* context,
                                        const DrainServerRequest* request,
                                        DrainServerResponse* response) override;
  grpc::ServerUnaryReactor* UncordonServer(
      grpc::CallbackServerContext* context,
      const UncordonServerRequest* request,
      UncordonServerResponse* response) override;

 private:
  Loop& loop_;
};

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_SERVICE_ADMIN_SERVICE_H_
