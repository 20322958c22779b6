#include "checkpoint/transfer/transfer_server.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "checkpoint/transfer/chunk.h"
#include "checkpoint/transfer/health.h"
#include "checkpoint/transfer/server_options.h"
#include "checkpoint/transfer/store_service.h"
#include "checkpoint/transfer/transfer_service.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"

namespace penstock {
namespace {

class GrpcTransferServer : public TransferServer {
 public:
  GrpcTransferServer(FileSystem& files, const std::string& root,
                     const Options& options)
      : service_(files, root, options) {
    if (options.owned_store == nullptr) return;
    store_service_ = std::make_unique<StoreServiceAdapter>(
        *options.owned_store, options.key,
        [this](const std::string& job_id, int64_t epoch) {
          BeginEpoch(job_id, epoch);
        });
  }
  ~GrpcTransferServer() override { Stop(); }

  absl::Status Listen(const std::string& address,
                      const std::shared_ptr<const TlsCredentials>& tls) {
    EnableHealthAndReflection();
    grpc::ServerBuilder builder;
    SetServerOptions(kMaxTransferMessageBytes, builder);
    int port = 0;
    builder.AddListeningPort(address, ServerCredentialsOf(tls), &port);
    builder.RegisterService(&service_);
    if (store_service_ != nullptr) {
      builder.RegisterService(store_service_.get());
      builder.SetMaxReceiveMessageSize(kMaxManifestMessageBytes);
      builder.SetMaxSendMessageSize(kMaxManifestMessageBytes);
    }
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      return absl::UnavailableError(absl::StrCat(
          "cannot listen on ", address,
          " for checkpoints: it is no host:port, taken, or another machine's"));
    }
    address_ = absl::StrCat(address.substr(0, address.rfind(':')), ":", port);
    std::vector<std::string> services = {TransferService::service_full_name()};
    if (store_service_ != nullptr) {
      services.push_back(StoreService::service_full_name());
    }
    SetServing(*server_, services);
    return absl::OkStatus();
  }

  const std::string& address() const override { return address_; }

  void BeginEpoch(const std::string& job_id, int64_t epoch) override {
    service_.BeginEpoch(job_id, epoch);
  }

  void Stop() override {
    if (server_ == nullptr) return;
    SetNotServing(*server_);
    // Files go on at the next server, so nothing is worth waiting for.
    server_->Shutdown(absl::ToChronoTime(SystemClock().Now()));
    server_->Wait();
    server_.reset();
  }

 private:
  TransferServiceAdapter service_;
  // Nothing unless the store's owner is elsewhere.
  std::unique_ptr<StoreServiceAdapter> store_service_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TransferServer>> TransferServer::Start(
    FileSystem& files, const std::string& root, Options options) {
  auto server = std::make_unique<GrpcTransferServer>(files, root, options);
  const absl::Status listening = server->Listen(options.address, options.tls);
  if (!listening.ok()) return listening;
  return server;
}

}  // namespace penstock
