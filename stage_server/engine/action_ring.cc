#include "stage_server/engine/action_ring.h"

namespace penstock {

std::vector<ActionRecord> ActionRing::Latest(size_t count) const {
  const size_t kept = std::min({num_added_, records_.size(), count});
  std::vector<ActionRecord> latest;
  latest.reserve(kept);
  for (size_t i = num_added_ - kept; i < num_added_; ++i) {
    latest.push_back(records_[i % records_.size()]);
  }
  return latest;
}

}  // namespace penstock
