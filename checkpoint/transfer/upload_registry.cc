#include "checkpoint/transfer/upload_registry.h"

#include <utility>

#include "base/clock.h"

namespace penstock {

UploadRegistry::UploadRegistry(absl::Duration stall_limit,
                               RemovePart remove_part)
    : stall_limit_(stall_limit),
      remove_part_(std::move(remove_part)),
      watcher_([this] { Watch(); }) {}

UploadRegistry::~UploadRegistry() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }
  watcher_.join();
}

// Only differences mean anything.
absl::Time UploadRegistry::Now() {
  return absl::UnixEpoch() + absl::Nanoseconds(MonotonicNanos());
}

absl::StatusOr<int64_t> UploadRegistry::Begin(const UploadTable::Upload& upload,
                                              std::function<void()> cancel) {
  MutexLock lock(&mutex_);
  absl::StatusOr<UploadTable::Begun> begun = table_.Begin(upload, Now());
  if (!begun.ok()) return begun.status();
  calls_[begun->number] = std::move(cancel);
  if (begun->superseded.has_value()) {
    Cancel(*begun->superseded);
    while (calls_.contains(*begun->superseded)) changed_.Wait(&mutex_);
  }
  return begun->number;
}

absl::Status UploadRegistry::Touch(int64_t number) {
  MutexLock lock(&mutex_);
  return table_.Touch(number, Now());
}

void UploadRegistry::End(int64_t number, bool complete) {
  MutexLock lock(&mutex_);
  table_.End(number, complete);
  calls_.erase(number);
  changed_.SignalAll();
}

void UploadRegistry::BeginEpoch(const std::string& job_id, int64_t epoch) {
  MutexLock lock(&mutex_);
  for (const int64_t number : table_.BeginEpoch(job_id, epoch)) Cancel(number);
}

void UploadRegistry::Cancel(int64_t number) {
  if (const auto it = calls_.find(number); it != calls_.end()) it->second();
}

void UploadRegistry::Watch() {
  MutexLock lock(&mutex_);
  while (!stopping_) {
    const absl::Time limit = Now() - stall_limit_;
    for (const int64_t number : table_.Silent(limit)) Cancel(number);
    // Under the lock, so that nobody begins the file anew meanwhile.
    for (const UploadTable::Upload& upload : table_.TakeAbandoned(limit)) {
      remove_part_(upload);
    }
    changed_.WaitWithDeadline(&mutex_, SystemClock().Now() + stall_limit_ / 4);
  }
}

}  // namespace penstock
