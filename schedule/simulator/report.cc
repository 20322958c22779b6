#include "schedule/simulator/report.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "schedule/simulator/lower_bound.h"
#include "schedule/simulator/memory.h"

namespace penstock {
namespace {

constexpr double kUnevenWork = 1.2;
constexpr double kMuchCommunication = 0.2;
constexpr double kMuchOverhead = 0.1;

void WarnOfShape(const Schedule& schedule, std::vector<std::string>* warnings) {
  const int p = schedule.num_ranks(), m = schedule.num_microbatches;
  if (m < p) {
    warnings->push_back(absl::StrCat(
        m, " microbatches cannot fill ", p,
        " ranks; with at least as many as ranks the bubble is smaller"));
  }
  if (schedule.num_stages() > 1 && schedule.edges.empty()) {
    warnings->push_back(
        "no edges between the stages: no rank waits for another");
  }
}

// The rank with the largest value, and that value.
template <typename Value>
std::pair<size_t, double> Largest(const TimelineSummary& summary, Value value) {
  std::pair<size_t, double> largest = {0, 0};
  for (size_t rank = 0; rank < summary.ranks.size(); ++rank) {
    const double of_rank = value(summary.ranks[rank]);
    if (of_rank > largest.second) largest = {rank, of_rank};
  }
  return largest;
}

void WarnOfTimes(const TimelineSummary& summary,
                 std::vector<std::string>* warnings) {
  if (summary.makespan <= 0) return;
  double work = 0;
  for (size_t rank = 0; rank < summary.ranks.size(); ++rank) {
    work += summary.ranks[rank].busy;
    if (summary.ranks[rank].busy == 0) {
      warnings->push_back(absl::StrCat("r", rank, " has no work"));
    }
  }
  const double mean = work / summary.ranks.size();
  const auto [busiest, most] =
      Largest(summary, [](const RankSummary& rank) { return rank.busy; });
  if (most > kUnevenWork * mean) {
    warnings->push_back(absl::StrFormat(
        "uneven partition: r%d has %.2f times the mean work, the others wait "
        "for it",
        busiest, most / mean));
  }
  const auto [waiter, waits] = Largest(
      summary, [](const RankSummary& rank) { return rank.idle.communication; });
  if (waits > kMuchCommunication * summary.makespan) {
    warnings->push_back(absl::StrFormat(
        "r%d waits %.0f %% of the time for messages on their way", waiter,
        100 * waits / summary.makespan));
  }
  const auto [slowed, overhead] = Largest(
      summary, [](const RankSummary& rank) { return rank.idle.overhead; });
  if (overhead > kMuchOverhead * summary.makespan) {
    warnings->push_back(absl::StrFormat(
        "r%d spends %.0f %% of the time on the overhead of its actions; larger "
        "microbatches have fewer",
        slowed, 100 * overhead / summary.makespan));
  }
}

}  // namespace

absl::StatusOr<SimulationReport> SimulateAndReport(
    const Schedule& schedule, const CostModel& costs,
    const SimulateOptions& options) {
  SimulationReport report;
  PENSTOCK_ASSIGN_OR_RETURN(report.timeline,
                            Simulate(schedule, costs, options));
  report.summary = Summarise(schedule, report.timeline);
  report.lower_bound = CriticalPathBound(schedule, costs);
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    int64_t most = 0;
    for (const MemoryPoint& point :
         MemoryOverTime(schedule, report.timeline, RankId(rank), &costs)) {
      most = std::max(most, point.bytes);
    }
    report.peak_bytes.push_back(most +
                                StaticBytes(schedule, costs, RankId(rank)));
  }
  WarnOfShape(schedule, &report.warnings);
  WarnOfTimes(report.summary, &report.warnings);
  return report;
}

}  // namespace penstock
