#include "schedule/lowering/tied_weights.h"

#include <algorithm>
#include <cstddef>

namespace penstock {
namespace {

// Sends what stage `from` has to every rank of `to` that lacks it, by the two
// given sides of a message.
void Exchange(const Schedule& schedule, EdgeId edge, StageId from, StageId to,
              std::vector<TiedEnd> TiedEnds::*out,
              std::vector<TiedEnd> TiedEnds::*in, std::vector<TiedEnds>* ends) {
  const std::vector<RankId>& senders = schedule.placement[from.value()];
  const std::vector<RankId>& receivers = schedule.placement[to.value()];
  for (size_t i = 0; i < receivers.size(); ++i) {
    const RankId receiver = receivers[i];
    if (std::find(senders.begin(), senders.end(), receiver) != senders.end()) {
      continue;
    }
    const RankId sender = senders[i % senders.size()];
    ((*ends)[sender.value()].*out).push_back({edge, from, receiver});
    ((*ends)[receiver.value()].*in).push_back({edge, to, sender});
  }
}

}  // namespace

std::vector<TiedEnds> TiedEndsByRank(const Schedule& schedule) {
  std::vector<TiedEnds> ends(schedule.num_ranks());
  for (int i = 0; i < static_cast<int>(schedule.edges.size()); ++i) {
    const Edge& edge = schedule.edges[i];
    if (edge.kind != EdgeKind::kTiedWeight) continue;
    Exchange(schedule, EdgeId(i), edge.to, edge.from, &TiedEnds::gradients_out,
             &TiedEnds::gradients_in, &ends);
    Exchange(schedule, EdgeId(i), edge.from, edge.to, &TiedEnds::weights_out,
             &TiedEnds::weights_in, &ends);
  }
  return ends;
}

}  // namespace penstock
