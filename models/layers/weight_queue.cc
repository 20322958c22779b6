#include "models/layers/weight_queue.h"

#include <ATen/ops/mm.h>

#include <utility>

namespace penstock {

GradientSum::GradientSum(at::Tensor sum) : sum_(std::move(sum)) {}

void GradientSum::Add(const at::Tensor& gradient) {
  if (std::exchange(is_written_, true)) {
    sum_.add_(gradient);
  } else {
    sum_.copy_(gradient);
  }
}

void GradientSum::AddProduct(const at::Tensor& left, const at::Tensor& right) {
  if (is_written_ || left.scalar_type() != sum_.scalar_type()) {
    Add(left.mm(right));
    return;
  }
  at::mm_out(sum_, left, right);
  is_written_ = true;
}

void GradientSum::Finish() {
  if (!std::exchange(is_written_, true)) sum_.zero_();
}

void WeightQueue::Run() {
  while (!entries_.empty()) {
    entries_.front()();
    entries_.pop_front();
  }
}

}  // namespace penstock
