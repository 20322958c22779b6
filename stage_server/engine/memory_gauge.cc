#include "stage_server/engine/memory_gauge.h"

#include <algorithm>
#include <unordered_map>

#include "base/mutex.h"

namespace penstock {

// Only blocks that it saw being given out count when they come back.
class MemoryGauge::Blocks : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void* block, int64_t bytes, size_t, size_t,
                         c10::Device) override {
    MutexLock lock(&mutex_);
    if (bytes > 0) {
      int64_t& known = bytes_[block];
      live_ += bytes - known;
      known = bytes;
      return;
    }
    const auto found = bytes_.find(block);
    if (found == bytes_.end()) return;
    live_ -= found->second;
    bytes_.erase(found);
  }

  bool memoryProfilingEnabled() const override { return true; }

  int64_t live() const {
    MutexLock lock(&mutex_);
    return live_;
  }

 private:
  mutable Mutex mutex_;
  std::unordered_map<void*, int64_t> bytes_ ABSL_GUARDED_BY(mutex_);
  int64_t live_ ABSL_GUARDED_BY(mutex_) = 0;
};

MemoryGauge::MemoryGauge() : blocks_(std::make_shared<Blocks>()) {}

MemoryGauge::Watch::Watch(const MemoryGauge& gauge)
    : guard_(c10::DebugInfoKind::PROFILER_STATE, gauge.blocks_) {}

int64_t MemoryGauge::live_bytes() const { return blocks_->live(); }

void MemoryGauge::BeginStep() { before_step_ = live_bytes(); }

void MemoryGauge::Sample(int64_t weight_queue_bytes) {
  const int64_t bytes = live_bytes() - before_step_;
  most_ = std::max(most_, bytes);
  most_activation_ = std::max(most_activation_, bytes - weight_queue_bytes);
  most_weight_queue_ = std::max(most_weight_queue_, weight_queue_bytes);
}

}  // namespace penstock
