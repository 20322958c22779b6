#include "client/interrupt.h"

#include <utility>

#include "base/clock.h"

namespace penstock {

Interrupt::Registration::Registration(Registration&& other) noexcept
    : interrupt_(std::exchange(other.interrupt_, nullptr)), id_(other.id_) {}

Interrupt::Registration::~Registration() {
  if (interrupt_ == nullptr) return;
  MutexLock lock(&interrupt_->callbacks_mutex_);
  interrupt_->callbacks_.erase(id_);
}

void Interrupt::Trip() {
  MutexLock callbacks_lock(&callbacks_mutex_);
  {
    MutexLock lock(&mutex_);
    ++count_;
    tripped_.SignalAll();
  }
  for (const auto& [id, callback] : callbacks_) callback();
}

int Interrupt::count() const {
  MutexLock lock(&mutex_);
  return count_;
}

bool Interrupt::WaitFor(absl::Duration timeout, int seen) {
  const absl::Time deadline = SystemClock().Now() + timeout;
  MutexLock lock(&mutex_);
  while (count_ <= seen) {
    if (tripped_.WaitWithDeadline(&mutex_, deadline)) return count_ > seen;
  }
  return true;
}

Interrupt::Registration Interrupt::OnTrip(std::function<void()> callback) {
  MutexLock lock(&callbacks_mutex_);
  if (tripped()) callback();
  const int64_t id = next_id_++;
  callbacks_[id] = std::move(callback);
  return Registration(this, id);
}

}  // namespace penstock
