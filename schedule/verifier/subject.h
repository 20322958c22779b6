#ifndef PENSTOCK_SCHEDULE_VERIFIER_SUBJECT_H_
#define PENSTOCK_SCHEDULE_VERIFIER_SUBJECT_H_

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "schedule/ir/cell_table.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Where the actions of one stage and microbatch stand in the list of the rank
// that runs its F; the first of them where there are several, -1 where none.
struct Cell {
  RankId holder;
  int forward = -1;
  int recompute = -1;
  // By half; a whole action stands in both. B or I; B or W.
  std::array<int, 2> backward = {-1, -1};
  std::array<int, 2> weight = {-1, -1};
};

// Half-open range of the halves (0, 1) that `half` covers.
struct HalfRange {
  explicit HalfRange(Half half)
      : first(half == Half::kSecond ? 1 : 0),
        end(half == Half::kFirst ? 1 : 2) {}
  int first, end;
};

// A stage's end of an activation edge between two stages.
struct StageEdge {
  EdgeId edge;
  StageId other;
};

// What the rules look at: a schedule that may be anything, written out (one
// step, or one run of a continuous schedule), and how much of it is there.
// Borrows the schedule. Each rule skips what does not exist or is on the wrong
// rank, which the rules `placement` and `complete` report, so that one mistake
// is not told five times.
class Subject {
 public:
  // `only`: the one rank whose list is filled; unset: all are.
  // `lowered`: whether communication, G, N and U have been inserted.
  Subject(const Schedule& schedule, std::optional<RankId> only, bool lowered);

  const Schedule& schedule() const { return schedule_; }
  bool lowered() const { return lowered_; }
  // The ranks whose lists are there, ascending.
  const std::vector<RankId>& ranks() const { return ranks_; }
  bool ListIsThere(RankId rank) const;
  bool AllListsThere() const;
  const std::vector<Action>& actions(RankId rank) const {
    return schedule_.ranks[rank.value()];
  }
  // Of all lists.
  size_t num_actions() const { return num_actions_; }

  bool Exists(RankId rank) const;
  bool Exists(StageId stage) const;
  bool Holds(RankId rank, StageId stage) const;
  // Whether the stage is on several ranks.
  bool IsShared(StageId stage) const;
  // Whether both stages of the edge exist and differ.
  bool IsSound(const Edge& edge) const;

  // Why the action cannot stand in the rank's list; empty if it can:
  // everything that it names exists, the rank holds its stage, and
  // communication joins the ranks that run the edge's two ends.
  std::string WhyMisplaced(RankId rank, const Action& action) const;
  // Whether that is empty, fast.
  bool IsPlaced(RankId rank, const Action& action) const;
  // Placed, and on the rank that runs the F of its stage and microbatch, if
  // any does.
  bool IsOwn(RankId rank, const Action& action) const;

  // Requires of both: the stage exists, microbatch is in range.
  // The rank that runs the stage's F of a microbatch; -1 if none is there.
  RankId HolderOf(StageId stage, int microbatch) const {
    const RankId only = only_rank_[stage.value()];
    return only.value() >= 0 ? only : CellOf(stage, microbatch).holder;
  }
  const Cell& CellOf(StageId stage, int microbatch) const {
    return cells_.Get(stage.value(), microbatch);
  }

  // The activations that a stage takes, and those that it makes, by edge.
  const std::vector<StageEdge>& takes(StageId stage) const {
    return takes_[stage.value()];
  }
  const std::vector<StageEdge>& makes(StageId stage) const {
    return makes_[stage.value()];
  }

  std::string TextOf(const Action& action) const;

 private:
  void FindEdges();
  void FindForwards(RankId rank);
  void FindOthers(RankId rank);
  std::string WhyCommunicationIsMisplaced(RankId rank,
                                          const Action& action) const;

  const Schedule& schedule_;
  const bool lowered_;
  size_t num_actions_ = 0;
  std::vector<RankId> ranks_;
  // Index is the stage: its rank, if it is on exactly one and that exists.
  std::vector<RankId> only_rank_;
  // Index is the stage: its ranks, ascending.
  std::vector<std::vector<RankId>> holders_;
  std::vector<std::vector<StageEdge>> takes_, makes_;
  CellTable<Cell> cells_;
};

// B, I or W.
bool IsBackward(Op op);
// B or I: what makes the gradient that is sent on.
bool GivesGradient(Op op);
// B or W: what adds to the gradient of the weights.
bool GivesWeightGradient(Op op);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_SUBJECT_H_
