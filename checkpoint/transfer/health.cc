#include "checkpoint/transfer/health.h"

#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"

namespace penstock {

void EnableHealthAndReflection() {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
}

void SetServing(grpc::Server& server,
                const std::vector<std::string>& services) {
  grpc::HealthCheckServiceInterface* const health =
      server.GetHealthCheckService();
  if (health == nullptr) return;
  for (const std::string& service : services) {
    health->SetServingStatus(service, true);
  }
}

void SetNotServing(grpc::Server& server) {
  grpc::HealthCheckServiceInterface* const health =
      server.GetHealthCheckService();
  if (health != nullptr) health->Shutdown();
}

}  // namespace penstock
