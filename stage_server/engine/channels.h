#ifndef PENSTOCK_STAGE_SERVER_ENGINE_CHANNELS_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_CHANNELS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "schedule/ir/schedule.h"
#include "stage_server/engine/edge_direction.h"
#include "stage_server/transport/transport.h"

namespace penstock {

// The channels of an epoch with what each is for: `ChannelsOf` (engine.h) with
// the way back from an edge to its channel.
class ChannelMap {
 public:
  // Total: what an unsound schedule leaves out has no channel.
  static ChannelMap Of(const Schedule& schedule);

  const std::vector<ChannelSpec>& channels() const { return channels_; }

  // NOT_FOUND when the edge has none in that direction between these ranks.
  absl::StatusOr<ChannelId> OfEdge(EdgeId edge, Direction direction,
                                   RankId from, RankId to) const;
  // Between two of the ranks that hold the stage.
  absl::StatusOr<ChannelId> OfReduction(StageId stage, RankId from,
                                        RankId to) const;
  // One of `from` and `to` is rank 0.
  absl::StatusOr<ChannelId> OfAgreement(RankId from, RankId to) const;

 private:
  struct Use {
    // With neither: agreement.
    EdgeId edge;
    Direction direction = Direction::kForward;
    StageId reduced;
  };

  void Add(const Use& use, RankId from, RankId to, const std::string& name);
  absl::StatusOr<ChannelId> Find(const Use& use, RankId from, RankId to) const;

  std::vector<ChannelSpec> channels_;
  // Index is the channel.
  std::vector<Use> uses_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_CHANNELS_H_
