#ifndef PENSTOCK_MODELS_LAYERS_WEIGHT_QUEUE_H_
#define PENSTOCK_MODELS_LAYERS_WEIGHT_QUEUE_H_

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <utility>
#include <vector>

namespace penstock {

// The main gradient of one parameter: the float32 sum, in the order of the
// calls, of what a step's microbatches add. The only place where weight
// gradients are added, so that a split and a fused backward have the same bits.
//
// Used by one thread; libtorch's exceptions pass through.
class GradientSum {
 public:
  // `sum` is contiguous float32, of the parameter's shape; its memory is
  // written to. What it holds before the first `Add` of a step does not count.
  explicit GradientSum(at::Tensor sum);

  // The next `Add` writes, the others add.
  void BeginStep() { is_written_ = false; }

  // Adds `gradient`: of the parameter's shape, float32 or bfloat16.
  void Add(const at::Tensor& gradient);

  // Add(left.mm(right)): the same bits, without a copy where it writes.
  void AddProduct(const at::Tensor& left, const at::Tensor& right);

  // Makes the sum zero if nothing was added in this step.
  void Finish();

 private:
  at::Tensor sum_;
  bool is_written_ = false;
};

// The weight gradients that the backward of one microbatch has put off: the
// second half of a split backward (Qi et al., Zero Bubble Pipeline Parallelism,
// 2023, call it W). Each entry holds the tensors that it needs, so a queue
// costs memory until it has run.
//
// Used by one thread.
class WeightQueue {
 public:
  // `add` adds to a GradientSum. `held`: the tensors that it keeps alive, but
  // for parameters; undefined ones do not count.
  void Push(std::function<void()> add,
            std::initializer_list<const at::Tensor*> held);

  // Runs the entries in the order in which they came, freeing each at once. An
  // exception leaves the rest in the queue.
  void Run();

  size_t size() const { return entries_.size(); }

  // What the entries keep alive, memory that several of them share once.
  int64_t held_bytes() const;

 private:
  struct Entry {
    std::function<void()> add;
    // Alive as long as `add` is.
    std::vector<const c10::StorageImpl*> held;
  };

  std::deque<Entry> entries_;
};

}  // namespace penstock

#endif  // PENSTOCK_MODELS_LAYERS_WEIGHT_QUEUE_H_
