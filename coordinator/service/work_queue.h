#ifndef PENSTOCK_COORDINATOR_SERVICE_WORK_QUEUE_H_
#define PENSTOCK_COORDINATOR_SERVICE_WORK_QUEUE_H_

#include <deque>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace penstock {

// One thread that does what it is given, in order. Thread-safe. Destroying it
// waits for what is under way and drops the rest.
class WorkQueue {
 public:
  WorkQueue();
  ~WorkQueue();

  void Add(std::function<void()> work) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run();

  Mutex mutex_;
  CondVar wake_;
  std::deque<std::function<void()>> waiting_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_SERVICE_WORK_QUEUE_H_
