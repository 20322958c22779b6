// The coordinator towards people and stage servers with certificates.

#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/tls/test_certificates.h"
#include "base/version.h"
#include "checkpoint/transfer/tls_credentials.h"
#include "coordinator/core/job_fixture.h"
#include "coordinator/service/fake_stage_server.h"
#include "coordinator/service/loop.h"
#include "coordinator/service/server.h"
#include "coordinator/store/memory_store.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "proto/coordinator_service.grpc.pb.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/spdlog.h"

namespace penstock {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

using Tls = std::shared_ptr<const TlsCredentials>;

class TlsServerTest : public ::testing::Test {
 protected:
  TlsServerTest()
      : authority_(absl::StrCat(
            ::testing::TempDir(), "/",
            ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    Loop::Options options;
    options.build_version = kBuildVersion;
    options.cluster_secret = "secret";
    options.on_stop = [](const absl::Status&) {};
    auto loop = Loop::Start(std::make_unique<MemoryStore>(), options);
    EXPECT_TRUE(loop.ok()) << loop.status();
    loop_ = *std::move(loop);
    auto server = CoordinatorServer::Start(
        "127.0.0.1:0", *loop_, [this] { return absl::StrCat("job", ++jobs_); },
        CertificateOf({Role::kCoordinator, "head"}));
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  Tls CertificateOf(const Identity& identity) {
    const auto loaded = TlsCredentials::Load(
        {authority_.Issue(identity), nullptr},
        IsDialled(identity.role) ? std::optional(identity.role) : std::nullopt,
        SystemClock());
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    return loaded.value_or(nullptr);
  }
  Tls OfPerson(Role role) { return CertificateOf({role, "alice"}); }
  Tls OfServer(const std::string& name) {
    return CertificateOf({Role::kStageServer, name});
  }
  std::shared_ptr<grpc::Channel> Dial(const Tls& tls) {
    return grpc::CreateChannel(server_->address(),
                               ChannelCredentialsOf(tls, {Role::kCoordinator}));
  }

  grpc::Status List(const Tls& tls) {
    grpc::ClientContext context;
    ListJobsResponse response;
    return JobService::NewStub(Dial(tls))->ListJobs(&context, {}, &response);
  }
  grpc::Status Submit(const Tls& tls, std::string* id = nullptr) {
    SubmitJobRequest request;
    request.set_idempotency_key("key");
    *request.mutable_job() = SmallJob();
    SubmitJobResponse response;
    grpc::ClientContext context;
    const grpc::Status status =
        JobService::NewStub(Dial(tls))->SubmitJob(&context, request, &response);
    if (id != nullptr) *id = response.job().id();
    return status;
  }
  grpc::Status Cancel(const Tls& tls, const std::string& job) {
    CancelJobRequest request;
    request.set_job(job);
    CancelJobResponse response;
    grpc::ClientContext context;
    return JobService::NewStub(Dial(tls))->CancelJob(&context, request,
                                                     &response);
  }
  // A server that says it is `id`, named `name`, with the certificate `tls`.
  grpc::Status Register(const Tls& tls, const std::string& id,
                        const std::string& name) {
    RegisterRequest request;
    request.set_server_id(id);
    request.set_name(name);
    request.set_incarnation(7);
    request.set_build_version(kBuildVersion);
    RegisterResponse response;
    grpc::ClientContext context;
    return StageControl::NewStub(Dial(tls))->Register(&context, request,
                                                      &response);
  }

  const TestAuthority authority_;
  int jobs_ = 0;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<CoordinatorServer> server_;
};

TEST_F(TlsServerTest, ViewerLooksAndUserActs) {
  const Tls viewer = OfPerson(Role::kViewer);
  const Tls user = OfPerson(Role::kUser);
  EXPECT_TRUE(List(viewer).ok()) << List(viewer).error_message();
  EXPECT_EQ(Submit(viewer).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  std::string id;
  const grpc::Status submitted = Submit(user, &id);
  EXPECT_TRUE(submitted.ok()) << submitted.error_message();
  EXPECT_EQ(Cancel(viewer, id).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(Cancel(OfPerson(Role::kAdmin), id).ok());
}

TEST_F(TlsServerTest, StageServerMayNotSubmitNorAPersonRegister) {
  EXPECT_EQ(Submit(OfServer("a")).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(Register(OfPerson(Role::kAdmin), "id", "alice").error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(TlsServerTest, StageServerIsKnownByItsNameOrItsId) {
  EXPECT_TRUE(Register(OfServer("gpu-1"), "id-1", "gpu-1").ok());
  EXPECT_TRUE(Register(OfServer("id-2"), "id-2", "gpu-2").ok());
  const grpc::Status status = Register(OfServer("gpu-3"), "id-4", "gpu-4");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(),
              HasSubstr("--role stage-server --name gpu-4"));
}

TEST_F(TlsServerTest, IdOfAnotherServerCannotBeTakenByANewName) {
  ASSERT_TRUE(Register(OfServer("gpu-1"), "id-1", "gpu-1").ok());
  EXPECT_EQ(Register(OfServer("evil"), "id-1", "evil").error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(Register(OfServer("gpu-1"), "id-1", "gpu-1").ok());
}

TEST_F(TlsServerTest, SessionIsOfWhoRegistered) {
  FakeStageServer own(server_->address(), "a", 1, OfServer("a"));
  own.Join();
  // It knows all of it but the key.
  FakeStageServer other(server_->address(), "a", 1, OfServer("b"));
  other.Open();
  EXPECT_EQ(other.WaitForEnd().error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  FakeStageServer unknown(server_->address(), "c", 1, OfServer("c"));
  unknown.Open();
  EXPECT_EQ(unknown.WaitForEnd().error_code(), grpc::StatusCode::ABORTED);
  FakeStageServer peer(server_->address(), "b", 1, OfServer("b"));
  peer.Join();
  ASSERT_TRUE(Submit(OfPerson(Role::kUser)).ok());
  EXPECT_TRUE(own.WaitFor(DesiredState::LOAD));
  EXPECT_TRUE(peer.WaitFor(DesiredState::LOAD));
}

TEST_F(TlsServerTest, ChangesLeaveALineWithWhoAskedAndForWhat) {
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  auto logger = std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log));
  spdlog::set_default_logger(logger);
  std::string id;
  EXPECT_TRUE(Submit(OfPerson(Role::kUser), &id).ok());
  EXPECT_TRUE(Cancel(CertificateOf({Role::kAdmin, "root"}), id).ok());
  EXPECT_FALSE(Cancel(OfPerson(Role::kUser), "no\nsuch").ok());
  EXPECT_TRUE(List(OfPerson(Role::kViewer)).ok());
  spdlog::set_default_logger(before);
  const std::string text = log.str();
  EXPECT_THAT(text, ContainsRegex(absl::StrCat(
                        "AUDIT user/alice at ipv4:[^ ]* asks for SubmitJob of ",
                        "new job ", SmallJob().name())));
  EXPECT_THAT(text,
              ContainsRegex(absl::StrCat(
                  "AUDIT admin/root at [^ ]* asks for CancelJob of ", id)));
  EXPECT_THAT(text, HasSubstr("asks for CancelJob of no\\nsuch"));
  EXPECT_THAT(text, Not(HasSubstr("ListJobs")));
}

TEST_F(TlsServerTest, ClearTextIsRefused) {
  EXPECT_EQ(List(nullptr).error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace penstock
