#ifndef PENSTOCK_STAGE_SERVER_SERVICE_FAKE_STAGE_CONTROL_H_
#define PENSTOCK_STAGE_SERVER_SERVICE_FAKE_STAGE_CONTROL_H_

#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "proto/stage_service.grpc.pb.h"

namespace penstock {

// A coordinator's StageControl on a free port of 127.0.0.1, driven by a test.
// One session at a time. Thread-safe.
class FakeStageControl final : public StageControl::Service {
 public:
  // `port` 0: any.
  explicit FakeStageControl(int64_t term, int port = 0) : term_(term) {
    grpc::ServerBuilder builder;
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port),
                             grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeStageControl() override { Stop(); }

  void Stop() {
    if (server_ == nullptr) return;
    EndSession(grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopping"));
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
  }

  int port() const { return port_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  // What Register answers from now on.
  void Refuse(grpc::Status status) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    refusal_ = std::move(status);
  }
  // Down the present session; waits until there is one.
  bool Say(CoordinatorMessage message) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (stream_ == nullptr) {
      if (changed_.WaitWithDeadline(&mutex_, deadline)) return false;
    }
    return stream_->Write(message);
  }
  // Ends the present session, if there is one.
  void EndSession(grpc::Status status) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    if (context_ == nullptr) return;
    end_ = std::move(status);
    context_->TryCancel();
  }

  // The next message that `wanted` is true for, dropping those before it;
  // nullopt if none comes within ten seconds.
  std::optional<StageMessage> Next(
      const std::function<bool(const StageMessage&)>& wanted)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    MutexLock lock(&mutex_);
    while (true) {
      while (!messages_.empty()) {
        StageMessage message = std::move(messages_.front());
        messages_.pop_front();
        if (wanted(message)) return message;
      }
      if (changed_.WaitWithDeadline(&mutex_, deadline)) return std::nullopt;
    }
  }
  std::optional<StageMessage> NextStatus(StageStatus::Phase phase) {
    return Next([phase](const StageMessage& message) {
      return message.has_status() && message.status().phase() == phase;
    });
  }

  std::vector<RegisterRequest> registrations() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return registrations_;
  }

  grpc::Status Register(grpc::ServerContext*, const RegisterRequest* request,
                        RegisterResponse* response) override
      ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    registrations_.push_back(*request);
    response->set_coordinator_term(term_);
    response->set_heartbeat_seconds(0.05);
    response->set_grace_seconds(60);
    return refusal_;
  }

  grpc::Status Session(grpc::ServerContext* context,
                       grpc::ServerReaderWriter<CoordinatorMessage,
                                                StageMessage>* stream) override
      ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      MutexLock lock(&mutex_);
      stream_ = stream;
      context_ = context;
      end_ = grpc::Status::OK;
      changed_.SignalAll();
    }
    StageMessage message;
    while (stream->Read(&message)) {
      MutexLock lock(&mutex_);
      messages_.push_back(message);
      changed_.SignalAll();
    }
    MutexLock lock(&mutex_);
    stream_ = nullptr;
    context_ = nullptr;
    return end_;
  }

 private:
  const int64_t term_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;

  Mutex mutex_;
  CondVar changed_;
  grpc::Status refusal_ ABSL_GUARDED_BY(mutex_);
  grpc::Status end_ ABSL_GUARDED_BY(mutex_);
  grpc::ServerReaderWriter<CoordinatorMessage, StageMessage>* stream_
      ABSL_GUARDED_BY(mutex_) = nullptr;
  grpc::ServerContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::vector<RegisterRequest> registrations_ ABSL_GUARDED_BY(mutex_);
  std::deque<StageMessage> messages_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_SERVICE_FAKE_STAGE_CONTROL_H_
