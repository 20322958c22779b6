#ifndef PENSTOCK_STAGE_SERVER_SERVICE_SESSION_CLIENT_H_
#define PENSTOCK_STAGE_SERVER_SERVICE_SESSION_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "checkpoint/transfer/tls_credentials.h"
#include "proto/stage_service.pb.h"
#include "stage_server/service/session_events.h"

namespace penstock {

// The coordinator's StageControl service as events: registers, holds the
// session's stream, delivers what comes. Decides nothing and retries nothing.
//
// Its calls come from one thread and never block. `sink` is called on gRPC's
// threads with `Registered`, `RegisterFailed`, `MessageReceived` and
// `SessionEnded`; it must not block and must outlive the client.
class SessionClient {
 public:
  using Sink = std::function<void(Event)>;

  // `target` is host:port; `clock` outlives the client. Without `tls` in the
  // clear. Connects lazily.
  SessionClient(const std::string& target, const Clock& clock, Sink sink,
                const std::shared_ptr<const TlsCredentials>& tls = nullptr);
  // Ends what is still going on (`Shutdown` without patience).
  ~SessionClient();
  SessionClient(const SessionClient&) = delete;
  SessionClient& operator=(const SessionClient&) = delete;

  // Waits up to 5 s for a coordinator that can be reached.
  void Register(const RegisterRequest& request);

  // Opens a stream; one that is still open is cancelled.
  void OpenSession(int64_t session);

  // Queues for the stream; dropped when there is none or it has ended.
  void Send(StageMessage message);

  // Half-closes after what is queued.
  void CloseSession();

  // Blocks until the stream has ended and no callback is running or to come;
  // after `patience` cancels what has not ended by itself.
  void Shutdown(absl::Duration patience);

 private:
  class Stream;
  struct Shared;

  const Clock& clock_;
  std::unique_ptr<Shared> shared_;
  std::shared_ptr<Stream> stream_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_SERVICE_SESSION_CLIENT_H_
