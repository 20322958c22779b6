#ifndef PENSTOCK_STAGE_SERVER_ENGINE_ACTION_RING_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_ACTION_RING_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace penstock {

// When one action ran, by MonotonicNanos.
struct ActionRecord {
  int64_t step = 0;
  // Position in the rank's list.
  int64_t action = 0;
  // When all that stands before it was done ...
  int64_t issue_nanos = 0;
  // ... what it needs was there ...
  int64_t start_nanos = 0;
  // ... and it was done.
  int64_t end_nanos = 0;
};

// The latest actions of one rank; always on, since keeping one costs a few
// nanoseconds. Used by one thread.
class ActionRing {
 public:
  static constexpr size_t kMinCapacity = 4096;

  // Keeps at least `capacity`: with the length of the rank's list, all of a
  // step.
  explicit ActionRing(size_t capacity = kMinCapacity)
      : records_(std::max(capacity, kMinCapacity)) {}

  void Add(const ActionRecord& record) {
    records_[next_] = record;
    if (++next_ == records_.size()) next_ = 0;
    ++num_added_;
  }

  // At most `count` of the latest, oldest first.
  std::vector<ActionRecord> Latest(size_t count) const;

 private:
  std::vector<ActionRecord> records_;
  size_t next_ = 0;
  size_t num_added_ = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_ACTION_RING_H_
