#ifndef PENSTOCK_BASE_MUTEX_H_
#define PENSTOCK_BASE_MUTEX_H_

// `Mutex`, `MutexLock` and `CondVar`: Abseil's, except under ThreadSanitizer.
// Debian's absl::Mutex is not instrumented, so TSan sees races through it that
// are none; there the same names are the standard library's, annotated.

#include "absl/base/thread_annotations.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

#ifndef PENSTOCK_TSAN

#include "absl/synchronization/mutex.h"

namespace penstock {

using Mutex = absl::Mutex;
using MutexLock = absl::MutexLock;
using CondVar = absl::CondVar;

}  // namespace penstock

#else  // PENSTOCK_TSAN

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace penstock {

class ABSL_LOCKABLE Mutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex)
      : mutex_(mutex) {
    mutex_->Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

class CondVar {
 public:
  void Wait(Mutex* mutex) {
    std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // True if the deadline passed.
  bool WaitWithDeadline(Mutex* mutex, absl::Time deadline) {
    std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
    const auto left = absl::ToChronoNanoseconds(
        std::min(deadline - absl::Now(), absl::Hours(24)));
    const bool late =
        condition_.wait_for(lock, left) == std::cv_status::timeout;
    lock.release();
    return late && absl::Now() >= deadline;
  }
  void Signal() { condition_.notify_one(); }
  void SignalAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace penstock

#endif  // PENSTOCK_TSAN
#endif  // PENSTOCK_BASE_MUTEX_H_
