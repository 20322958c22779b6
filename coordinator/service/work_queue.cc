#include "coordinator/service/work_queue.h"

#include <utility>

namespace penstock {

WorkQueue::WorkQueue() : thread_([this] { Run(); }) {}

WorkQueue::~WorkQueue() {
  {
    const MutexLock lock(&mutex_);
    stopping_ = true;
    wake_.Signal();
  }
  thread_.join();
}

void WorkQueue::Add(std::function<void()> work) {
  const MutexLock lock(&mutex_);
  waiting_.push_back(std::move(work));
  wake_.Signal();
}

void WorkQueue::Run() {
  while (true) {
    std::function<void()> next;
    {
      const MutexLock lock(&mutex_);
      while (!stopping_ && waiting_.empty()) wake_.Wait(&mutex_);
      if (stopping_) return;
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    next();
  }
}

}  // namespace penstock
