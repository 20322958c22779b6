#include "stage_server/engine/action_ring.h"

#include <algorithm>

namespace penstock {

std::vector<ActionRecord> ActionRing::Latest(int count) const {
  const int64_t kept =
      std::min({num_added_, int64_t{kCapacity}, int64_t{count}});
  std::vector<ActionRecord> latest;
  for (int64_t i = num_added_ - kept; i < num_added_; ++i) {
    latest.push_back(records_[static_cast<size_t>(i % kCapacity)]);
  }
  return latest;
}

}  // namespace penstock
