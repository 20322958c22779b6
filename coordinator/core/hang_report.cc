#include "coordinator/core/hang_report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

constexpr double kSecondsPerNano = 1e-9;

// Where a rank stands.
struct Place {
  bool is_known = false;
  int64_t step = 0;
  int position = 0;
  // Whether the action there has been begun, and so waits; else the one before
  // it is what the rank was busy with.
  bool waits = false;
  // Actions that are done: `position`, or the whole list where a send waits at
  // the end of the step.
  int done = 0;
};

class Explanation {
 public:
  // `begin`: of a stretch of a run, where each rank's list begins in it.
  Explanation(const Schedule& schedule, const std::vector<RankEvidence>& ranks,
              const std::vector<int64_t>& begin)
      : schedule_(schedule), ranks_(ranks), begin_(begin) {
    for (size_t rank = 0; rank < ranks.size(); ++rank) {
      places_.push_back(PlaceOf(static_cast<int>(rank)));
    }
  }

  HangReport From(int first) {
    int rank = first;
    while (true) {
      const bool seen = std::find(report_.chain.begin(), report_.chain.end(),
                                  rank) != report_.chain.end();
      report_.chain.push_back(rank);
      if (seen) {
        EndInCycle();
        break;
      }
      const int next = Next(rank);
      if (next < 0) break;
      rank = next;
    }
    report_.text = absl::StrJoin(clauses_, "; ");
    return report_;
  }

 private:
  Place PlaceOf(int rank) const {
    const std::optional<MissingAction>& at = ranks_[rank].at;
    if (!at.has_value() || at->position() < 0 ||
        at->position() >= static_cast<int>(schedule_.ranks[rank].size())) {
      return {};
    }
    return {.is_known = true,
            .step = at->step(),
            .position = at->position(),
            .waits = at->trace().issued_size() > at->trace().ended_size(),
            .done = std::max(at->position(), at->trace().ended_size())};
  }

  std::string Name(int rank) const {
    return ranks_[rank].place.empty()
               ? absl::StrCat("rank ", rank)
               : absl::StrCat("rank ", rank, " (", ranks_[rank].place, ")");
  }
  std::string ActionText(int rank, int position) const {
    return ToString(schedule_.ranks[rank][position], schedule_.edges);
  }

  int End(HangCause cause, std::string clause) {
    report_.cause = cause;
    clauses_.push_back(std::move(clause));
    return -1;
  }

  void EndInCycle() {
    std::vector<int> cycle(std::find(report_.chain.begin(), report_.chain.end(),
                                     report_.chain.back()),
                           report_.chain.end());
    End(HangCause::kWaitCycle,
        absl::StrCat("that is a cycle, in which each waits for the next: rank ",
                     absl::StrJoin(cycle, " > rank ")));
  }

  // The rank that `rank` waits for, with a clause about it; -1 at the end.
  int Next(int rank) {
    const RankEvidence& evidence = ranks_[rank];
    const Place& place = places_[rank];
    if (!place.is_known) {
      if (!evidence.silence.empty()) {
        return End(HangCause::kSilentRank,
                   absl::StrCat(Name(rank), " ", evidence.silence));
      }
      return End(HangCause::kUnknown,
                 absl::StrCat(Name(rank),
                              " is heard but has not said what it is at, so it "
                              "may be within a long action; the last step that "
                              "it finished is ",
                              evidence.finished_step));
    }
    if (!place.waits) return EndAtWork(rank);
    const Action& action = schedule_.ranks[rank][place.position];
    const bool is_sent = IsSend(action.op) && place.done > place.position;
    if (IsReceive(action.op) || is_sent) return NextOfMessage(rank, action);
    if (action.op == Op::kAgreeNorm) return NextOfMeeting(rank, action);
    if (IsSend(action.op)) return NextOfMeeting(rank, action);
    return End(HangCause::kSlowAction,
               absl::StrCat(Name(rank), " was within ", WhereText(rank)));
  }

  // As the rank counts them.
  int64_t NumberOf(int rank, int position) const {
    return begin_.empty() ? position : begin_[rank] + position;
  }
  std::string StepText(int rank) const {
    return begin_.empty() ? absl::StrCat("step ", places_[rank].step)
                          : "the run";
  }

  // "action 5 of step 7, 0RB0[x<r1]"
  std::string WhereText(int rank) const {
    const int position = places_[rank].position;
    return absl::StrCat("action ", NumberOf(rank, position), " of ",
                        StepText(rank), ", ", ActionText(rank, position));
  }

  int EndAtWork(int rank) {
    const Place& place = places_[rank];
    const StepTrace& trace = ranks_[rank].at->trace();
    // In the trace, which of a run is that of its newest actions.
    const int last = (begin_.empty() ? place.position : trace.ended_size()) - 1;
    if (place.position == 0 || last < 0 || trace.ended_size() <= last ||
        trace.started_size() <= last) {
      return End(
          HangCause::kSlowAction,
          absl::StrCat(Name(rank), " was about to begin ", StepText(rank)));
    }
    const double seconds =
        static_cast<double>(trace.ended(last) - trace.started(last)) *
        kSecondsPerNano;
    return End(HangCause::kSlowAction,
               absl::StrFormat("%s was at work in %s: action %d, %s, took "
                               "%.3g s; if that is its time, the job's "
                               "step_timeout_seconds is too short",
                               Name(rank), StepText(rank),
                               NumberOf(rank, place.position - 1),
                               ActionText(rank, place.position - 1), seconds));
  }

  // Whether the rank is past the position of the step.
  bool IsPast(int rank, int64_t step, int position) const {
    const Place& place = places_[rank];
    if (!place.is_known) return ranks_[rank].finished_step >= step;
    return place.step > step || (place.step == step && place.done > position);
  }

  int NextOfMessage(int rank, const Action& action) {
    const int peer = action.peer.value();
    if (peer < 0 || peer >= static_cast<int>(ranks_.size())) {
      return End(HangCause::kUnknown,
                 absl::StrCat(Name(rank), " waits at ", WhereText(rank)));
    }
    const int other = OtherEnd(rank, action);
    if (other < 0) {
      return End(HangCause::kWaitCycle,
                 absl::StrCat(Name(rank), " waits at ", WhereText(rank),
                              ", which rank ", peer, " never ",
                              IsSend(action.op) ? "receives" : "sends"));
    }
    clauses_.push_back(absl::StrCat(Name(rank), " waits at ", WhereText(rank),
                                    ", for action ", NumberOf(peer, other),
                                    " of rank ", peer, ", ",
                                    ActionText(peer, other)));
    if (IsPast(peer, places_[rank].step, other)) {
      return End(HangCause::kLostMessage,
                 absl::StrCat(Name(peer),
                              " has done that: the message is on its way, or "
                              "lost"));
    }
    return peer;
  }

  static Op OppositeOf(Op op) {
    switch (op) {
      case Op::kReceiveForward:
        return Op::kSendForward;
      case Op::kSendForward:
        return Op::kReceiveForward;
      case Op::kReceiveBackward:
        return Op::kSendBackward;
      default:
        return Op::kReceiveBackward;
    }
  }

  int OtherEnd(int rank, const Action& one) const {
    const std::vector<Action>& list = schedule_.ranks[one.peer.value()];
    const auto found =
        std::find_if(list.begin(), list.end(), [&](const Action& action) {
          return action.op == OppositeOf(one.op) && action.edge == one.edge &&
                 action.microbatch == one.microbatch &&
                 action.half == one.half && action.peer == RankId(rank);
        });
    return found == list.end() ? -1 : static_cast<int>(found - list.begin());
  }

  // Of N every rank's N, else the holders' G of the stage; -1: has none.
  int MeetingOf(int rank, const Action& action) const {
    const std::vector<Action>& list = schedule_.ranks[rank];
    const auto found =
        std::find_if(list.begin(), list.end(), [&](const Action& other) {
          return action.op == Op::kAgreeNorm
                     ? other.op == Op::kAgreeNorm
                     : other.op == Op::kReduceGradient &&
                           other.stage == action.stage;
        });
    return found == list.end() ? -1 : static_cast<int>(found - list.begin());
  }

  int NextOfMeeting(int rank, const Action& action) {
    const int64_t step = places_[rank].step;
    int next = -1, missing = 0;
    for (int other = 0; other < static_cast<int>(ranks_.size()); ++other) {
      const int meeting = MeetingOf(other, action);
      if (other == rank || meeting < 0) continue;
      // At N it has come; G it must have left.
      if (IsPast(other, step,
                 action.op == Op::kAgreeNorm ? meeting - 1 : meeting)) {
        continue;
      }
      ++missing;
      if (next < 0 || Urgency(other) > Urgency(next)) next = other;
    }
    if (next < 0) {
      clauses_.push_back(
          absl::StrCat(Name(rank), " waits at ", WhereText(rank)));
      return End(HangCause::kLostMessage,
                 "all that it waits for have come: a message is on its way, or "
                 "lost");
    }
    clauses_.push_back(absl::StrCat(
        Name(rank), " waits at ", WhereText(rank), ", for ",
        missing == 1 ? "rank " : absl::StrCat(missing, " ranks, one is rank "),
        next));
    return next;
  }

  // Of several ranks, the one that tells most about the cause.
  int Urgency(int rank) const {
    if (!ranks_[rank].silence.empty() && !places_[rank].is_known) return 3;
    if (!places_[rank].is_known) return 2;
    return places_[rank].waits ? 0 : 1;
  }

  const Schedule& schedule_;
  const std::vector<RankEvidence>& ranks_;
  const std::vector<int64_t>& begin_;
  std::vector<Place> places_;
  std::vector<std::string> clauses_;
  HangReport report_;
};

}  // namespace

HangReport ExplainHang(const Schedule& schedule,
                       const std::vector<RankEvidence>& ranks, int first,
                       const std::vector<int64_t>& begin) {
  return Explanation(schedule, ranks, begin).From(first);
}

}  // namespace penstock
