#ifndef PENSTOCK_SCHEDULE_VERIFIER_SUBJECT_H_
#define PENSTOCK_SCHEDULE_VERIFIER_SUBJECT_H_

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// What the rules look at: a schedule that may be anything, and how much of it
// is there. Borrows the schedule. Each rule skips what does not exist or is on
// the wrong rank, which the rule `placement` reports, so that one mistake is
// not told five times.
class Subject {
 public:
  // `only`: the one rank whose list is filled; unset: all are.
  // `lowered`: whether communication, N and U have been inserted.
  Subject(const Schedule& schedule, std::optional<RankId> only, bool lowered);

  const Schedule& schedule() const { return schedule_; }
  bool lowered() const { return lowered_; }
  // The ranks whose lists are there, ascending.
  const std::vector<RankId>& ranks() const { return ranks_; }
  const std::vector<Action>& actions(RankId rank) const {
    return schedule_.ranks[rank.value()];
  }

  bool Exists(RankId rank) const;
  bool Exists(StageId stage) const;
  bool Holds(RankId rank, StageId stage) const;
  // The stage's rank, if it is on exactly one and that exists.
  std::optional<RankId> OnlyRankOf(StageId stage) const;
  // Whether both stages of the edge exist and differ.
  bool IsSound(const Edge& edge) const;
  // Whether everything that the action names exists, it is on a rank that
  // holds its stage and, for communication, at the right end of its edge.
  bool IsPlaced(RankId rank, const Action& action) const;
  // The ranks at the two ends of an edge that leads from one to another; unset
  // for one inside a rank, an unsound one, and stages on several ranks.
  struct Ends {
    RankId from, to;
  };
  std::optional<Ends> CrossingEnds(const Edge& edge) const;

  std::string TextOf(const Action& action) const;

 private:
  const Schedule& schedule_;
  const bool lowered_;
  std::vector<RankId> ranks_;
};

// B, I or W.
bool IsBackward(Op op);
// B or I: what makes the gradient that is sent on.
bool GivesGradient(Op op);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_SUBJECT_H_
