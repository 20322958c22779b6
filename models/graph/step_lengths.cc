#include "models/graph/step_lengths.h"

#include <algorithm>
#include <utility>

#include "base/random.h"

namespace penstock {

StepLengths::StepLengths(uint64_t seed, std::vector<int64_t> choices)
    : seed_(seed),
      choices_(std::move(choices)),
      longest_(*std::max_element(choices_.begin(), choices_.end())) {}

int64_t StepLengths::LengthOf(int64_t step) const {
  const uint64_t key =
      RandomKey(seed_, {NameKey("step_length"), static_cast<uint64_t>(step)});
  return choices_[key % choices_.size()];
}

std::vector<int64_t> StepLengths::Distinct() const {
  std::vector<int64_t> lengths = choices_;
  std::sort(lengths.begin(), lengths.end());
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  return lengths;
}

int64_t StepLengths::OffsetOf(int64_t step, int64_t index) const {
  const auto places = static_cast<uint64_t>(longest_ - LengthOf(step) + 1);
  const uint64_t key =
      RandomKey(seed_, {NameKey("sample_offset"), static_cast<uint64_t>(step),
                        static_cast<uint64_t>(index)});
  return static_cast<int64_t>(key % places);
}

}  // namespace penstock
