#ifndef PENSTOCK_STAGE_SERVER_ENGINE_ACTION_RING_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_ACTION_RING_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace penstock {

// When one action ran, by MonotonicNanos.
struct ActionRecord {
  int64_t step = 0;
  // Position in the rank's list.
  int action = 0;
  int64_t start_nanos = 0;
  int64_t end_nanos = 0;
};

// The latest actions of one rank; always on, since keeping one costs a few
// nanoseconds. Used by one thread.
class ActionRing {
 public:
  static constexpr int kCapacity = 4096;

  void Add(const ActionRecord& record) {
    records_[static_cast<size_t>(num_added_++ % kCapacity)] = record;
  }

  // At most `count` of the latest, oldest first.
  std::vector<ActionRecord> Latest(int count) const;

 private:
  std::array<ActionRecord, kCapacity> records_;
  int64_t num_added_ = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_ACTION_RING_H_
