#ifndef PENSTOCK_STAGE_SERVER_SERVICE_TEST_EVENT_RECORDER_H_
#define PENSTOCK_STAGE_SERVER_SERVICE_TEST_EVENT_RECORDER_H_

#include <deque>
#include <optional>
#include <utility>
#include <variant>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "stage_server/service/session_events.h"

namespace penstock {

// For tests: keeps posted events until a test takes them. Thread-safe.
class EventRecorder {
 public:
  void Post(Event event) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    events_.push_back(std::move(event));
    arrived_.SignalAll();
  }

  // The next event of kind T, dropping others before it; nullopt if none comes
  // within ten seconds.
  template <typename T>
  std::optional<T> Next() ABSL_LOCKS_EXCLUDED(mutex_) {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    MutexLock lock(&mutex_);
    while (true) {
      while (!events_.empty()) {
        Event event = std::move(events_.front());
        events_.pop_front();
        if (T* found = std::get_if<T>(&event)) return std::move(*found);
      }
      if (arrived_.WaitWithDeadline(&mutex_, deadline)) return std::nullopt;
    }
  }

  // Whether nothing waits to be taken.
  bool empty() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return events_.empty();
  }

 private:
  Mutex mutex_;
  CondVar arrived_;
  std::deque<Event> events_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_SERVICE_TEST_EVENT_RECORDER_H_
