#include "schedule/simulator/continuous.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "schedule/ir/unroll.h"

namespace penstock {
namespace {

constexpr double kStall = 1.01;

absl::StatusOr<TimelineSummary> SummaryOfRun(const Schedule& schedule,
                                             const CostModel& costs,
                                             int periods) {
  PENSTOCK_ASSIGN_OR_RETURN(const Schedule run, Unroll(schedule, periods));
  PENSTOCK_ASSIGN_OR_RETURN(const Timeline timeline, Simulate(run, costs));
  return Summarise(run, timeline);
}

// Fills in the figures of a period: what `longer`, a run of `more` further
// periods, adds.
void ComparePeriods(const TimelineSummary& longer, int more,
                    ContinuousReport* report) {
  const TimelineSummary& shorter = report->report.summary;
  report->period_time = (longer.makespan - shorter.makespan) / more;
  double work = 0, busiest = 0;
  for (size_t rank = 0; rank < longer.ranks.size(); ++rank) {
    const double of_rank =
        (longer.ranks[rank].busy - shorter.ranks[rank].busy) / more;
    work += of_rank;
    busiest = std::max(busiest, of_rank);
  }
  const double total = report->period_time * longer.ranks.size();
  if (total > 0) report->period_bubble = std::max(0.0, 1 - work / total);
  if (report->period_time > kStall * busiest) {
    report->report.warnings.push_back(absl::StrFormat(
        "stalls: a period takes %.3g, %.0f %% more than the busiest rank's "
        "work in it",
        report->period_time, 100 * (report->period_time / busiest - 1)));
  }
}

}  // namespace

absl::StatusOr<ContinuousReport> SimulateContinuous(
    const Schedule& schedule, const CostModel& costs, int periods,
    const SimulateOptions& options) {
  if (periods < 1 || periods > std::numeric_limits<int>::max() / 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(periods, " periods, want at least 1"));
  }
  ContinuousReport report;
  PENSTOCK_ASSIGN_OR_RETURN(report.run, Unroll(schedule, periods));
  PENSTOCK_ASSIGN_OR_RETURN(report.report,
                            SimulateAndReport(report.run, costs, options));
  if (schedule.period.empty()) {
    report.period_time = report.report.summary.makespan;
    report.period_bubble = report.report.summary.sync_bubble;
    return report;
  }
  PENSTOCK_ASSIGN_OR_RETURN(const TimelineSummary longer,
                            SummaryOfRun(schedule, costs, 2 * periods));
  ComparePeriods(longer, periods, &report);
  return report;
}

}  // namespace penstock
