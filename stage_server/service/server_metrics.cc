#include "stage_server/service/server_metrics.h"

#include <utility>
#include <variant>

namespace penstock {
namespace {

constexpr double kNano = 1e-9;

Metric Single(std::string name, MetricKind kind, std::string help,
              double value) {
  return {std::move(name), kind, std::move(help), {{{}, value}}};
}

}  // namespace

ServerMetrics::ServerMetrics(const ServerIdentity& identity)
    : version_(identity.build_version), device_(identity.device) {}

void ServerMetrics::Count(const StepDone& event, Counts& counts) {
  counts.job = event.epoch.job_id;
  ++counts.steps;
  counts.step_nanos += event.report.step_nanos();
  counts.busy_nanos += event.report.busy_nanos();
  counts.tokens += event.report.tokens();
  if (!event.use.has_value()) return;
  counts.peak_bytes = event.use->memory().peak_bytes();
  counts.epoch_sent_bytes = 0;
  for (const EdgeUse& edge : event.use->edges()) {
    counts.epoch_sent_bytes += edge.bytes();
  }
}

void ServerMetrics::EndEpoch(Counts& counts) {
  counts.job.clear();
  counts.sent_bytes += std::exchange(counts.epoch_sent_bytes, 0);
  counts.peak_bytes = 0;
}

void ServerMetrics::Observe(const Event& event) {
  const MutexLock lock(&mutex_);
  Counts& counts = counts_;
  if (std::holds_alternative<Registered>(event)) {
    ++counts.registrations;
    counts.has_session = true;
  } else if (std::holds_alternative<SessionEnded>(event)) {
    counts.has_session = false;
  } else if (const auto* loaded = std::get_if<Loaded>(&event)) {
    counts.job = loaded->epoch.job_id;
  } else if (const auto* step = std::get_if<StepDone>(&event)) {
    Count(*step, counts);
  } else if (const auto* taken = std::get_if<SnapshotTaken>(&event)) {
    if (taken->report.missed()) return;
    ++counts.snapshots;
    counts.blocked_nanos += taken->report.blocked_nanos();
  } else if (std::holds_alternative<Failed>(event)) {
    ++counts.faults;
    EndEpoch(counts);
  } else if (std::holds_alternative<Left>(event)) {
    EndEpoch(counts);
  }
}

std::vector<Metric> ServerMetrics::Collect() const {
  Counts counts;
  {
    const MutexLock lock(&mutex_);
    counts = counts_;
  }
  constexpr auto kCounter = MetricKind::kCounter;
  constexpr auto kGauge = MetricKind::kGauge;
  std::vector<Metric> metrics;
  metrics.push_back({"penstock_stage_server_info",
                     kGauge,
                     "Always 1; its build and device are labels",
                     {{{{"version", version_}, {"device", device_}}, 1}}});
  Metric job{"penstock_stage_server_job",
             kGauge,
             "Always 1; the job that it has a rank of is a label",
             {}};
  if (!counts.job.empty()) job.samples.push_back({{{"job", counts.job}}, 1});
  metrics.push_back(std::move(job));
  const std::vector<Metric> singles = {
      Single("penstock_stage_server_session", kGauge,
             "1 while it is registered with a coordinator",
             counts.has_session ? 1 : 0),
      Single("penstock_stage_server_registrations_total", kCounter,
             "How often it registered; each after the first is a reconnection",
             counts.registrations),
      Single("penstock_stage_server_steps_total", kCounter,
             "Steps that it has done, those that a restart did again too",
             counts.steps),
      Single("penstock_stage_server_step_seconds_total", kCounter,
             "Time in steps", kNano * counts.step_nanos),
      Single("penstock_stage_server_busy_seconds_total", kCounter,
             "Time in steps inside compute, update and agreement",
             kNano * counts.busy_nanos),
      Single("penstock_stage_server_tokens_total", kCounter,
             "Tokens of its steps", counts.tokens),
      Single("penstock_stage_server_sent_bytes_total", kCounter,
             "Activations and gradients sent, as they were on the wire",
             counts.sent_bytes + counts.epoch_sent_bytes),
      Single("penstock_stage_server_peak_memory_bytes", kGauge,
             "Highest use of its device's memory by its rank; 0 without one",
             counts.peak_bytes),
      Single("penstock_stage_server_snapshots_total", kCounter,
             "Snapshots for checkpoints", counts.snapshots),
      Single("penstock_stage_server_snapshot_blocked_seconds_total", kCounter,
             "How long training stood still for them",
             kNano * counts.blocked_nanos),
      Single("penstock_stage_server_faults_total", kCounter,
             "Epochs that ended with an error here", counts.faults),
  };
  metrics.insert(metrics.end(), singles.begin(), singles.end());
  return metrics;
}

}  // namespace penstock
