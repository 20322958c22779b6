#include "models/layers/weight_queue.h"

#include <ATen/ops/mm.h>

#include <set>
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

void WeightQueue::Push(std::function<void()> add,
                       std::initializer_list<const at::Tensor*> held) {
  Entry& entry = entries_.emplace_back();
  entry.add = std::move(add);
  for (const at::Tensor* tensor : held) {
    if (!tensor->defined()) continue;
    entry.held.push_back(tensor->storage().unsafeGetStorageImpl());
  }
}

void WeightQueue::Run() {
  while (!entries_.empty()) {
    entries_.front().add();
    entries_.pop_front();
  }
}

int64_t WeightQueue::held_bytes() const {
  std::set<const c10::StorageImpl*> seen;
  int64_t bytes = 0;
  for (const Entry& entry : entries_) {
    for (const c10::StorageImpl* storage : entry.held) {
      if (!seen.insert(storage).second) continue;
      bytes += static_cast<int64_t>(storage->nbytes());
    }
  }
  return bytes;
}

}  // namespace penstock
