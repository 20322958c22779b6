#include "coordinator/core/progress.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "coordinator/core/fractions.h"

namespace penstock {
namespace {

constexpr double kSecondsPerNano = 1e-9;

// A rank of a continuous job traces a repetition of its period, which may end
// some steps after the step that ended in it.
constexpr int64_t kLateTraces = 16;

// Whether each rank has reported `step`.
bool IsComplete(const JobRecord& job, int64_t step) {
  return std::all_of(job.ranks.begin(), job.ranks.end(),
                     [step](const RankRun& rank) {
                       return rank.pending_steps.contains(step);
                     });
}

// The first step also fills caches and allocators, so the means leave it out.
void AddToTotals(const ProgressRecord& record, JobRecord& job) {
  if (record.step() <= 1) return;
  RunTotals& totals = job.totals;
  const double seconds = record.step_seconds();
  totals.set_steps(totals.steps() + 1);
  totals.set_seconds(totals.seconds() + seconds);
  totals.set_tokens(totals.tokens() + record.tokens_per_second() * seconds);
  totals.set_bubble_seconds(totals.bubble_seconds() +
                            record.bubble_fraction() * seconds);
  if (totals.seconds() <= 0) return;
  job.info.set_mean_tokens_per_second(totals.tokens() / totals.seconds());
  job.info.set_mean_bubble_fraction(totals.bubble_seconds() / totals.seconds());
}

// The first of several as good ones stays. A loss that is no number is none.
void NoteBest(const ProgressRecord& record, JobInfo& info) {
  if (!record.has_evaluation_loss()) return;
  const double loss = record.evaluation_loss();
  const bool is_better =
      !info.has_best_step() || loss < info.best_evaluation_loss();
  if (std::isnan(loss) || !is_better) return;
  info.set_best_step(record.step());
  info.set_best_evaluation_loss(loss);
}

// For the first time.
void Count(const ProgressRecord& record, JobRecord& job) {
  AddToTotals(record, job);
  NoteBest(record, job.info);
  if (record.skipped())
    job.info.set_skipped_steps(job.info.skipped_steps() + 1);
}

// The traces of `step` as a row, if every rank has one.
std::optional<TimelineRow> TimelineOf(const JobRecord& job, int64_t step) {
  TimelineRow row;
  row.set_step(step);
  for (const RankRun& run : job.ranks) {
    const auto found = run.pending_traces.find(step);
    if (found == run.pending_traces.end()) return std::nullopt;
    *row.add_ranks() = found->second;
  }
  return row;
}

// By rank; 0: not known.
std::vector<double> PeaksOf(const JobRecord& job) {
  std::vector<double> peaks;
  for (const RankRun& run : job.ranks) {
    peaks.push_back(run.use ? run.use->peak_flops_per_second() : 0);
  }
  return peaks;
}

// Takes out the traces of finished steps that all ranks have traced, and drops
// those that are too old to become whole.
std::vector<TimelineRow> TakeTimelines(JobRecord& job) {
  const int64_t newest = job.info.latest().step();
  std::vector<TimelineRow> rows;
  int64_t done = newest - kLateTraces;
  for (const auto& [step, trace] : job.ranks.front().pending_traces) {
    if (step > newest) break;
    std::optional<TimelineRow> row = TimelineOf(job, step);
    if (!row.has_value()) continue;
    done = step;
    if (!job.plan) continue;
    const absl::StatusOr<Fractions> fractions =
        FractionsOf(*job.plan, *row, PeaksOf(job));
    if (!fractions.ok()) continue;
    *job.info.mutable_fractions() = *fractions;
    rows.push_back(*std::move(row));
  }
  for (RankRun& run : job.ranks) {
    run.pending_traces.erase(run.pending_traces.begin(),
                             run.pending_traces.upper_bound(done));
  }
  return rows;
}

}  // namespace

ProgressRecord AssembleStep(const std::vector<StepReport>& reports,
                            absl::Time now) {
  ProgressRecord record;
  record.set_step(reports.front().step());
  record.set_finished_unix_nanos(absl::ToUnixNanos(now));
  int64_t tokens = 0;
  int64_t slowest_nanos = 0;
  double bubbles = 0;
  for (const StepReport& report : reports) {
    if (report.has_loss()) {
      record.set_loss(report.loss());
    }
    tokens = std::max(tokens, report.tokens());
    if (report.has_gradient_norm()) {
      record.set_gradient_norm(report.gradient_norm());
    }
    if (report.has_loss_scale()) record.set_loss_scale(report.loss_scale());
    if (report.has_evaluation_loss()) {
      record.set_evaluation_loss(report.evaluation_loss());
    }
    record.set_skipped(record.skipped() || report.skipped());
    record.set_learning_rate(
        std::max(record.learning_rate(), report.learning_rate()));
    slowest_nanos = std::max(slowest_nanos, report.step_nanos());
    if (report.step_nanos() > 0) {
      const double busy = static_cast<double>(report.busy_nanos()) /
                          static_cast<double>(report.step_nanos());
      bubbles += std::max(0.0, 1 - busy);
    }
  }
  record.set_step_seconds(static_cast<double>(slowest_nanos) * kSecondsPerNano);
  record.set_bubble_fraction(bubbles / static_cast<double>(reports.size()));
  if (slowest_nanos > 0) {
    record.set_tokens_per_second(static_cast<double>(tokens) /
                                 record.step_seconds());
  }
  return record;
}

FinishedSteps TakeReports(JobRecord& job, int rank, const StepReports& reports,
                          absl::Time now) {
  for (const StepReport& report : reports.reports()) {
    if (report.step() <= job.info.latest().step()) continue;
    job.ranks[rank].pending_steps.emplace(report.step(), report);
  }
  for (const StepTrace& trace : reports.traces()) {
    if (trace.step() <= job.info.latest().step() - kLateTraces) continue;
    job.ranks[rank].pending_traces.emplace(trace.step(), trace);
  }
  FinishedSteps finished;
  while (true) {
    const int64_t step = job.info.latest().step() + 1;
    if (!IsComplete(job, step)) break;
    std::vector<StepReport> complete;
    for (RankRun& run : job.ranks) {
      complete.push_back(std::move(run.pending_steps.at(step)));
      run.pending_steps.erase(step);
    }
    *job.info.mutable_latest() = AssembleStep(complete, now);
    if (step > job.furthest_step) Count(job.info.latest(), job);
    StepRow& row = finished.steps.emplace_back();
    *row.mutable_record() = job.info.latest();
    *row.mutable_totals() = job.totals;
  }
  finished.timelines = TakeTimelines(job);
  return finished;
}

}  // namespace penstock
