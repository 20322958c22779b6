#include "schedule/generators/continuous.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "schedule/ir/unroll.h"

namespace penstock {
namespace {

constexpr int64_t kMaxActions = 100'000'000;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The first period none of whose microbatches reads a version held at 0.
int64_t FirstFreePeriod(const Schedule& outline) {
  int64_t period = 0;
  for (const VersionRule& rule : outline.versions) {
    period = std::max(
        period, CeilDiv(int64_t{rule.microbatches_per_update} * rule.delay,
                        outline.num_microbatches));
  }
  return period;
}

// Whether some forward of the period reads, the first time round, a version
// that no update makes, on a stage whose updates stand before the forwards that
// read them. A period with that update cannot come first, one without it not
// later.
bool LacksAnUpdate(const Schedule& schedule) {
  for (const std::vector<Action>& actions : schedule.period) {
    for (const Action& action : actions) {
      const int stage = action.stage.value();
      if (action.op != Op::kForward || schedule.placement[stage].size() < 2) {
        continue;
      }
      const VersionRule& rule = schedule.versions[stage];
      if (action.microbatch.value() / rule.microbatches_per_update <=
          rule.delay) {
        return true;
      }
    }
  }
  return false;
}

// The place right after the list's first `backwards` backwards.
size_t PlaceAfterBackwards(const std::vector<Action>& actions,
                           size_t backwards) {
  size_t place = 0;
  for (; place < actions.size() && backwards > 0; ++place) {
    if (actions[place].op != Op::kForward) --backwards;
  }
  return place;
}

absl::Status CheckUnrolls(const Schedule& schedule, int repetitions,
                          const RankLists& run) {
  PENSTOCK_ASSIGN_OR_RETURN(const Schedule unrolled,
                            Unroll(schedule, repetitions));
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    if (unrolled.ranks[rank] == run[rank]) continue;
    return absl::InternalError(absl::StrCat(
        "schedule ", schedule.name, ": the list of rank ", rank, " with ",
        repetitions, " repetitions of its period is not that of the run"));
  }
  return absl::OkStatus();
}

// Cuts where `free` periods of backwards are done.
absl::StatusOr<Schedule> CutAfter(int64_t free, Schedule outline,
                                  int periods_ahead, const RunWriter& run) {
  const int64_t shortest = free + periods_ahead;
  const int64_t cells =
      int64_t{outline.num_stages()} * outline.num_microbatches;
  if (shortest + 1 > kMaxActions / 2 / cells) {
    return absl::InvalidArgumentError(absl::StrCat(
        "schedule ", outline.name, " needs ", shortest + 1,
        " periods to fill, run and drain, which with ", outline.num_stages(),
        " stages and ", outline.num_microbatches,
        " microbatches a period are more than ", kMaxActions,
        " actions; want fewer stages or microbatches"));
  }
  const int periods = static_cast<int>(shortest);
  const RankLists filled = run(periods);
  const RankLists once = run(periods + 1);
  outline.ranks.resize(once.size());
  outline.period.resize(once.size());
  outline.epilogue.resize(once.size());
  for (size_t rank = 0; rank < once.size(); ++rank) {
    const std::vector<Action>& actions = once[rank];
    // Half of what one more period adds are backwards.
    const size_t added = actions.size() - filled[rank].size();
    const size_t begin = PlaceAfterBackwards(actions, added / 2 * free);
    const size_t end = begin + added;
    if (actions.size() < filled[rank].size() || end > actions.size()) {
      return absl::InternalError(absl::StrCat("schedule ", outline.name,
                                              ": the list of rank ", rank,
                                              " has no room for a period"));
    }
    outline.ranks[rank].assign(actions.begin(), actions.begin() + begin);
    outline.period[rank].assign(actions.begin() + begin, actions.begin() + end);
    for (size_t i = end; i < actions.size(); ++i) {
      Action action = actions[i];
      action.microbatch =
          MicrobatchId(action.microbatch.value() - outline.num_microbatches);
      outline.epilogue[rank].push_back(action);
    }
  }
  PENSTOCK_RETURN_IF_ERROR(CheckUnrolls(outline, 0, filled));
  PENSTOCK_RETURN_IF_ERROR(CheckUnrolls(outline, 1, once));
  PENSTOCK_RETURN_IF_ERROR(CheckUnrolls(outline, 2, run(periods + 2)));
  return outline;
}

}  // namespace

absl::StatusOr<Schedule> CutRun(Schedule outline, int periods_ahead,
                                const RunWriter& run) {
  const int64_t free = FirstFreePeriod(outline);
  PENSTOCK_ASSIGN_OR_RETURN(Schedule cut,
                            CutAfter(free, outline, periods_ahead, run));
  if (!LacksAnUpdate(cut)) return cut;
  return CutAfter(free + 1, std::move(outline), periods_ahead, run);
}

}  // namespace penstock
