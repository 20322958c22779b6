#include "schedule/verifier/placement.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

constexpr RankId kWhole{-1};

void CheckPlacementOfStages(const Subject& subject, RuleViolations& found) {
  const Schedule& schedule = subject.schedule();
  // A run of a continuous schedule that repeats no period may have none.
  if (schedule.num_microbatches < 1 && !schedule.is_continuous()) {
    found.Add(kWhole, -1,
              absl::StrCat(schedule.num_microbatches,
                           " microbatches, want at least 1"));
  }
  if (schedule.ranks.empty() || schedule.placement.empty()) {
    found.Add(
        kWhole, -1,
        absl::StrCat(schedule.num_ranks(), " ranks and ", schedule.num_stages(),
                     " stages, want at least 1 of each"));
  }
  for (int stage = 0; stage < schedule.num_stages() && !found.full(); ++stage) {
    const std::vector<RankId>& holders = schedule.placement[stage];
    if (holders.empty()) {
      found.Add(kWhole, -1, absl::StrCat("stage ", stage, " is on no rank"));
    }
    std::set<RankId> seen;
    for (const RankId rank : holders) {
      if (!subject.Exists(rank)) {
        found.Add(kWhole, -1,
                  absl::StrCat("stage ", stage, " is placed on rank ",
                               rank.value(), " of ", schedule.num_ranks()));
      } else if (!seen.insert(rank).second) {
        found.Add(kWhole, -1,
                  absl::StrCat("stage ", stage, " is placed on rank ",
                               rank.value(), " twice"));
      }
    }
  }
}

void CheckEdges(const Subject& subject, RuleViolations& found) {
  const std::vector<Edge>& edges = subject.schedule().edges;
  for (size_t i = 0; i < edges.size() && !found.full(); ++i) {
    if (subject.IsSound(edges[i])) continue;
    found.Add(kWhole, -1,
              absl::StrCat("edge ", i, " (", edges[i].tensor,
                           ") leads from stage ", edges[i].from.value(), " to ",
                           edges[i].to.value(), ", want two different of ",
                           subject.schedule().num_stages(), " stages"));
  }
}

}  // namespace

void CheckPlacement(const Subject& subject, std::vector<Violation>* all) {
  RuleViolations found("placement", all);
  CheckPlacementOfStages(subject, found);
  CheckEdges(subject, found);
  for (const RankId rank : subject.ranks()) {
    const std::vector<Action>& actions = subject.actions(rank);
    for (size_t i = 0; i < actions.size() && !found.full(); ++i) {
      if (subject.IsPlaced(rank, actions[i])) continue;
      found.Add(rank, static_cast<int>(i),
                absl::StrCat(subject.TextOf(actions[i]), ": ",
                             subject.WhyMisplaced(rank, actions[i])));
    }
  }
}

}  // namespace penstock
