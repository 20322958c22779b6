#ifndef PENSTOCK_STAGE_SERVER_SERVICE_SERVER_LOOP_H_
#define PENSTOCK_STAGE_SERVER_SERVICE_SERVER_LOOP_H_

#include <deque>
#include <functional>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"
#include "stage_server/service/executor.h"
#include "stage_server/service/session_client.h"
#include "stage_server/service/session_core.h"
#include "stage_server/service/session_events.h"

namespace penstock {

// Feeds a SessionCore with what session client, executor, log and signals post,
// and carries its effects out; the only thread that touches core and client.
class ServerLoop {
 public:
  // `on_turn` is called on the thread of `Run` each time that the loop comes
  // round, at least once a second. Must not block.
  explicit ServerLoop(
      const Clock& clock,
      std::function<void(const SessionCore&)> on_turn = [](const auto&) {})
      : clock_(clock), on_turn_(std::move(on_turn)) {}
  ServerLoop(const ServerLoop&) = delete;
  ServerLoop& operator=(const ServerLoop&) = delete;

  // Thread-safe; never blocks. Allowed before and after `Run`.
  void Post(Event event) ABSL_LOCKS_EXCLUDED(mutex_);

  // Until the core wants to exit; says how. The core's log lines go to
  // spdlog's default logger.
  Exit Run(SessionCore& core, SessionClient& client, Executor& executor)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // Wall time that never steps back, so that a clock that is set does not
  // shorten a grace or delay a heartbeat.
  absl::Time Now() const;
  // A posted event, or `Tick` at `wake`; nothing if neither comes within a
  // second.
  std::optional<Event> Next(absl::Time wake) ABSL_LOCKS_EXCLUDED(mutex_);

  const Clock& clock_;
  const std::function<void(const SessionCore&)> on_turn_;
  const absl::Time start_time_ = clock_.Now();
  const int64_t start_nanos_ = MonotonicNanos();

  Mutex mutex_;
  CondVar wake_;
  std::deque<Event> events_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_SERVICE_SERVER_LOOP_H_
