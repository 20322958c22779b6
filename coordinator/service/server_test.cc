// The coordinator as its clients meet it: real gRPC on loopback, with stage
// servers that do what the test says.
#include "coordinator/service/server.h"

#include <atomic>
#include <filesystem>
#include <functional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/version.h"
#include "checkpoint/transfer/test_health.h"
#include "coordinator/core/job_fixture.h"
#include "coordinator/service/fake_stage_server.h"
#include "coordinator/store/memory_store.h"
#include "coordinator/store/sqlite_store.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A store whose disk is full when the test says so.
class LimitedStore final : public StateStore {
 public:
  explicit LimitedStore(std::atomic<bool>* full) : full_(full) {}

  absl::StatusOr<StoredState> Load() override { return store_.Load(); }
  absl::Status Write(const WriteBatch& batch) override {
    if (*full_) return absl::ResourceExhaustedError("the disk is full");
    return store_.Write(batch);
  }
  absl::StatusOr<std::vector<Event>> ReadEvents(const std::string& job_id,
                                                int64_t after,
                                                int limit) override {
    return store_.ReadEvents(job_id, after, limit);
  }
  absl::StatusOr<std::vector<LogLine>> ReadLogs(const std::string& job_id,
                                                int64_t after,
                                                int limit) override {
    return store_.ReadLogs(job_id, after, limit);
  }
  absl::StatusOr<std::vector<ProgressRecord>> ReadSteps(
      const std::string& job_id, int64_t after, int limit) override {
    return store_.ReadSteps(job_id, after, limit);
  }
  absl::StatusOr<std::vector<int64_t>> ReadTimelineSteps(
      const std::string& job_id) override {
    return store_.ReadTimelineSteps(job_id);
  }
  absl::StatusOr<TimelineRow> ReadTimeline(const std::string& job_id,
                                           int64_t step) override {
    return store_.ReadTimeline(job_id, step);
  }
  absl::StatusOr<Plan> ReadPlan(const std::string& job_id) override {
    return store_.ReadPlan(job_id);
  }

 private:
  std::atomic<bool>* const full_;
  MemoryStore store_;
};

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() { timing_.heartbeat = absl::Milliseconds(20); }

  void Start(std::unique_ptr<StateStore> store) {
    Loop::Options options;
    options.timing = timing_;
    options.build_version = kBuildVersion;
    options.cluster_secret = "secret";
    options.on_beat = on_beat_;
    options.on_stop = [this](const absl::Status& status) {
      stop_status_ = status;
      stopped_.Notify();
    };
    auto loop = Loop::Start(std::move(store), std::move(options));
    ASSERT_TRUE(loop.ok()) << loop.status();
    loop_ = *std::move(loop);
    auto server = CoordinatorServer::Start("127.0.0.1:0", *loop_, [this] {
      return absl::StrCat("job", ++last_id_);
    });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(server_->address(),
                                   grpc::InsecureChannelCredentials());
    jobs_ = JobService::NewStub(channel_);
  }
  void Start() { Start(std::make_unique<MemoryStore>()); }

  void Stop() {
    server_.reset();
    loop_.reset();
  }

  grpc::Status Submit(const Job& job, const std::string& key,
                      SubmitJobResponse* response) {
    SubmitJobRequest request;
    request.set_idempotency_key(key);
    *request.mutable_job() = job;
    grpc::ClientContext context;
    return jobs_->SubmitJob(&context, request, response);
  }
  // Of SmallJob: two ranks, two steps.
  std::string Submit(const std::string& key = "key") {
    SubmitJobResponse response;
    const grpc::Status status = Submit(SmallJob(), key, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.job().id();
  }

  JobInfo Get(const std::string& job) {
    GetJobRequest request;
    request.set_job(job);
    GetJobResponse response;
    grpc::ClientContext context;
    const grpc::Status status = jobs_->GetJob(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.job();
  }

  grpc::Status Cancel(const std::string& job) {
    CancelJobRequest request;
    request.set_job(job);
    CancelJobResponse response;
    grpc::ClientContext context;
    return jobs_->CancelJob(&context, request, &response);
  }

  // Follows the event log until the job's entry of this kind.
  Event WaitForEvent(const std::string& job, const std::string& kind) {
    WatchEventsRequest request;
    request.set_job(job);
    request.set_follow(true);
    grpc::ClientContext context;
    const auto stream = jobs_->WatchEvents(&context, request);
    Event event;
    while (stream->Read(&event)) {
      if (event.kind() == kind) break;
    }
    context.TryCancel();
    stream->Finish();
    EXPECT_EQ(event.kind(), kind);
    return event;
  }

  // Brings the two to the point where both run the job.
  static void RunBoth(FakeStageServer& a, FakeStageServer& b) {
    ASSERT_TRUE(a.WaitFor(DesiredState::LOAD));
    ASSERT_TRUE(b.WaitFor(DesiredState::LOAD));
    a.Report(StageStatus::LOADED);
    b.Report(StageStatus::LOADED);
    ASSERT_TRUE(a.WaitFor(DesiredState::CONNECT));
    ASSERT_TRUE(b.WaitFor(DesiredState::CONNECT));
    a.Report(StageStatus::READY);
    b.Report(StageStatus::READY);
    ASSERT_TRUE(a.WaitFor(DesiredState::RUN));
    ASSERT_TRUE(b.WaitFor(DesiredState::RUN));
  }

  static void FinishBoth(FakeStageServer& a, FakeStageServer& b) {
    for (const int64_t step : {1, 2}) {
      a.ReportStep(step);
      b.ReportStep(step);
    }
    a.ReportFinished();
    b.ReportFinished();
    ASSERT_TRUE(a.WaitFor(DesiredState::BE_IDLE));
    ASSERT_TRUE(b.WaitFor(DesiredState::BE_IDLE));
    a.Report(StageStatus::IDLE);
    b.Report(StageStatus::IDLE);
  }

  Timing timing_;
  std::function<void(const LoopView&, const absl::Status&)> on_beat_;
  std::atomic<int> last_id_ = 0;
  absl::Status stop_status_;
  absl::Notification stopped_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<CoordinatorServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<JobService::Stub> jobs_;
};

TEST_F(ServerTest, DrivesAJobToItsEnd) {
  Start();
  const std::string job = Submit();
  EXPECT_EQ(Get(job).state(), JOB_STATE_QUEUED);
  EXPECT_THAT(Get(job).reason(), HasSubstr("needs 2 stage servers"));
  FakeStageServer a(server_->address(), "a");
  FakeStageServer b(server_->address(), "b");
  a.Join();
  b.Join();
  RunBoth(a, b);
  EXPECT_EQ(Get(job).state(), JOB_STATE_RUNNING);
  FinishBoth(a, b);
  WaitForEvent(job, "JOB_SUCCEEDED");
  const JobInfo info = Get("small");
  EXPECT_EQ(info.id(), job);
  EXPECT_EQ(info.state(), JOB_STATE_SUCCEEDED);
  EXPECT_EQ(info.weights_digest().size(), 64);
  EXPECT_EQ(info.latest().step(), 2);
  EXPECT_EQ(info.plan().stages_size(), 2);
  ASSERT_EQ(info.ranks_size(), 2);
  EXPECT_EQ(info.ranks(1).server_id(), "b");
}

TEST_F(ServerTest, ProgressIsStreamedInOrderAndEndsWithTheJob) {
  Start();
  const std::string job = Submit();
  std::vector<int64_t> steps;
  grpc::Status end;
  std::thread follower([&] {
    StreamProgressRequest request;
    request.set_job(job);
    request.set_follow(true);
    grpc::ClientContext context;
    const auto stream = jobs_->StreamProgress(&context, request);
    ProgressRecord record;
    while (stream->Read(&record)) steps.push_back(record.step());
    end = stream->Finish();
  });
  FakeStageServer a(server_->address(), "a");
  FakeStageServer b(server_->address(), "b");
  a.Join();
  b.Join();
  RunBoth(a, b);
  FinishBoth(a, b);
  follower.join();
  EXPECT_TRUE(end.ok()) << end.error_message();
  EXPECT_THAT(steps, ElementsAre(1, 2));
}

TEST_F(ServerTest, ReportsAreAcknowledgedWhenAllRanksHaveMadeThem) {
  Start();
  Submit();
  FakeStageServer a(server_->address(), "a");
  FakeStageServer b(server_->address(), "b");
  a.Join();
  b.Join();
  RunBoth(a, b);
  a.ReportStep(1);
  b.ReportStep(1);
  const auto first = [](const Ack& ack) { return ack.step() == 1; };
  EXPECT_TRUE(a.WaitForAck(first));
  EXPECT_TRUE(b.WaitForAck(first));
}

TEST_F(ServerTest, LogsAreStreamedByStage) {
  Start();
  const std::string job = Submit();
  FakeStageServer a(server_->address(), "a");
  FakeStageServer b(server_->address(), "b");
  a.Join();
  b.Join();
  RunBoth(a, b);
  a.ReportLog(1, "from a");
  b.ReportLog(1, "from b");
  const auto logged = [](const Ack& ack) { return ack.log_sequence() == 1; };
  ASSERT_TRUE(a.WaitForAck(logged));
  ASSERT_TRUE(b.WaitForAck(logged));
  StreamLogsRequest request;
  request.set_job(job);
  request.set_stage(1);
  grpc::ClientContext context;
  const auto stream = jobs_->StreamLogs(&context, request);
  LogLine line;
  ASSERT_TRUE(stream->Read(&line));
  EXPECT_EQ(line.text(), "from b");
  EXPECT_FALSE(stream->Read(&line));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ServerTest, FollowedLogsEndWithTheJobThoughAServerIsGone) {
  Start();
  const std::string job = Submit();
  FakeStageServer a(server_->address(), "a");
  FakeStageServer b(server_->address(), "b");
  a.Join();
  b.Join();
  RunBoth(a, b);
  StreamLogsRequest request;
  request.set_job(job);
  request.set_follow(true);
  grpc::ClientContext context;
  const auto stream = jobs_->StreamLogs(&context, request);
  b.Break();
  a.Report(StageStatus::FAULTED, "rank 1 is gone");
  ASSERT_TRUE(a.WaitFor(DesiredState::BE_IDLE));
  a.ReportLog(1, "last words");
  a.Report(StageStatus::IDLE);
  LogLine line;
  ASSERT_TRUE(stream->Read(&line));
  EXPECT_EQ(line.text(), "last words");
  EXPECT_FALSE(stream->Read(&line));
  EXPECT_TRUE(stream->Finish().ok());
  // Whatever the lost one does, the job has ended.
  EXPECT_EQ(Get(job).state(), JOB_STATE_FAILED);
}

TEST_F(ServerTest, CancelledJobLetsItsServersGo) {
  Start();
  const std::string job = Submit();
  FakeStageServer a(server_->address(), "a");
  FakeStageServer b(server_->address(), "b");
  a.Join();
  b.Join();
  RunBoth(a, b);
  ASSERT_TRUE(Cancel(job).ok());
  ASSERT_TRUE(a.WaitFor(DesiredState::BE_IDLE));
  ASSERT_TRUE(b.WaitFor(DesiredState::BE_IDLE));
  a.Report(StageStatus::IDLE);
  b.Report(StageStatus::IDLE);
  WaitForEvent(job, "JOB_CANCELLED");
  // They take the next job.
  Submit("another key");
  EXPECT_TRUE(a.WaitFor(DesiredState::LOAD));
}

TEST_F(ServerTest, FaultOfARankFailsTheJob) {
  Start();
  const std::string job = Submit();
  FakeStageServer a(server_->address(), "a");
  FakeStageServer b(server_->address(), "b");
  a.Join();
  b.Join();
  RunBoth(a, b);
  b.Report(StageStatus::FAULTED, "loss is nan at step 1");
  EXPECT_TRUE(a.WaitFor(DesiredState::BE_IDLE));
  EXPECT_EQ(WaitForEvent(job, "JOB_FAILED").message(),
            "stage 1 on b: loss is nan at step 1");
}

TEST_F(ServerTest, LostServerFailsTheJob) {
  timing_.suspect_after = absl::Milliseconds(50);
  timing_.lost_after = absl::Milliseconds(200);
  Start();
  const std::string job = Submit();
  FakeStageServer a(server_->address(), "a");
  FakeStageServer b(server_->address(), "b");
  a.Join();
  b.Join();
  const Event event = WaitForEvent(job, "JOB_FAILED");
  EXPECT_THAT(event.message(), HasSubstr("the stage server is lost"));
  EXPECT_EQ(a.WaitForEnd().error_code(), grpc::StatusCode::ABORTED);
}

TEST_F(ServerTest, AnotherBuildAndATakenIdAreRefused) {
  Start();
  FakeStageServer stranger(server_->address(), "a");
  const grpc::Status other = stranger.Register("0.0.0");
  EXPECT_EQ(other.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(other.error_message(), HasSubstr("build 0.0.0"));

  FakeStageServer first(server_->address(), "a", /*incarnation=*/1);
  first.Join();
  ASSERT_TRUE(first.WaitFor(DesiredState::BE_IDLE));
  FakeStageServer second(server_->address(), "a", /*incarnation=*/2);
  EXPECT_EQ(second.Register(kBuildVersion).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(ServerTest, SessionMustBeginWithTheHelloOfARegisteredServer) {
  Start();
  FakeStageServer unknown(server_->address(), "a");
  unknown.Open();
  EXPECT_EQ(unknown.WaitForEnd().error_code(), grpc::StatusCode::ABORTED);

  const auto stub = StageControl::NewStub(channel_);
  grpc::ClientContext context;
  const auto stream = stub->Session(&context);
  StageMessage message;
  message.mutable_heartbeat();
  stream->Write(message);
  CoordinatorMessage answer;
  EXPECT_FALSE(stream->Read(&answer));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServerTest, RunningJobGoesOnWithTheNextCoordinatorOnTheStore) {
  const std::string path =
      absl::StrCat(::testing::TempDir(), "/restart/coordinator.db");
  std::filesystem::remove_all(std::filesystem::path(path).parent_path());
  Start(*OpenSqliteStore(path));
  const std::string job = Submit();
  FakeStageServer a(server_->address(), "a");
  FakeStageServer b(server_->address(), "b");
  a.Join();
  b.Join();
  RunBoth(a, b);
  a.ReportStep(1);
  b.ReportStep(1);
  ASSERT_TRUE(a.WaitForAck([](const Ack& ack) { return ack.step() == 1; }));
  ASSERT_TRUE(b.WaitForAck([](const Ack& ack) { return ack.step() == 1; }));
  Stop();
  EXPECT_EQ(a.WaitForEnd().error_code(), grpc::StatusCode::UNAVAILABLE);

  Start(*OpenSqliteStore(path));
  EXPECT_EQ(Get(job).state(), JOB_STATE_RUNNING);
  EXPECT_EQ(Get(job).latest().step(), 1);
  EXPECT_EQ(Submit(), job) << "the key must be remembered";
  FakeStageServer a2(server_->address(), "a");
  a2.Resume(a);
  FakeStageServer b2(server_->address(), "b");
  b2.Resume(b);
  a2.Join();
  b2.Join();
  EXPECT_EQ(a2.term(), 2);
  ASSERT_TRUE(a2.WaitFor(DesiredState::RUN));
  ASSERT_TRUE(b2.WaitFor(DesiredState::RUN));
  FinishBoth(a2, b2);
  WaitForEvent(job, "JOB_SUCCEEDED");
  EXPECT_EQ(Get(job).latest().step(), 2);
}

TEST_F(ServerTest, FullDiskRefusesJobsAndLosesNothing) {
  std::atomic<bool> full = false;
  Start(std::make_unique<LimitedStore>(&full));
  FakeStageServer a(server_->address(), "a");
  a.Join();
  ASSERT_TRUE(a.WaitFor(DesiredState::BE_IDLE));
  full = true;
  SubmitJobResponse response;
  const grpc::Status refused = Submit(SmallJob(), "key", &response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("the disk is full"));
  EXPECT_EQ(a.WaitForEnd().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(a.Register(kBuildVersion).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  ListJobsResponse list;
  grpc::ClientContext context;
  ASSERT_TRUE(jobs_->ListJobs(&context, ListJobsRequest(), &list).ok());
  EXPECT_EQ(list.jobs_size(), 0);

  full = false;
  while (!Submit(SmallJob(), "key", &response).ok()) {
  }
  a.Join();
  EXPECT_TRUE(a.WaitFor(DesiredState::BE_IDLE));
  EXPECT_EQ(Get("small").state(), JOB_STATE_QUEUED);
}

TEST_F(ServerTest, SameKeyGivesTheSameJob) {
  Start();
  EXPECT_EQ(Submit("k"), Submit("k"));
  EXPECT_NE(Submit("k"), Submit("other"));
}

TEST_F(ServerTest, ValidateKeepsNothing) {
  Start();
  ValidateJobRequest request;
  *request.mutable_job() = SmallJob();
  ValidateJobResponse response;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(jobs_->ValidateJob(&context, request, &response).ok());
  }
  EXPECT_THAT(response.grid(), HasSubstr("0F0"));
  EXPECT_THAT(response.would_wait_for(), HasSubstr("needs 2 stage servers"));
  EXPECT_EQ(response.plan().stages_size(), 2);
  request.mutable_job()->mutable_schedule()->set_microbatches(3);
  grpc::ClientContext context;
  const grpc::Status refused = jobs_->ValidateJob(&context, request, &response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  ListJobsRequest list;
  list.set_all(true);
  ListJobsResponse jobs;
  grpc::ClientContext list_context;
  ASSERT_TRUE(jobs_->ListJobs(&list_context, list, &jobs).ok());
  EXPECT_EQ(jobs.jobs_size(), 0);
}

TEST_F(ServerTest, UnknownJobIsNotFoundByEveryCall) {
  Start();
  EXPECT_EQ(Cancel("nope").error_code(), grpc::StatusCode::NOT_FOUND);
  StreamProgressRequest request;
  request.set_job("nope");
  grpc::ClientContext context;
  const auto stream = jobs_->StreamProgress(&context, request);
  ProgressRecord record;
  EXPECT_FALSE(stream->Read(&record));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerTest, EventsWithoutFollowEndAtTheNewest) {
  Start();
  Submit();
  grpc::ClientContext context;
  const auto stream = jobs_->WatchEvents(&context, WatchEventsRequest());
  std::vector<std::string> kinds;
  Event event;
  while (stream->Read(&event)) kinds.push_back(event.kind());
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_THAT(
      kinds, ElementsAre("COORDINATOR_STARTED", "JOB_SUBMITTED", "JOB_QUEUED"));
}

TEST_F(ServerTest, StoppingEndsStreamsAsUnavailable) {
  Start();
  WatchEventsRequest request;
  request.set_follow(true);
  grpc::ClientContext context;
  const auto stream = jobs_->WatchEvents(&context, request);
  Event event;
  ASSERT_TRUE(stream->Read(&event));
  server_->Stop(absl::UnavailableError("stopping"));
  while (stream->Read(&event)) {
  }
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "stopping");
}

TEST_F(ServerTest, LaterTermMakesItStepDown) {
  Start();
  SubmitJobRequest request;
  request.mutable_fence()->set_coordinator_term(77);
  request.set_idempotency_key("key");
  *request.mutable_job() = SmallJob();
  SubmitJobResponse response;
  grpc::ClientContext context;
  EXPECT_EQ(jobs_->SubmitJob(&context, request, &response).error_code(),
            grpc::StatusCode::ABORTED);
  stopped_.WaitForNotification();
  EXPECT_TRUE(absl::IsAborted(stop_status_)) << stop_status_;
}

TEST_F(ServerTest, ServersAreListedWithTheTerm) {
  Start();
  FakeStageServer a(server_->address(), "a");
  a.Join();
  ASSERT_TRUE(a.WaitFor(DesiredState::BE_IDLE));
  const auto admin = AdminService::NewStub(channel_);
  ListServersResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(
      admin->ListServers(&context, ListServersRequest(), &response).ok());
  EXPECT_EQ(response.coordinator_term(), 1);
  EXPECT_EQ(response.coordinator_build_version(), kBuildVersion);
  ASSERT_EQ(response.servers_size(), 1);
  EXPECT_EQ(response.servers(0).state(), SERVER_STATE_IDLE);
}

TEST_F(ServerTest, ProbesAreToldThatEveryServiceServes) {
  Start();
  EXPECT_EQ(HealthOf(channel_, ""), "SERVING");
  for (const std::string service :
       {"JobService", "AdminService", "StageControl"}) {
    EXPECT_EQ(HealthOf(channel_, "penstock." + service), "SERVING") << service;
    EXPECT_THAT(ReflectedServices(channel_), HasSubstr("penstock." + service));
  }
  EXPECT_EQ(HealthOf(channel_, "penstock.StoreService"), "NOT_FOUND");
  Stop();
  EXPECT_EQ(HealthOf(channel_, ""), "UNAVAILABLE");
}

TEST_F(ServerTest, TheLoopBeatsWithTheStateAndTheStoresTrouble) {
  std::atomic<bool> full = false;
  absl::Notification well, ill;
  on_beat_ = [&](const LoopView& view, const absl::Status& store) {
    EXPECT_GE(view.state.term, 1);
    if (store.ok() && !well.HasBeenNotified()) well.Notify();
    if (absl::IsResourceExhausted(store) && !ill.HasBeenNotified()) {
      ill.Notify();
    }
  };
  Start(std::make_unique<LimitedStore>(&full));
  well.WaitForNotification();
  full = true;
  SubmitJobResponse response;
  EXPECT_FALSE(Submit(SmallJob(), "key", &response).ok());
  ill.WaitForNotification();
  Stop();
}

TEST_F(ServerTest, OperatorsTakeServersOutOfServiceAndBack) {
  Start();
  FakeStageServer a(server_->address(), "a");
  a.Join();
  ASSERT_TRUE(a.WaitFor(DesiredState::BE_IDLE));
  const auto admin = AdminService::NewStub(channel_);
  CordonServerRequest cordon;
  cordon.set_server("a");
  cordon.set_reason("new disks");
  CordonServerResponse cordoned;
  grpc::ClientContext first;
  ASSERT_TRUE(admin->CordonServer(&first, cordon, &cordoned).ok());
  EXPECT_EQ(cordoned.server().duty(), SERVER_DUTY_CORDONED);
  EXPECT_EQ(cordoned.server().duty_reason(), "new disks");
  DrainServerRequest drain;
  drain.set_server("a");
  DrainServerResponse drained;
  grpc::ClientContext second;
  ASSERT_TRUE(admin->DrainServer(&second, drain, &drained).ok());
  EXPECT_EQ(drained.server().duty(), SERVER_DUTY_CORDONED);
  UncordonServerRequest uncordon;
  uncordon.set_server("a");
  UncordonServerResponse back;
  grpc::ClientContext third;
  ASSERT_TRUE(admin->UncordonServer(&third, uncordon, &back).ok());
  EXPECT_EQ(back.server().duty(), SERVER_DUTY_UNSPECIFIED);
}

TEST_F(ServerTest, ServersThatAreNotThereAndDeadlinesThatAreNoneAreRefused) {
  Start();
  FakeStageServer a(server_->address(), "a");
  a.Join();
  const auto admin = AdminService::NewStub(channel_);
  CordonServerRequest cordon;
  cordon.set_server("nobody");
  CordonServerResponse cordoned;
  grpc::ClientContext first;
  EXPECT_EQ(admin->CordonServer(&first, cordon, &cordoned).error_code(),
            grpc::StatusCode::NOT_FOUND);
  DrainServerRequest drain;
  drain.set_server("a");
  drain.set_deadline_seconds(-1);
  DrainServerResponse drained;
  grpc::ClientContext second;
  EXPECT_EQ(admin->DrainServer(&second, drain, &drained).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServerTest, TakenPortIsSaidInOneLine) {
  Start();
  const auto second =
      CoordinatorServer::Start(server_->address(), *loop_, [] { return ""; });
  EXPECT_TRUE(absl::IsUnavailable(second.status())) << second.status();
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("Address already in use"));
}

TEST(ParseHostPortTest, TakesBothFamiliesAndRefusesTheRest) {
  EXPECT_EQ(ParseHostPort("127.0.0.1:7070")->port, 7070);
  EXPECT_EQ(ParseHostPort("[::1]:0")->host, "::1");
  for (const char* bad :
       {"", "host", "host:", "host:x", "host:70000", "::1:5", "host:-1"}) {
    EXPECT_FALSE(ParseHostPort(bad).ok()) << bad;
  }
}

TEST(IsLoopbackTest, KnowsThisMachine) {
  EXPECT_TRUE(IsLoopback("127.0.0.1"));
  EXPECT_TRUE(IsLoopback("::1"));
  EXPECT_TRUE(IsLoopback("localhost"));
  EXPECT_FALSE(IsLoopback("0.0.0.0"));
  EXPECT_FALSE(IsLoopback(""));
  EXPECT_FALSE(IsLoopback("127.evil.example"));
}

}  // namespace
}  // namespace penstock
