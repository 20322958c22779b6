#include "stage_server/service/session_client.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stage_server/service/fake_stage_control.h"
#include "stage_server/service/test_event_recorder.h"

namespace penstock {
namespace {

class SessionClientTest : public ::testing::Test {
 protected:
  void Start() {
    coordinator_ = std::make_unique<FakeStageControl>(/*term=*/4);
    Connect(coordinator_->address());
  }
  void Connect(const std::string& address) {
    client_ = std::make_unique<SessionClient>(
        address, SystemClock(),
        [this](Event event) { events_.Post(std::move(event)); });
  }
  StageMessage Hello(const std::string& id) {
    StageMessage message;
    message.mutable_hello()->set_server_id(id);
    return message;
  }
  CoordinatorMessage AckOf(int64_t step) {
    CoordinatorMessage message;
    message.mutable_ack()->set_step(step);
    return message;
  }
  static bool IsHello(const StageMessage& message) {
    return message.has_hello();
  }

  EventRecorder events_;
  std::unique_ptr<FakeStageControl> coordinator_;
  std::unique_ptr<SessionClient> client_;
};

TEST_F(SessionClientTest, AnAnswerToRegisterIsAnEvent) {
  Start();
  RegisterRequest request;
  request.set_server_id("id");
  client_->Register(request);
  const auto registered = events_.Next<Registered>();
  ASSERT_TRUE(registered.has_value());
  EXPECT_EQ(registered->response.coordinator_term(), 4);
  EXPECT_EQ(coordinator_->registrations().at(0).server_id(), "id");
}

TEST_F(SessionClientTest, ARefusalKeepsItsCodeAndText) {
  Start();
  coordinator_->Refuse({grpc::StatusCode::FAILED_PRECONDITION, "old version"});
  client_->Register(RegisterRequest());
  const auto failed = events_.Next<RegisterFailed>();
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->why, absl::FailedPreconditionError("old version"));
}

TEST_F(SessionClientTest, RegisterWaitsForACoordinatorThatComesLater) {
  int port = 0;
  { port = FakeStageControl(1).port(); }
  Connect(absl::StrCat("127.0.0.1:", port));
  client_->Register(RegisterRequest());
  coordinator_ = std::make_unique<FakeStageControl>(/*term=*/5, port);
  const auto registered = events_.Next<Registered>();
  ASSERT_TRUE(registered.has_value());
  EXPECT_EQ(registered->response.coordinator_term(), 5);
}

TEST_F(SessionClientTest, MessagesArriveInTheOrderTheyWereSent) {
  Start();
  client_->OpenSession(1);
  for (int i = 0; i < 100; ++i) {
    client_->Send(Hello(absl::StrCat("id-", i)));
  }
  for (int i = 0; i < 100; ++i) {
    const auto message = coordinator_->Next(IsHello);
    ASSERT_TRUE(message.has_value());
    EXPECT_EQ(message->hello().server_id(), absl::StrCat("id-", i));
  }
}

TEST_F(SessionClientTest, WhatTheCoordinatorSaysCarriesTheSessionsNumber) {
  Start();
  client_->OpenSession(9);
  client_->Send(Hello("id"));
  ASSERT_TRUE(coordinator_->Next(IsHello).has_value());
  ASSERT_TRUE(coordinator_->Say(AckOf(1)));
  ASSERT_TRUE(coordinator_->Say(AckOf(2)));
  for (int64_t step = 1; step <= 2; ++step) {
    const auto received = events_.Next<MessageReceived>();
    ASSERT_TRUE(received.has_value());
    EXPECT_EQ(received->session, 9);
    EXPECT_EQ(received->message.ack().step(), step);
  }
}

TEST_F(SessionClientTest, ACoordinatorThatDiesEndsTheSession) {
  Start();
  client_->OpenSession(1);
  client_->Send(Hello("id"));
  ASSERT_TRUE(coordinator_->Next(IsHello).has_value());
  coordinator_->Stop();
  const auto ended = events_.Next<SessionEnded>();
  ASSERT_TRUE(ended.has_value());
  EXPECT_EQ(ended->session, 1);
  EXPECT_FALSE(ended->why.ok());
  // And it does no harm to go on as if nothing had happened.
  client_->Send(Hello("late"));
  client_->CloseSession();
}

TEST_F(SessionClientTest, ASecondSessionFollowsAnEndedOne) {
  Start();
  client_->OpenSession(1);
  client_->Send(Hello("first"));
  ASSERT_TRUE(coordinator_->Next(IsHello).has_value());
  coordinator_->EndSession(grpc::Status(grpc::StatusCode::ABORTED, "again"));
  ASSERT_TRUE(events_.Next<SessionEnded>().has_value());
  client_->OpenSession(2);
  client_->Send(Hello("second"));
  const auto hello = coordinator_->Next(IsHello);
  ASSERT_TRUE(hello.has_value());
  EXPECT_EQ(hello->hello().server_id(), "second");
}

TEST_F(SessionClientTest, ClosingDeliversWhatWasQueuedFirst) {
  Start();
  client_->OpenSession(1);
  for (int i = 0; i < 50; ++i) client_->Send(Hello(absl::StrCat("id-", i)));
  client_->CloseSession();
  client_->Shutdown(absl::Seconds(10));
  const auto ended = events_.Next<SessionEnded>();
  ASSERT_TRUE(ended.has_value());
  EXPECT_TRUE(ended->why.ok()) << ended->why;
  EXPECT_TRUE(coordinator_
                  ->Next([](const StageMessage& message) {
                    return message.hello().server_id() == "id-49";
                  })
                  .has_value());
}

TEST_F(SessionClientTest, ShutdownCancelsWhatDoesNotEndByItself) {
  Start();
  client_->OpenSession(1);
  client_->Send(Hello("id"));
  ASSERT_TRUE(coordinator_->Next(IsHello).has_value());
  client_->Shutdown(absl::Milliseconds(1));
  EXPECT_TRUE(events_.Next<SessionEnded>().has_value());
}

TEST_F(SessionClientTest, DestroyingItDoesNotWaitForACoordinator) {
  int port = 0;
  { port = FakeStageControl(1).port(); }
  Connect(absl::StrCat("127.0.0.1:", port));
  client_->Register(RegisterRequest());
  const absl::Time before = absl::Now();
  client_.reset();
  EXPECT_LT(absl::Now() - before, absl::Seconds(4));
  EXPECT_TRUE(events_.Next<RegisterFailed>().has_value());
}

}  // namespace
}  // namespace penstock
