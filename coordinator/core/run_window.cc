#include "coordinator/core/run_window.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "base/status_macros.h"
#include "schedule/ir/run_length.h"
#include "schedule/ir/unroll.h"

namespace penstock {
namespace {

// Ranks further apart are cut off: nobody waits for so long ago.
constexpr int64_t kMostRepetitions = 64;

int64_t SizeOf(const RankLists& lists, int rank) {
  return static_cast<int64_t>(lists[rank].size());
}

// The repetition of the period that a place in the run is in; 0 too in the
// prologue, the last one and one more in the epilogue.
int64_t RepetitionAt(const Schedule& schedule, int rank, int64_t position,
                     int64_t periods) {
  const int64_t size = SizeOf(schedule.period, rank);
  const int64_t after = position - SizeOf(schedule.ranks, rank);
  if (after < 0 || size == 0) return 0;
  return std::min(periods, after / size);
}

// Only as much of the trace as is of the window.
void MoveEvidence(int64_t begin, RankEvidence* evidence) {
  evidence->finished_step = 0;
  if (!evidence->at.has_value()) return;
  MissingAction& at = *evidence->at;
  at.set_step(1);
  at.set_position(static_cast<int32_t>(at.position() - begin));
  StepTrace& trace = *at.mutable_trace();
  const int extra =
      std::max(0, trace.ended_size() - std::max(0, at.position()));
  for (auto* const times : {trace.mutable_issued(), trace.mutable_started(),
                            trace.mutable_ended()}) {
    times->erase(times->begin(),
                 times->begin() + std::min<int>(extra, times->size()));
  }
}

// Steps before the drain, or the begin, that the rank's place counts from.
int64_t StepsBefore(const MissingAction& at, int64_t drain_every) {
  if (drain_every == 0) return 0;
  return std::max<int64_t>(0, at.step() - 1) / drain_every * drain_every;
}

bool HasPlace(const RankEvidence& evidence) {
  return evidence.at.has_value() && evidence.at->position() >= 0;
}

// Forgets the places of ranks that are beyond the earliest drain, which is
// returned as the steps before it; tells which these ranks are.
int64_t KeepEarliest(int64_t drain_every, std::vector<RankEvidence>* ranks,
                     std::vector<bool>* is_beyond) {
  is_beyond->assign(ranks->size(), false);
  std::optional<int64_t> earliest;
  for (const RankEvidence& evidence : *ranks) {
    if (!HasPlace(evidence)) continue;
    const int64_t before = StepsBefore(*evidence.at, drain_every);
    earliest = std::min(earliest.value_or(before), before);
  }
  for (size_t rank = 0; rank < ranks->size(); ++rank) {
    RankEvidence& evidence = (*ranks)[rank];
    if (!HasPlace(evidence) ||
        StepsBefore(*evidence.at, drain_every) == *earliest) {
      continue;
    }
    evidence.at.reset();
    (*is_beyond)[rank] = true;
  }
  return earliest.value_or(0);
}

}  // namespace

absl::StatusOr<RunWindow> WindowOfRun(const Schedule& schedule, int64_t steps,
                                      std::vector<RankEvidence> ranks,
                                      int64_t drain_every) {
  std::vector<bool> is_beyond;
  const int64_t before = KeepEarliest(drain_every, &ranks, &is_beyond);
  const int64_t in_stretch =
      drain_every > 0 ? std::min(drain_every, steps - before) : steps;
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t periods,
                            PeriodsOfRun(schedule, in_stretch));
  const auto shifted = [&](const Action& action, int64_t repetition) {
    return Shift(action, schedule, static_cast<int>(before + repetition));
  };
  int64_t first = periods;
  int64_t last = 0;
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    if (!HasPlace(ranks[rank])) continue;
    const int64_t repetition =
        RepetitionAt(schedule, rank, ranks[rank].at->position(), periods);
    first = std::min(first, repetition);
    last = std::max(last, repetition);
  }
  // What is on its way may be of as many periods as there are ranks.
  const int64_t margin = schedule.num_ranks() + 1;
  first = std::max<int64_t>(0, first - margin);
  last = std::min({periods, last + margin, first + kMostRepetitions});
  RunWindow window;
  window.schedule = schedule;
  window.schedule.period.clear();
  window.schedule.epilogue.clear();
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    std::vector<Action>& list = window.schedule.ranks[rank];
    if (first > 0) list.clear();
    for (Action& action : list) action = shifted(action, 0);
    for (int64_t i = first; i < last; ++i) {
      for (const Action& action : schedule.period[rank]) {
        list.push_back(shifted(action, i));
      }
    }
    for (const Action& action : schedule.epilogue[rank]) {
      if (last < periods) break;
      list.push_back(shifted(action, periods));
    }
    const int64_t begin = first == 0
                              ? 0
                              : SizeOf(schedule.ranks, rank) +
                                    first * SizeOf(schedule.period, rank);
    window.begin.push_back(begin);
    MoveEvidence(begin, &ranks[rank]);
    if (is_beyond[rank]) ranks[rank].finished_step = 1;
  }
  window.ranks = std::move(ranks);
  return window;
}

}  // namespace penstock
