#include "coordinator/service/admin_service.h"

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "checkpoint/transfer/grpc_status.h"
#include "coordinator/core/event.h"
#include "coordinator/core/state.h"
#include "coordinator/service/audit.h"

namespace penstock {
namespace {

// Fills in `info` with the server as it is once `event` is durable.
grpc::ServerUnaryReactor* Change(Loop& loop,
                                 grpc::CallbackServerContext* context,
                                 ServerDutyRequested event, ServerInfo* info) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  loop.Submit(std::move(event),
              [=](const absl::StatusOr<std::string>& id, const LoopView& view) {
                if (id.ok()) *info = DescribeServer(view.state.servers.at(*id));
                reactor->Finish(ToGrpcStatus(id.status()));
              });
  return reactor;
}

}  // namespace

grpc::ServerUnaryReactor* AdminServiceAdapter::ListServers(
    grpc::CallbackServerContext* context, const ListServersRequest*,
    ListServersResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  loop_.Ask([=, this](const LoopView& view) {
    response->set_coordinator_term(view.state.term);
    response->set_coordinator_build_version(loop_.build_version());
    for (const auto& [id, server] : view.state.servers) {
      *response->add_servers() = DescribeServer(server);
    }
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

grpc::ServerUnaryReactor* AdminServiceAdapter::CordonServer(
    grpc::CallbackServerContext* context, const CordonServerRequest* request,
    CordonServerResponse* response) {
  Audit(*context, "CordonServer", request->server());
  return Change(loop_, context,
                {request->fence(), request->server(), SERVER_DUTY_CORDONED,
                 request->reason()},
                response->mutable_server());
}

grpc::ServerUnaryReactor* AdminServiceAdapter::DrainServer(
    grpc::CallbackServerContext* context, const DrainServerRequest* request,
    DrainServerResponse* response) {
  Audit(*context, "DrainServer", request->server());
  return Change(loop_, context,
                {request->fence(), request->server(), SERVER_DUTY_DRAINING,
                 request->reason(), request->deadline_seconds()},
                response->mutable_server());
}

grpc::ServerUnaryReactor* AdminServiceAdapter::UncordonServer(
    grpc::CallbackServerContext* context, const UncordonServerRequest* request,
    UncordonServerResponse* response) {
  Audit(*context, "UncordonServer", request->server());
  return Change(
      loop_, context,
      {request->fence(), request->server(), SERVER_DUTY_UNSPECIFIED, ""},
      response->mutable_server());
}

}  // namespace penstock
