#include "models/data/sampler.h"

#include "base/random.h"

namespace penstock {

int64_t Sampler::Sequence(int64_t step, int64_t index) const {
  const auto size = static_cast<uint64_t>(num_sequences_);
  const uint64_t sample =
      static_cast<uint64_t>(step) * static_cast<uint64_t>(batch_size_) +
      static_cast<uint64_t>(index);
  const uint64_t epoch = sample / size;
  const StatelessPermutation permutation(
      RandomKey(seed_, {NameKey("sampler"), epoch}), size);
  return static_cast<int64_t>(permutation(sample % size));
}

}  // namespace penstock
