#include "schedule/lowering/insert_communication.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "schedule/lowering/holders.h"
#include "schedule/lowering/tied_weights.h"

namespace penstock {
namespace {

// So that the next ones can be counted too.
constexpr int kMaxMicrobatch = std::numeric_limits<int>::max() - 2;

// A stage's end of an activation edge.
struct ActivationEnd {
  EdgeId edge;
  StageId other;
};

// By edge index.
struct StageEnds {
  std::vector<ActivationEnd> makes, takes;
};

absl::Status CheckStage(const Schedule& schedule, int edge, StageId stage) {
  if (stage.value() < 0 || stage.value() >= schedule.num_stages()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "edge ", edge, " (", schedule.edges[edge].tensor, ") names stage ",
        stage.value(), " of ", schedule.num_stages()));
  }
  const std::vector<RankId>& ranks = schedule.placement[stage.value()];
  if (ranks.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage ", stage.value(), " has edges and is on no rank"));
  }
  for (const RankId rank : ranks) {
    if (rank.value() < 0 || rank.value() >= schedule.num_ranks()) {
      return absl::InvalidArgumentError(
          absl::StrCat("stage ", stage.value(), " is placed on rank ",
                       rank.value(), " of ", schedule.num_ranks()));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StageEnds>> EndsByStage(const Schedule& schedule) {
  std::vector<StageEnds> ends(schedule.num_stages());
  for (int i = 0; i < static_cast<int>(schedule.edges.size()); ++i) {
    const Edge& edge = schedule.edges[i];
    PENSTOCK_RETURN_IF_ERROR(CheckStage(schedule, i, edge.from));
    PENSTOCK_RETURN_IF_ERROR(CheckStage(schedule, i, edge.to));
    if (edge.from == edge.to) {
      return absl::InvalidArgumentError(
          absl::StrCat("edge ", i, " (", edge.tensor, ") leads from stage ",
                       edge.from.value(), " to itself"));
    }
    if (edge.kind == EdgeKind::kTiedWeight) continue;
    ends[edge.from.value()].makes.push_back({EdgeId(i), edge.to});
    ends[edge.to.value()].takes.push_back({EdgeId(i), edge.from});
  }
  return ends;
}

bool IsBackward(Op op) {
  return op == Op::kBackward || op == Op::kBackwardInput ||
         op == Op::kBackwardWeight;
}

bool GivesGradient(Op op) {
  return op == Op::kBackward || op == Op::kBackwardInput;
}

// What all the lists are lowered by.
struct Map {
  const Schedule& schedule;
  Holders holders;
  std::vector<StageEnds> ends;
};

// Rewrites one list of one rank.
class ListLowering {
 public:
  ListLowering(const Map& map, RankId rank, const std::vector<Action>& actions,
               const TiedEnds& tied)
      : map_(map), rank_(rank), actions_(actions), tied_(tied) {
    out_.reserve(3 * actions.size());
  }

  absl::StatusOr<std::vector<Action>> Run() {
    FindLastBackwards();
    bool sums_sent = false;
    for (size_t i = 0; i < actions_.size(); ++i) {
      if (actions_[i].op == Op::kAgreeNorm && !sums_sent) {
        AppendSums();
        sums_sent = true;
      }
      PENSTOCK_RETURN_IF_ERROR(AppendWithNeighbours(i));
    }
    if (!sums_sent) AppendSums();
    if (std::any_of(actions_.begin(), actions_.end(),
                    [](const Action& a) { return a.op == Op::kUpdate; })) {
      AppendTied(Op::kSendForward, tied_.weights_out);
      AppendTied(Op::kReceiveForward, tied_.weights_in);
    }
    return std::move(out_);
  }

 private:
  bool IsShared(StageId stage) const {
    return map_.schedule.placement[stage.value()].size() > 1;
  }

  // Where the gradients of users of tied weights are whole, if they need not
  // be reduced first.
  void FindLastBackwards() {
    for (const TiedEnd& end : tied_.gradients_out) {
      if (IsShared(end.stage)) continue;
      for (size_t i = actions_.size(); i-- > 0;) {
        if (IsBackward(actions_[i].op) && actions_[i].stage == end.stage) {
          last_backward_.push_back({i, end});
          break;
        }
      }
    }
  }

  void AppendTied(Op op, const std::vector<TiedEnd>& ends) {
    for (const TiedEnd& end : ends) {
      out_.push_back(
          Communicate(op, end.stage, kWholeStep, end.edge, end.peer));
    }
  }

  void AppendSums() {
    for (const TiedEnd& end : tied_.gradients_out) {
      if (IsShared(end.stage)) AppendTied(Op::kSendBackward, {end});
    }
    AppendTied(Op::kReceiveBackward, tied_.gradients_in);
  }

  absl::Status AppendMessages(Op op, const Action& action,
                              const std::vector<ActivationEnd>& ends,
                              int microbatch) {
    const bool gradient = op == Op::kSendBackward || op == Op::kReceiveBackward;
    for (const ActivationEnd& end : ends) {
      const RankId peer = map_.holders.HolderOf(end.other, microbatch);
      if (peer == rank_) continue;
      if (peer.value() < 0) {
        return absl::InvalidArgumentError(absl::StrCat(
            "no rank runs the F of stage ", end.other.value(),
            " on microbatch ", microbatch, ", which rank ", rank_.value(),
            " runs on stage ", action.stage.value()));
      }
      Action message = Communicate(op, action.stage, MicrobatchId(microbatch),
                                   end.edge, peer);
      if (!gradient || !(map_.holders.IsCut(action.stage, microbatch) ||
                         map_.holders.IsCut(end.other, microbatch))) {
        out_.push_back(message);
        continue;
      }
      for (const Half half : {Half::kFirst, Half::kSecond}) {
        if (action.half != Half::kWhole && action.half != half) continue;
        message.half = half;
        out_.push_back(message);
      }
    }
    return absl::OkStatus();
  }

  absl::Status AppendMessages(bool sends, const Action& action) {
    const StageEnds& ends = map_.ends[action.stage.value()];
    const int first = action.microbatch.value();
    if (action.op == Op::kForward) {
      for (int b = first; b < first + action.num_microbatches; ++b) {
        PENSTOCK_RETURN_IF_ERROR(
            AppendMessages(sends ? Op::kSendForward : Op::kReceiveForward,
                           action, sends ? ends.makes : ends.takes, b));
      }
    } else if (GivesGradient(action.op)) {
      return AppendMessages(sends ? Op::kSendBackward : Op::kReceiveBackward,
                            action, sends ? ends.takes : ends.makes, first);
    }
    return absl::OkStatus();
  }

  absl::Status CheckPair(size_t first) const {
    if (first + 1 < actions_.size() && IsCompute(actions_[first + 1].op) &&
        !actions_[first + 1].overlaps_next) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("rank ", rank_.value(), ", action ", first,
                     ": an overlapped pair is of two compute actions, one "
                     "after the other"));
  }

  absl::Status AppendWithNeighbours(size_t position) {
    const Action& action = actions_[position];
    if (!IsCompute(action.op)) {
      out_.push_back(action);
      return absl::OkStatus();
    }
    if (action.overlaps_next) PENSTOCK_RETURN_IF_ERROR(CheckPair(position));
    PENSTOCK_RETURN_IF_ERROR(AppendMessages(/*sends=*/false, action));
    out_.push_back(action);
    PENSTOCK_RETURN_IF_ERROR(AppendMessages(/*sends=*/true, action));
    for (const auto& [last, end] : last_backward_) {
      if (last == position) AppendTied(Op::kSendBackward, {end});
    }
    return absl::OkStatus();
  }

  const Map& map_;
  const RankId rank_;
  const std::vector<Action>& actions_;
  const TiedEnds& tied_;
  std::vector<std::pair<size_t, TiedEnd>> last_backward_;
  std::vector<Action> out_;
};

absl::Status CheckActions(const Schedule& schedule) {
  for (const RankLists* lists : SectionsOf(schedule)) {
    if (lists->size() != schedule.ranks.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "schedule ", schedule.name, " has lists of ", schedule.ranks.size(),
          " and of ", lists->size(),
          " ranks; want as many in prologue, period and epilogue"));
    }
    for (size_t rank = 0; rank < lists->size(); ++rank) {
      for (const Action& action : (*lists)[rank]) {
        if (IsSend(action.op) || IsReceive(action.op)) {
          return absl::InvalidArgumentError(
              absl::StrCat("schedule ", schedule.name,
                           " has communication already, on rank ", rank));
        }
        const int microbatch = action.microbatch.value();
        if (IsCompute(action.op) &&
            (microbatch < 0 || microbatch > kMaxMicrobatch ||
             action.num_microbatches < 1 || action.num_microbatches > 2)) {
          return absl::InvalidArgumentError(
              absl::StrCat("rank ", rank, " runs ", action.num_microbatches,
                           " microbatches from ", microbatch, " on"));
        }
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Schedule> InsertCommunication(Schedule schedule) {
  PENSTOCK_RETURN_IF_ERROR(CheckActions(schedule));
  PENSTOCK_ASSIGN_OR_RETURN(std::vector<StageEnds> ends, EndsByStage(schedule));
  PENSTOCK_ASSIGN_OR_RETURN(Holders holders, Holders::Of(schedule));
  // Those of a continuous schedule: insert_tied_messages.h.
  std::vector<TiedEnds> tied(schedule.num_ranks());
  if (!schedule.is_continuous()) tied = TiedEndsByRank(schedule);
  const Map map{schedule, std::move(holders), std::move(ends)};
  for (RankLists* lists : SectionsOf(schedule)) {
    for (size_t rank = 0; rank < lists->size(); ++rank) {
      std::vector<Action>& actions = (*lists)[rank];
      PENSTOCK_ASSIGN_OR_RETURN(
          actions,
          ListLowering(map, RankId(static_cast<int>(rank)), actions, tied[rank])
              .Run());
    }
  }
  return schedule;
}

}  // namespace penstock
