#include "stage_server/engine/channels.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "schedule/ir/schedule_proto.h"
#include "stage_server/engine/engine.h"

namespace penstock {

void ChannelMap::Add(const Use& use, RankId from, RankId to,
                     const std::string& name) {
  channels_.push_back({ChannelId(static_cast<int>(channels_.size())), from, to,
                       absl::StrCat(name, " ", from.value(), ">", to.value())});
  uses_.push_back(use);
}

ChannelMap ChannelMap::Of(const Schedule& schedule) {
  ChannelMap map;
  const auto ranks_of = [&](StageId stage) {
    return stage.value() >= 0 && stage.value() < schedule.num_stages()
               ? schedule.placement[stage.value()]
               : std::vector<RankId>();
  };
  for (int i = 0; i < static_cast<int>(schedule.edges.size()); ++i) {
    const Edge& edge = schedule.edges[i];
    for (const RankId from : ranks_of(edge.from)) {
      for (const RankId to : ranks_of(edge.to)) {
        if (from == to) continue;
        map.Add({EdgeId(i), Direction::kForward}, from, to, edge.tensor);
        map.Add({EdgeId(i), Direction::kBackward}, to, from,
                absl::StrCat("gradient of ", edge.tensor));
      }
    }
  }
  for (int stage = 0; stage < schedule.num_stages(); ++stage) {
    for (const RankId from : schedule.placement[stage]) {
      for (const RankId to : schedule.placement[stage]) {
        if (from == to) continue;
        map.Add({.reduced = StageId(stage)}, from, to,
                absl::StrCat("gradients of stage ", stage));
      }
    }
  }
  for (int rank = 1; rank < schedule.num_ranks(); ++rank) {
    map.Add({}, RankId(rank), RankId(0), "norm");
    map.Add({}, RankId(0), RankId(rank), "norm");
  }
  return map;
}

absl::StatusOr<ChannelId> ChannelMap::Find(const Use& use, RankId from,
                                           RankId to) const {
  for (size_t i = 0; i < uses_.size(); ++i) {
    if (uses_[i].edge == use.edge && uses_[i].direction == use.direction &&
        uses_[i].reduced == use.reduced && channels_[i].from == from &&
        channels_[i].to == to) {
      return channels_[i].id;
    }
  }
  return absl::NotFoundError(absl::StrCat(
      "no channel for ",
      use.reduced != StageId()
          ? absl::StrCat("the gradients of stage ", use.reduced.value())
      : use.edge == EdgeId() ? "agreement"
                             : absl::StrCat("edge ", use.edge.value()),
      " from rank ", from.value(), " to rank ", to.value()));
}

absl::StatusOr<ChannelId> ChannelMap::OfEdge(EdgeId edge, Direction direction,
                                             RankId from, RankId to) const {
  return Find({edge, direction}, from, to);
}

absl::StatusOr<ChannelId> ChannelMap::OfReduction(StageId stage, RankId from,
                                                  RankId to) const {
  return Find({.reduced = stage}, from, to);
}

absl::StatusOr<ChannelId> ChannelMap::OfAgreement(RankId from,
                                                  RankId to) const {
  return Find({}, from, to);
}

std::vector<ChannelSpec> ChannelsOf(const Plan& plan) {
  const absl::StatusOr<Schedule> schedule = FromProto(plan.schedule());
  if (!schedule.ok()) return {};
  return ChannelMap::Of(*schedule).channels();
}

}  // namespace penstock
