#ifndef PENSTOCK_MODELS_DATA_SAMPLER_H_
#define PENSTOCK_MODELS_DATA_SAMPLER_H_

#include <cstdint>

namespace penstock {

// Says which sequence each sample of each step is. Stateless: a function of
// (seed, step, index), so every rank that needs data finds the same samples by
// itself, and a restart at any step or stage count goes on with them.
//
// Samples are numbered through the job: sample n = step * batch_size + index.
// Each run of `num_sequences` samples is an epoch, in which each sequence
// comes exactly once, in an order of that epoch's own; a step may span epochs.
class Sampler {
 public:
  // Requires: num_sequences >= 1, batch_size >= 1.
  Sampler(uint64_t seed, int64_t num_sequences, int64_t batch_size)
      : seed_(seed), num_sequences_(num_sequences), batch_size_(batch_size) {}

  // The sequence in 0..num_sequences-1 of sample `index` of `step`; steps
  // count from 0. Under a microsecond.
  // Requires: step >= 0, 0 <= index < batch_size.
  int64_t Sequence(int64_t step, int64_t index) const;

 private:
  uint64_t seed_;
  int64_t num_sequences_;
  int64_t batch_size_;
};

}  // namespace penstock

#endif  // PENSTOCK_MODELS_DATA_SAMPLER_H_
