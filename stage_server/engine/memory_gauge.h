#ifndef PENSTOCK_STAGE_SERVER_ENGINE_MEMORY_GAUGE_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_MEMORY_GAUGE_H_

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <cstdint>
#include <memory>

namespace penstock {

// Measures what a rank's steps hold, by what libtorch's allocators say of each
// block that they give out and take back. It sees all that tensors use, of
// whatever operator, saved for a backward or on the way to a peer.
//
// A block costs about 100 ns while it watches, nothing while it does not: the
// engine watches the first steps of an epoch, which hold what the others do.
class MemoryGauge {
 public:
  MemoryGauge();

  // Watches this thread's blocks, and those of the threads that work for it,
  // while it lives. Not nested with another user of libtorch's memory profiler.
  class Watch {
   public:
    explicit Watch(const MemoryGauge& gauge);

   private:
    c10::DebugInfoGuard guard_;
  };

  // What the watched blocks have come to: bytes given out and not yet back.
  int64_t live_bytes() const;

  // What is live now belongs to no step.
  void BeginStep();

  // A point between actions, where weight gradients that were put off hold
  // `weight_queue_bytes`.
  void Sample(int64_t weight_queue_bytes);

  // The highest of the samples of all steps: what the steps hold in all, and
  // the two parts of it, each at its own highest.
  int64_t most_bytes() const { return most_; }
  int64_t most_activation_bytes() const { return most_activation_; }
  int64_t most_weight_queue_bytes() const { return most_weight_queue_; }

 private:
  class Blocks;

  std::shared_ptr<Blocks> blocks_;
  int64_t before_step_ = 0;
  int64_t most_ = 0;
  int64_t most_activation_ = 0;
  int64_t most_weight_queue_ = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_MEMORY_GAUGE_H_
