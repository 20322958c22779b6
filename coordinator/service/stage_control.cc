#include "coordinator/service/stage_control.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/transfer/grpc_status.h"
#include "checkpoint/transfer/tls_credentials.h"

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
  static SessionReactor* Start(Loop& loop,
                               const ServerCertificates& certificates,
                               std::optional<Identity> caller) {
    std::shared_ptr<SessionReactor> reactor(
        new SessionReactor(loop, certificates, std::move(caller)));
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
  SessionReactor(Loop& loop, const ServerCertificates& certificates,
                 std::optional<Identity> caller)
      : loop_(loop), certificates_(certificates), caller_(std::move(caller)) {}

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
    const absl::Status is_it =
        certificates_.CheckSession(caller_, incoming_.hello().server_id());
    if (!is_it.ok()) {
      End(is_it);
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
  const ServerCertificates& certificates_;
  const std::optional<Identity> caller_;
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

absl::Status ServerCertificates::CheckRegister(
    const std::optional<Identity>& caller, const RegisterRequest& request,
    const ClusterState& state) {
  if (!caller.has_value() || caller->name == request.server_id()) {
    return absl::OkStatus();
  }
  const auto known = state.servers.find(request.server_id());
  const std::string& name =
      known == state.servers.end() ? request.name() : known->second.info.name();
  if (caller->name == request.name() && caller->name == name) {
    return absl::OkStatus();
  }
  return absl::PermissionDeniedError(absl::StrCat(
      "stage server ", name, " (id ", request.server_id(),
      ") came with the certificate of ", ToString(*caller),
      "; wanted one with its name or its id: penstock certs issue --role "
      "stage-server --name ",
      name));
}

void ServerCertificates::Add(const std::optional<Identity>& caller,
                             const std::string& server_id) {
  if (!caller.has_value()) return;
  const MutexLock lock(&mutex_);
  names_[server_id] = caller->name;
}

absl::Status ServerCertificates::CheckSession(
    const std::optional<Identity>& caller, const std::string& server_id) const {
  if (!caller.has_value()) return absl::OkStatus();
  const MutexLock lock(&mutex_);
  const auto found = names_.find(server_id);
  if (found == names_.end()) {
    return absl::AbortedError(absl::StrCat(
        "stage server ", server_id,
        " has not registered since this coordinator started; register again"));
  }
  if (found->second == caller->name) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("stage server ", server_id, " registered as ", found->second,
                   ", and this is ", ToString(*caller)));
}

grpc::ServerUnaryReactor* StageControlService::Register(
    grpc::CallbackServerContext* context, const RegisterRequest* request,
    RegisterResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const Timing& timing = loop_.timing();
  response->set_heartbeat_seconds(absl::ToDoubleSeconds(timing.heartbeat));
  response->set_grace_seconds(absl::ToDoubleSeconds(timing.grace));
  const std::optional<Identity> caller = CallerOf(*context);
  ServerRegistered event{*request, context->peer(), loop_.build_version()};
  loop_.Ask([=, this](const LoopView& view) {
    const absl::Status is_it =
        ServerCertificates::CheckRegister(caller, *request, view.state);
    if (!is_it.ok()) return reactor->Finish(ToGrpcStatus(is_it));
    loop_.Submit(event, [=, this](const absl::StatusOr<std::string>& answer,
                                  const LoopView& view) {
      if (answer.ok()) certificates_.Add(caller, request->server_id());
      response->set_coordinator_term(view.state.term);
      reactor->Finish(ToGrpcStatus(ForServers(answer.status())));
    });
  });
  return reactor;
}

grpc::ServerBidiReactor<StageMessage, CoordinatorMessage>*
StageControlService::Session(grpc::CallbackServerContext* context) {
  return SessionReactor::Start(loop_, certificates_, CallerOf(*context));
}

}  // namespace penstock
