#include "coordinator/core/step.h"

#include <variant>

#include "coordinator/core/handlers.h"
#include "coordinator/core/turn.h"

namespace penstock {

absl::StatusOr<std::string> Step(ClusterState& state, const ClusterEvent& event,
                                 absl::Time now, Effects& effects) {
  Turn turn(state, now, effects);
  absl::StatusOr<std::string> answer =
      std::visit([&turn](const auto& e) { return On(e, turn); }, event);
  turn.PlaceQueued();
  return answer;
}

}  // namespace penstock
