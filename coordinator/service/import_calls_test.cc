// An import over real gRPC, into a folder of this machine.
#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/version.h"
#include "checkpoint/exchange/import_weights.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/safetensors/header.h"
#include "checkpoint/shards/directory_shard_store.h"
#include "coordinator/core/job_fixture.h"
#include "coordinator/service/hosted_checkpoints.h"
#include "coordinator/service/server.h"
#include "coordinator/store/memory_store.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

class ImportCallsTest : public ::testing::Test {
 protected:
  ImportCallsTest()
      : files_(MakePosixFileSystem()),
        folder_(absl::StrCat(
            ::testing::TempDir(), "/calls_",
            ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::remove_all(folder_);
    EXPECT_TRUE(MakeFolder(folder_).ok());
    Loop::Options options;
    options.build_version = kBuildVersion;
    options.cluster_secret = "secret";
    options.open_checkpoints = [this](const std::string&) {
      HostedCheckpointsOptions hosted;
      hosted.root = folder_ + "/root";
      hosted.listen = "";
      hosted.key = "a key of the store's";
      return OpenHostedCheckpoints(hosted);
    };
    loop_ = Loop::Start(std::make_unique<MemoryStore>(), std::move(options))
                .value();
    server_ = CoordinatorServer::Start("127.0.0.1:0", *loop_, [this] {
                return absl::StrCat("new", ++ids_);
              }).value();
    jobs_ = JobService::NewStub(grpc::CreateChannel(
        server_->address(), grpc::InsecureChannelCredentials()));
  }

  grpc::Status Begin(const Job& job) {
    grpc::ClientContext context;
    BeginImportRequest request;
    *request.mutable_job() = job;
    return jobs_->BeginImport(&context, request, &begun_);
  }

  // What a caller does between the two calls; zeros for every weight.
  void Send() {
    SafetensorsHeader header;
    std::vector<ExpectedLayer> layers;
    int64_t bytes = 0;
    for (const ShardFile& file : begun_.files()) {
      ExpectedLayer& layer = layers.emplace_back();
      layer.layer = file.layer();
      layer.name = file.layer_name();
      for (const ShardTensor& tensor : file.tensors()) {
        layer.tensors.push_back(
            {tensor.name(), {tensor.shape().begin(), tensor.shape().end()}});
        header.tensors.push_back(
            {tensor.name(), StoredType::kFloat32, layer.tensors.back().shape});
        int64_t count = 1;
        for (const int64_t size : tensor.shape()) count *= size;
        bytes += count * 4;
      }
    }
    ASSERT_TRUE(WriteFileAtomically(
                    folder_ + "/zeros.safetensors",
                    EncodeHeader(header).value() + std::string(bytes, '\0'))
                    .ok());
    const auto store = MakeDirectoryShardStore(*files_, begun_.store().root());
    const auto sent = ImportWeights(folder_ + "/zeros.safetensors", layers,
                                    begun_.checkpoint(), *store);
    ASSERT_TRUE(sent.ok()) << sent.status();
    commit_.set_idempotency_key("import");
    *commit_.mutable_job() = SmallJob();
    *commit_.mutable_checkpoint() = begun_.checkpoint();
    commit_.mutable_files()->Assign(sent->begin(), sent->end());
    commit_.set_source("/zeros");
  }

  grpc::Status Commit() {
    grpc::ClientContext context;
    CommitImportResponse response;
    const grpc::Status status =
        jobs_->CommitImport(&context, commit_, &response);
    info_ = response.info();
    return status;
  }

  const std::unique_ptr<FileSystem> files_;
  const std::string folder_;
  std::atomic<int> ids_ = 0;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<CoordinatorServer> server_;
  std::unique_ptr<JobService::Stub> jobs_;
  BeginImportResponse begun_;
  CommitImportRequest commit_;
  CheckpointInfo info_;
};

TEST_F(ImportCallsTest, WhatWasSentIsACheckpointThatAJobStartsFrom) {
  ASSERT_TRUE(Begin(SmallJob()).ok());
  Send();
  const grpc::Status status = Commit();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(info_.state(), CHECKPOINT_STATE_COMMITTED);
  EXPECT_EQ(info_.id().step(), 0);
  EXPECT_GT(info_.size_bytes(), 0);
  // The answer that was lost.
  ASSERT_TRUE(Commit().ok());
  EXPECT_EQ(info_.id().job_id(), begun_.checkpoint().job_id());

  grpc::ClientContext context;
  SubmitJobRequest request;
  request.set_idempotency_key("job");
  *request.mutable_job() = SmallJob();
  request.mutable_job()->mutable_start()->set_from(info_.id().job_id());
  SubmitJobResponse response;
  const grpc::Status submitted = jobs_->SubmitJob(&context, request, &response);
  ASSERT_TRUE(submitted.ok()) << submitted.error_message();
  EXPECT_TRUE(response.job().started_from().weights_only());
}

TEST_F(ImportCallsTest, ALayerThatIsMissingIsNamed) {
  ASSERT_TRUE(Begin(SmallJob()).ok());
  Send();
  commit_.mutable_files()->RemoveLast();
  const grpc::Status status = Commit();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("head"));
}

TEST_F(ImportCallsTest, FilesThatAreNotInTheStoreAreNotCommitted) {
  ASSERT_TRUE(Begin(SmallJob()).ok());
  Send();
  commit_.mutable_checkpoint()->set_job_id("another");
  EXPECT_EQ(Commit().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(ImportCallsTest, AJobThatIsThereIsNotWrittenTo) {
  ASSERT_TRUE(Begin(SmallJob()).ok());
  Send();
  ASSERT_TRUE(Commit().ok());
  commit_.set_idempotency_key("another");
  EXPECT_EQ(Commit().error_code(), grpc::StatusCode::ALREADY_EXISTS);
}

TEST_F(ImportCallsTest, WhatCannotBeIsRefused) {
  Job job = SmallJob();
  job.mutable_model()->set_preset("gpt-nan");
  const grpc::Status model = Begin(job);
  EXPECT_EQ(model.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(model.error_message(), HasSubstr("gpt-nano"));
  job.mutable_emulate();
  EXPECT_THAT(Begin(job).error_message(), HasSubstr("no weights to import"));

  ASSERT_TRUE(Begin(SmallJob()).ok());
  Send();
  const CommitImportRequest sound = commit_;
  const auto refuses = [&](const std::string& what) {
    const grpc::Status status = Commit();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << what;
    EXPECT_THAT(status.error_message(), HasSubstr(what));
    commit_ = sound;
  };
  commit_.clear_idempotency_key();
  refuses("idempotency_key");
  commit_.mutable_checkpoint()->set_step(5);
  refuses("step 0");
  commit_.mutable_checkpoint()->set_epoch(2);
  refuses("epoch 1");
  commit_.mutable_checkpoint()->set_job_id("../elsewhere");
  refuses("../elsewhere");
  commit_.mutable_files(0)->set_name("../x.w.safetensors");
  refuses("../x.w.safetensors");
}

}  // namespace
}  // namespace penstock
