#include "stage_server/service/session_client.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>

#include <deque>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "proto/stage_service.grpc.pb.h"

namespace penstock {
namespace {

constexpr absl::Duration kRegisterDeadline = absl::Seconds(5);

absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

std::shared_ptr<grpc::Channel> MakeChannel(
    const std::string& target,
    const std::shared_ptr<const TlsCredentials>& tls) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  // What one attempt to connect may take: a busy machine needs its time.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(
      target, ChannelCredentialsOf(tls, {Role::kCoordinator}), arguments);
}

}  // namespace

// What callbacks reach. They own no part of it: it, and with it the channel, is
// destroyed by the client's owner after the last callback, never in one.
struct SessionClient::Shared {
  Shared(const std::string& target, Sink sink,
         const std::shared_ptr<const TlsCredentials>& tls)
      : sink(std::move(sink)),
        channel(MakeChannel(target, tls)),
        stub(StageControl::NewStub(channel)) {}

  void Began(grpc::ClientContext* context) ABSL_LOCKS_EXCLUDED(mutex) {
    MutexLock lock(&mutex);
    running.insert(context);
    ++num_calls;
  }
  // From here on nobody cancels `context`; its owner may free it.
  void Ended(grpc::ClientContext* context) ABSL_LOCKS_EXCLUDED(mutex) {
    MutexLock lock(&mutex);
    running.erase(context);
  }
  // The last touch of this by the call's callbacks.
  void Freed() ABSL_LOCKS_EXCLUDED(mutex) {
    MutexLock lock(&mutex);
    --num_calls;
    idle.SignalAll();
  }

  const Sink sink;
  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<StageControl::Stub> stub;

  Mutex mutex;
  CondVar idle;
  std::set<grpc::ClientContext*> running ABSL_GUARDED_BY(mutex);
  int num_calls ABSL_GUARDED_BY(mutex) = 0;
};

// One stream. A hold keeps the call open for writes from outside gRPC's
// callbacks until the reads have ended.
class SessionClient::Stream
    : public grpc::ClientBidiReactor<StageMessage, CoordinatorMessage>,
      public std::enable_shared_from_this<Stream> {
 public:
  Stream(Shared* shared, int64_t session)
      : shared_(shared), session_(session) {}

  void Open() {
    self_ = shared_from_this();
    shared_->Began(&context_);
    shared_->stub->async()->Session(&context_, this);
    AddHold();
    StartRead(&incoming_);
    StartCall();
  }

  void Send(StageMessage message) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    if (over_ || closing_) return;
    outgoing_.push_back(std::move(message));
    WriteNext();
  }

  void Close() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    if (over_ || closing_) return;
    closing_ = true;
    WriteNext();
  }

  void Cancel() { context_.TryCancel(); }

 private:
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || over_) return;
    if (!outgoing_.empty()) {
      writing_ = true;
      StartWrite(&outgoing_.front());
    } else if (closing_ && !half_closed_) {
      half_closed_ = true;
      StartWritesDone();
    }
  }

  void OnWriteDone(bool ok) override ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    writing_ = false;
    outgoing_.pop_front();
    // After a failed write the read ends too, and tells why.
    if (ok) WriteNext();
  }

  void OnReadDone(bool ok) override ABSL_LOCKS_EXCLUDED(mutex_) {
    if (ok) {
      shared_->sink(MessageReceived{session_, std::move(incoming_)});
      incoming_.Clear();
      StartRead(&incoming_);
      return;
    }
    {
      MutexLock lock(&mutex_);
      over_ = true;
    }
    RemoveHold();
  }

  void OnDone(const grpc::Status& status) override {
    shared_->sink(SessionEnded{session_, FromGrpc(status)});
    Shared* const shared = shared_;
    shared->Ended(&context_);
    // Frees this, unless the client still holds it.
    self_.reset();
    shared->Freed();
  }

  Shared* const shared_;
  const int64_t session_;
  grpc::ClientContext context_;
  CoordinatorMessage incoming_;
  std::shared_ptr<Stream> self_;

  Mutex mutex_;
  std::deque<StageMessage> outgoing_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool half_closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
};

SessionClient::SessionClient(const std::string& target, const Clock& clock,
                             Sink sink,
                             const std::shared_ptr<const TlsCredentials>& tls)
    : clock_(clock),
      shared_(std::make_unique<Shared>(target, std::move(sink), tls)) {}

SessionClient::~SessionClient() { Shutdown(absl::ZeroDuration()); }

void SessionClient::Register(const RegisterRequest& request) {
  struct Call {
    grpc::ClientContext context;
    RegisterRequest request;
    RegisterResponse response;
  };
  auto* const call = new Call;
  call->request = request;
  call->context.set_wait_for_ready(true);
  call->context.set_deadline(
      absl::ToChronoTime(clock_.Now() + kRegisterDeadline));
  Shared* const shared = shared_.get();
  shared->Began(&call->context);
  shared->stub->async()->Register(
      &call->context, &call->request, &call->response,
      [shared, call](const grpc::Status& status) {
        if (status.ok()) {
          shared->sink(Registered{call->response});
        } else {
          shared->sink(RegisterFailed{FromGrpc(status)});
        }
        shared->Ended(&call->context);
        delete call;
        shared->Freed();
      });
}

void SessionClient::OpenSession(int64_t session) {
  if (stream_ != nullptr) stream_->Cancel();
  stream_ = std::make_shared<Stream>(shared_.get(), session);
  stream_->Open();
}

void SessionClient::Send(StageMessage message) {
  if (stream_ != nullptr) stream_->Send(std::move(message));
}

void SessionClient::CloseSession() {
  if (stream_ != nullptr) stream_->Close();
}

void SessionClient::Shutdown(absl::Duration patience) {
  const absl::Time deadline = clock_.Now() + patience;
  {
    MutexLock lock(&shared_->mutex);
    while (shared_->num_calls > 0 &&
           !shared_->idle.WaitWithDeadline(&shared_->mutex, deadline)) {
    }
    for (grpc::ClientContext* context : shared_->running) context->TryCancel();
    while (shared_->num_calls > 0) shared_->idle.Wait(&shared_->mutex);
  }
  stream_.reset();
}

}  // namespace penstock
