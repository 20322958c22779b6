#include "coordinator/service/stage_control.h"

#include <memory>
#include <optional>
#include <utility>

#include "checkpoint/transfer/grpc_status.h"

namespace penstock {
namespace {

// Messages of one session that wait for the loop before reading stops.
constexpr int kMaxInFlight = 64;

// A full disk is the coordinator's trouble: the server should come again.
absl::Status ForServers(const absl::Status& status) {
  if (!absl::IsResourceExhausted(status)) return status;
  return absl::UnavailableError(status.message());
}

// One session. Reads on gRPC's threads, writes what the loop says; keeps itself
// alive until gRPC is done with it.
class SessionReactor final
    : public grpc::ServerBidiReactor<StageMessage, CoordinatorMessage>,
      public SessionSink,
      public std::enable_shared_from_this<SessionReactor> {
 public:
  static SessionReactor* Start(Loop& loop) {
    std::shared_ptr<SessionReactor> reactor(new SessionReactor(loop));
    reactor->self_ = reactor;
    reactor->session_ = loop.AddSession(reactor);
    reactor->StartRead(&reactor->incoming_);
    return reactor.get();
  }

  void Send(const CoordinatorMessage& message) override {
    {
      const MutexLock lock(&mutex_);
      if (final_status_.has_value()) return;
      (message.has_desired() ? desired_ : ack_) = message;
      if (writing_) return;
      TakeOutgoing();
    }
    StartWrite(&outgoing_);
  }

  void End(const absl::Status& status) override {
    {
      const MutexLock lock(&mutex_);
      if (final_status_.has_value()) return;
      final_status_ = status;
      if (writing_) return;
    }
    Finish(ToGrpcStatus(status));
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      Close("the stage server hung up");
      return End(absl::OkStatus());
    }
    if (!opened_) {
      if (!Open()) return;
    } else {
      Forward();
    }
    {
      const MutexLock lock(&mutex_);
      if (final_status_.has_value()) return;
      if (++in_flight_ >= kMaxInFlight) {
        read_waits_ = true;
        return;
      }
    }
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    std::optional<absl::Status> finish;
    {
      const MutexLock lock(&mutex_);
      writing_ = false;
      finish = final_status_;
      if (!ok && !finish) {
        finish = final_status_ = absl::CancelledError("the session broke");
      }
      if (!finish) {
        if (!desired_ && !ack_) return;
        TakeOutgoing();
      }
    }
    if (finish) return Finish(ToGrpcStatus(*finish));
    StartWrite(&outgoing_);
  }

  void OnCancel() override {
    Close("the connection to the stage server is gone");
    End(absl::CancelledError("cancelled"));
  }

  void OnDone() override {
    Close("the session ended");
    self_.reset();
  }

 private:
  explicit SessionReactor(Loop& loop) : loop_(loop) {}

  // A desired state goes out before an ack.
  void TakeOutgoing() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::optional<CoordinatorMessage>& next = desired_ ? desired_ : ack_;
    outgoing_ = *std::move(next);
    next.reset();
    writing_ = true;
  }

  bool Open() {
    if (!incoming_.has_hello()) {
      End(absl::InvalidArgumentError(
          "the first message of a session must be a Hello"));
      return false;
    }
    opened_ = true;
    loop_.Submit(
        SessionOpened{session_, incoming_.fence(), incoming_.incarnation(),
                      incoming_.hello().server_id()},
        [self = shared_from_this()](const absl::StatusOr<std::string>& answer,
                                    const LoopView&) {
          self->Handled(answer.status());
        });
    return true;
  }

  void Forward() {
    loop_.Submit(SessionSpoke{session_, std::move(incoming_)},
                 [self = shared_from_this()](
                     const absl::StatusOr<std::string>& answer,
                     const LoopView&) { self->Handled(answer.status()); });
  }

  // The loop has applied one message.
  void Handled(const absl::Status& status) {
    if (!status.ok()) return End(ForServers(status));
    {
      const MutexLock lock(&mutex_);
      --in_flight_;
      if (!read_waits_ || final_status_.has_value()) return;
      read_waits_ = false;
    }
    StartRead(&incoming_);
  }

  // Tells the loop, once, that nothing more will come.
  void Close(const char* why) {
    {
      const MutexLock lock(&mutex_);
      if (closed_) return;
      closed_ = true;
    }
    loop_.Submit(SessionClosed{session_, why},
                 [](const absl::StatusOr<std::string>&, const LoopView&) {});
  }

  Loop& loop_;
  uint64_t session_ = 0;
  // Of the reading thread alone.
  StageMessage incoming_;
  bool opened_ = false;
  // Of the write that is under way.
  CoordinatorMessage outgoing_;

  Mutex mutex_;
  std::optional<CoordinatorMessage> desired_ ABSL_GUARDED_BY(mutex_);
  std::optional<CoordinatorMessage> ack_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  int in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  bool read_waits_ ABSL_GUARDED_BY(mutex_) = false;
  // Set when the stream is to end.
  std::optional<absl::Status> final_status_ ABSL_GUARDED_BY(mutex_);

  std::shared_ptr<SessionReactor> self_;
};

}  // namespace

grpc::ServerUnaryReactor* StageControlService::Register(
    grpc::CallbackServerContext* context, const RegisterRequest* request,
    RegisterResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const Timing& timing = loop_.timing();
  response->set_heartbeat_seconds(absl::ToDoubleSeconds(timing.heartbeat));
  response->set_grace_seconds(absl::ToDoubleSeconds(timing.grace));
  loop_.Submit(
      ServerRegistered{*request, context->peer(), loop_.build_version()},
      [=](const absl::StatusOr<std::string>& answer, const LoopView& view) {
        response->set_coordinator_term(view.state.term);
        reactor->Finish(ToGrpcStatus(ForServers(answer.status())));
      });
  return reactor;
}

grpc::ServerBidiReactor<StageMessage, CoordinatorMessage>*
StageControlService::Session(grpc::CallbackServerContext*) {
  return SessionReactor::Start(loop_);
}

}  // namespace penstock
