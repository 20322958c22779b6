// What clients ask about checkpoints, over real gRPC, of a store that does what
// the test says.
#include <map>

#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "checkpoint/layout/layout.h"
#include "coordinator/core/checkpointed_layers.h"
#include "coordinator/core/job_fixture.h"
#include "coordinator/service/server.h"
#include "coordinator/store/memory_store.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

// Manifests in memory, by step; each call is done at once.
class FakeCheckpoints final : public CheckpointPort {
 public:
  explicit FakeCheckpoints(
      const std::map<int64_t, CheckpointManifest>& manifests)
      : manifests_(manifests) {}

  CheckpointStoreSettings settings() const override {
    return {"127.0.0.1:1", "/checkpoints", "a key of the store's"};
  }
  absl::StatusOr<std::vector<CheckpointId>> List(
      const std::string& job_id) override {
    std::vector<CheckpointId> ids;
    for (const auto& [step, manifest] : manifests_) {
      if (manifest.id().job_id() == job_id) ids.push_back(manifest.id());
    }
    return ids;
  }
  ManifestOrStatus ReadNow(const CheckpointId& id) override {
    const auto found = manifests_.find(id.step());
    if (found == manifests_.end() || found->second.files().empty()) {
      return absl::DataLossError(absl::StrCat("manifest of step ", id.step(),
                                              " is not what COMMIT says"));
    }
    return std::make_shared<const CheckpointManifest>(found->second);
  }
  void Do(CheckpointWork, std::function<void(ClusterEvent)>) override {}
  void Read(const CheckpointId& id,
            std::function<void(ManifestOrStatus)> done) override {
    done(ReadNow(id));
  }
  void Verify(const CheckpointId& id,
              std::function<bool(int64_t, int64_t)> report,
              std::function<void(absl::Status)> done) override {
    report(1, 2);
    report(2, 2);
    done(id.step() == 10 ? absl::OkStatus()
                         : absl::DataLossError("l0000: crc32c"));
  }

 private:
  std::map<int64_t, CheckpointManifest> manifests_;
};

// A cancelled job "old" of SmallJob with complete checkpoints of steps 5, 10
// and 15, the last of which cannot be read.
class CheckpointCallsTest : public ::testing::Test {
 protected:
  CheckpointCallsTest() {
    auto store = std::make_unique<MemoryStore>();
    WriteBatch batch;
    JobRow& row = batch.jobs.emplace_back();
    row.mutable_info()->set_id("old");
    *row.mutable_info()->mutable_job() = SmallJob();
    row.mutable_info()->set_state(JOB_STATE_CANCELLED);
    row.mutable_info()->set_epoch(1);
    std::map<int64_t, CheckpointManifest> manifests;
    for (const int64_t step : {5, 10, 15}) {
      CheckpointManifest& manifest = manifests[step];
      manifest.mutable_id()->set_job_id("old");
      manifest.mutable_id()->set_step(step);
      manifest.mutable_id()->set_epoch(1);
      manifest.mutable_state()->set_step(step);
      if (step != 15) AddFiles(manifest);
      CheckpointInfo& info = *row.add_checkpoints();
      *info.mutable_id() = manifest.id();
      info.set_state(CHECKPOINT_STATE_COMMITTED);
    }
    EXPECT_TRUE(store->Write(batch).ok());
    Loop::Options options;
    options.build_version = kBuildVersion;
    options.cluster_secret = "secret";
    options.open_checkpoints = [manifests](const std::string&) {
      return std::make_unique<FakeCheckpoints>(manifests);
    };
    loop_ = Loop::Start(std::move(store), std::move(options)).value();
    server_ = CoordinatorServer::Start("127.0.0.1:0", *loop_, [] {
                return "new";
              }).value();
    jobs_ = JobService::NewStub(grpc::CreateChannel(
        server_->address(), grpc::InsecureChannelCredentials()));
  }

  static void AddFiles(CheckpointManifest& manifest) {
    const auto layers = CheckpointedLayers(SmallJob()).value();
    for (const ExpectedLayer& layer : layers) {
      for (const auto kind : {ShardFile::WEIGHTS, ShardFile::OPTIMIZER}) {
        ShardFile& file = *manifest.add_files();
        file.set_name(ShardFileName(layer.layer, layer.name, kind));
        file.set_layer(layer.layer);
        file.set_layer_name(layer.name);
        file.set_kind(kind);
        if (kind != ShardFile::WEIGHTS) continue;
        for (const ExpectedLayer::Tensor& tensor : layer.tensors) {
          ShardTensor& kept = *file.add_tensors();
          kept.set_name(tensor.name);
          kept.set_type("F32");
          kept.mutable_shape()->Add(tensor.shape.begin(), tensor.shape.end());
        }
      }
    }
  }

  grpc::Status Submit(const Job& job, JobInfo& info) {
    grpc::ClientContext context;
    SubmitJobRequest request;
    request.set_idempotency_key("key");
    *request.mutable_job() = job;
    SubmitJobResponse response;
    const grpc::Status status = jobs_->SubmitJob(&context, request, &response);
    info = response.job();
    return status;
  }

  std::map<int64_t, CheckpointState> States() {
    grpc::ClientContext context;
    ListCheckpointsRequest request;
    request.set_job("old");
    ListCheckpointsResponse response;
    EXPECT_TRUE(jobs_->ListCheckpoints(&context, request, &response).ok());
    std::map<int64_t, CheckpointState> states;
    for (const CheckpointInfo& info : response.checkpoints()) {
      states[info.id().step()] = info.state();
    }
    return states;
  }

  grpc::Status Verify(const std::string& checkpoint, int& messages) {
    grpc::ClientContext context;
    VerifyCheckpointRequest request;
    request.set_checkpoint(checkpoint);
    const auto reader = jobs_->VerifyCheckpoint(&context, request);
    VerifyProgress progress;
    messages = 0;
    while (reader->Read(&progress)) ++messages;
    return reader->Finish();
  }

  std::unique_ptr<Loop> loop_;
  std::unique_ptr<CoordinatorServer> server_;
  std::unique_ptr<JobService::Stub> jobs_;
};

TEST_F(CheckpointCallsTest, ResumeTakesTheNewestThatCanBeRead) {
  Job job = SmallJob();
  job.set_steps(20);
  job.mutable_start()->set_resume("require");
  JobInfo info;
  const grpc::Status status = Submit(job, info);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(info.started_from().checkpoint().step(), 10);
  EXPECT_EQ(info.latest().step(), 10);
  EXPECT_EQ(States()[15], CHECKPOINT_STATE_CORRUPT);
}

TEST_F(CheckpointCallsTest, ASubmissionThatIsSentTwiceIsOneJob) {
  Job job = SmallJob();
  job.set_steps(20);
  job.mutable_start()->set_resume("auto");
  JobInfo first;
  JobInfo second;
  ASSERT_TRUE(Submit(job, first).ok());
  ASSERT_TRUE(Submit(job, second).ok());
  EXPECT_EQ(first.id(), second.id());
}

TEST_F(CheckpointCallsTest, ADamagedOneThatIsNamedIsRefused) {
  Job job = SmallJob();
  job.mutable_start()->set_from("old@15");
  JobInfo info;
  const grpc::Status status = Submit(job, info);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("CORRUPT"));
}

TEST_F(CheckpointCallsTest, AModelThatChangedIsRefused) {
  Job job = SmallJob();
  job.set_steps(20);
  (*job.mutable_model()->mutable_overrides())["layers"] = "3";
  job.mutable_start()->set_resume("auto");
  JobInfo info;
  const grpc::Status status = Submit(job, info);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("does not fit"));
}

TEST_F(CheckpointCallsTest, VerificationTellsHowFarItIsAndMarksDamage) {
  int messages = 0;
  EXPECT_TRUE(Verify("old@10", messages).ok());
  EXPECT_GE(messages, 1);
  EXPECT_EQ(States()[10], CHECKPOINT_STATE_COMMITTED);
  const grpc::Status damaged = Verify("old@5", messages);
  EXPECT_EQ(damaged.error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_THAT(damaged.error_message(), HasSubstr("l0000"));
  EXPECT_EQ(States()[5], CHECKPOINT_STATE_CORRUPT);
  EXPECT_EQ(Verify("old@6", messages).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(CheckpointCallsTest, DescriptionHasTheManifestAndAPinStays) {
  grpc::ClientContext pin_context;
  PinCheckpointRequest pin;
  pin.set_checkpoint("old@10");
  pin.set_pinned(true);
  PinCheckpointResponse pinned;
  ASSERT_TRUE(jobs_->PinCheckpoint(&pin_context, pin, &pinned).ok());
  grpc::ClientContext context;
  GetCheckpointRequest request;
  request.set_checkpoint("old@10");
  GetCheckpointResponse response;
  ASSERT_TRUE(jobs_->GetCheckpoint(&context, request, &response).ok());
  EXPECT_TRUE(response.info().pinned());
  EXPECT_GT(response.manifest().files_size(), 0);
}

TEST_F(CheckpointCallsTest, DeletionIsAnsweredBeforeTheFilesAreGone) {
  grpc::ClientContext context;
  DeleteCheckpointRequest request;
  request.set_checkpoint("old@5");
  DeleteCheckpointResponse response;
  ASSERT_TRUE(jobs_->DeleteCheckpoint(&context, request, &response).ok());
  EXPECT_EQ(response.info().state(), CHECKPOINT_STATE_EXPIRING);
}

}  // namespace
}  // namespace penstock
