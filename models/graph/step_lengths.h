#ifndef PENSTOCK_MODELS_GRAPH_STEP_LENGTHS_H_
#define PENSTOCK_MODELS_GRAPH_STEP_LENGTHS_H_

#include <cstdint>
#include <vector>

namespace penstock {

// How many tokens the samples of each step have: all of one step as many, so
// that they make one tensor, and another step perhaps others. Stateless: a
// function of (seed, step), so that ranks agree on every tensor's shape without
// a word, and a restart at any step goes on with the same lengths. Immutable,
// thread-safe.
class StepLengths {
 public:
  // Steps of one token each.
  StepLengths() : StepLengths(/*seed=*/0, {1}) {}

  // Each of `choices` as likely as it is often there.
  // Requires: there are some, all at least 1.
  StepLengths(uint64_t seed, std::vector<int64_t> choices);

  // Steps count from 0. Requires: step >= 0.
  int64_t LengthOf(int64_t step) const;

  int64_t longest() const { return longest_; }

  // Ascending, each once.
  std::vector<int64_t> Distinct() const;

  // Where sample `index` of the step begins in a sample of the longest length:
  // anywhere that it fits, each place as likely, so that no text is left out.
  int64_t OffsetOf(int64_t step, int64_t index) const;

 private:
  uint64_t seed_;
  std::vector<int64_t> choices_;
  int64_t longest_;
};

}  // namespace penstock

#endif  // PENSTOCK_MODELS_GRAPH_STEP_LENGTHS_H_
