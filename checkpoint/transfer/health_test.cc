// What probes and tools see of a server of checkpoints.
#include "checkpoint/transfer/health.h"

#include <memory>

#include "checkpoint/files/memory_file_system.h"
#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/transfer/test_health.h"
#include "checkpoint/transfer/transfer_server.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class HealthTest : public ::testing::Test {
 protected:
  // With the services of a penstock-store, or those of a stage server.
  void Serve(bool is_store) {
    if (is_store) {
      auto store = CheckpointStore::Open(*files_, "root");
      ASSERT_TRUE(store.ok()) << store.status();
      store_ = std::make_unique<CheckpointStore>(*std::move(store));
    }
    TransferServer::Options options;
    options.key = "0123456789abcdef";
    options.owned_store = store_.get();
    auto server = TransferServer::Start(*files_, "root", options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(server_->address(),
                                   grpc::InsecureChannelCredentials());
  }

  const std::unique_ptr<FileSystem> files_ = MakeMemoryFileSystem();
  std::unique_ptr<CheckpointStore> store_;
  std::unique_ptr<TransferServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(HealthTest, AStoreSaysThatItAndItsServicesServe) {
  Serve(/*is_store=*/true);
  EXPECT_EQ(HealthOf(channel_, ""), "SERVING");
  EXPECT_EQ(HealthOf(channel_, "penstock.TransferService"), "SERVING");
  EXPECT_EQ(HealthOf(channel_, "penstock.StoreService"), "SERVING");
}

TEST_F(HealthTest, AServiceThatIsNotThereIsNotFound) {
  Serve(/*is_store=*/false);
  EXPECT_EQ(HealthOf(channel_, "penstock.TransferService"), "SERVING");
  EXPECT_EQ(HealthOf(channel_, "penstock.StoreService"), "NOT_FOUND");
  EXPECT_EQ(HealthOf(channel_, "nonsense"), "NOT_FOUND");
}

TEST_F(HealthTest, NobodyAnswersOnceItHasStopped) {
  Serve(/*is_store=*/true);
  server_->Stop();
  EXPECT_EQ(HealthOf(channel_, ""), "UNAVAILABLE");
}

TEST_F(HealthTest, ReflectionNamesTheServices) {
  Serve(/*is_store=*/false);
  EXPECT_THAT(ReflectedServices(channel_),
              AllOf(HasSubstr("penstock.TransferService"),
                    HasSubstr("grpc.health.v1.Health"),
                    Not(HasSubstr("penstock.StoreService"))));
}

}  // namespace
}  // namespace penstock
