#include "coordinator/service/admin_service.h"

namespace penstock {

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

}  // namespace penstock
