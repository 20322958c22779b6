#ifndef PENSTOCK_CLIENT_INTERRUPT_H_
#define PENSTOCK_CLIENT_INTERRUPT_H_

#include <cstdint>
#include <functional>
#include <map>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace penstock {

// "Stop what you are doing", from a signal or another part of the program to
// whoever waits. Trips are counted, so that a second Ctrl-C can mean more than
// the first. Thread-safe; `Trip` is not for signal handlers (the main program
// turns signals into calls from a thread).
class Interrupt {
 public:
  // Undoes an OnTrip when it goes. After its destructor returns the callback
  // does not run and will not.
  class Registration {
   public:
    Registration(Interrupt* interrupt, int64_t id)
        : interrupt_(interrupt), id_(id) {}
    Registration(Registration&& other) noexcept;
    Registration& operator=(Registration&&) = delete;
    ~Registration();

   private:
    Interrupt* interrupt_;
    int64_t id_;
  };

  // Wakes all waiters and runs all callbacks, in this thread.
  void Trip();

  // Times tripped.
  int count() const;
  bool tripped() const { return count() > 0; }

  // Waits until the count is more than `seen` or the time is over; true in the
  // first case.
  bool WaitFor(absl::Duration timeout, int seen = 0);

  // Runs `callback` at every trip, and at once when there was one already.
  // `callback` must be quick and must not touch this Interrupt.
  [[nodiscard]] Registration OnTrip(std::function<void()> callback);

 private:
  mutable Mutex mutex_;
  CondVar tripped_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
  // Held while callbacks run, so that a Registration can wait for them.
  Mutex callbacks_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  int64_t next_id_ ABSL_GUARDED_BY(callbacks_mutex_) = 0;
  std::map<int64_t, std::function<void()>> callbacks_
      ABSL_GUARDED_BY(callbacks_mutex_);
};

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_INTERRUPT_H_
