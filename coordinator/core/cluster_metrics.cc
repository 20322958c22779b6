#include "coordinator/core/cluster_metrics.h"

#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "coordinator/core/job_machine.h"

namespace penstock {
namespace {

constexpr double kNano = 1e-9;

double SecondsSince(int64_t unix_nanos, absl::Time now) {
  return absl::ToDoubleSeconds(now - absl::FromUnixNanos(unix_nanos));
}

// One sample for each state that there is, zeros too: a query for a state must
// not find nothing.
template <typename State>
Metric ByState(std::string name, std::string help,
               const std::map<State, int>& counts,
               const std::vector<State>& states) {
  Metric metric{std::move(name), MetricKind::kGauge, std::move(help), {}};
  for (const State state : states) {
    const auto found = counts.find(state);
    metric.samples.push_back(
        {{{"state", Name(state)}},
         found == counts.end() ? 0.0 : static_cast<double>(found->second)});
  }
  return metric;
}

Metric Jobs(const ClusterState& state) {
  std::map<JobState, int> counts;
  for (const auto& [id, job] : state.jobs) ++counts[job.info.state()];
  std::vector<JobState> states;
  for (int value = JobState_MIN + 1; value <= JobState_MAX; ++value) {
    if (JobState_IsValid(value)) states.push_back(static_cast<JobState>(value));
  }
  return ByState("penstock_jobs", "Jobs that the coordinator knows", counts,
                 states);
}

Metric Servers(const ClusterState& state) {
  std::map<ServerState, int> counts;
  for (const auto& [id, server] : state.servers) ++counts[server.info.state()];
  std::vector<ServerState> states;
  for (int value = ServerState_MIN + 1; value <= ServerState_MAX; ++value) {
    if (ServerState_IsValid(value)) {
      states.push_back(static_cast<ServerState>(value));
    }
  }
  return ByState("penstock_servers", "Stage servers that have registered",
                 counts, states);
}

Metric Silence(const ClusterState& state, absl::Time now) {
  Metric metric{"penstock_server_silence_seconds",
                MetricKind::kGauge,
                "Time since the stage server was heard",
                {}};
  for (const auto& [id, server] : state.servers) {
    metric.samples.push_back(
        {{{"server", server.info.name()}, {"server_id", id}},
         absl::ToDoubleSeconds(now - server.last_heard)});
  }
  return metric;
}

// Of a job, if it has it.
using ValueOf = std::function<std::optional<double>(const JobRecord&)>;

struct JobMetric {
  const char* name;
  MetricKind kind;
  const char* help;
  ValueOf value;
};

std::optional<double> OfLatest(const JobRecord& job,
                               double (ProgressRecord::*value)() const) {
  if (!job.info.has_latest()) return std::nullopt;
  return (job.info.latest().*value)();
}

std::vector<JobMetric> ProgressMetrics(absl::Time now) {
  return {
      {"penstock_job_step", MetricKind::kGauge,
       "Newest step that all ranks have finished; falls at a restart",
       [](const JobRecord& job) -> std::optional<double> {
         return job.info.latest().step();
       }},
      {"penstock_job_steps", MetricKind::kGauge, "Steps that it is to make",
       [](const JobRecord& job) -> std::optional<double> {
         return job.info.job().steps();
       }},
      {"penstock_job_loss", MetricKind::kGauge, "Training loss, newest step",
       [](const JobRecord& job) -> std::optional<double> {
         if (!job.info.latest().has_loss()) return std::nullopt;
         return job.info.latest().loss();
       }},
      {"penstock_job_step_seconds", MetricKind::kGauge,
       "How long the newest step took",
       [](const JobRecord& job) {
         return OfLatest(job, &ProgressRecord::step_seconds);
       }},
      {"penstock_job_tokens_per_second", MetricKind::kGauge,
       "Speed of the newest step",
       [](const JobRecord& job) {
         return OfLatest(job, &ProgressRecord::tokens_per_second);
       }},
      {"penstock_job_bubble_ratio", MetricKind::kGauge,
       "Part of the newest step in which ranks waited, mean over the ranks",
       [](const JobRecord& job) {
         return OfLatest(job, &ProgressRecord::bubble_fraction);
       }},
      {"penstock_job_step_age_seconds", MetricKind::kGauge,
       "Time since the newest step was finished",
       [now](const JobRecord& job) -> std::optional<double> {
         if (!job.info.has_latest()) return std::nullopt;
         return SecondsSince(job.info.latest().finished_unix_nanos(), now);
       }},
      {"penstock_job_skipped_steps_total", MetricKind::kCounter,
       "Steps whose gradients were not finite",
       [](const JobRecord& job) -> std::optional<double> {
         return job.info.skipped_steps();
       }},
      {"penstock_job_restarts_total", MetricKind::kCounter,
       "How often it was started again",
       [](const JobRecord& job) -> std::optional<double> {
         return job.info.restart_count();
       }},
  };
}

// Of a job's checkpoints, if it keeps any.
ValueOf OfCheckpoints(int64_t (CheckpointProgress::*value)() const,
                      double unit) {
  return [value, unit](const JobRecord& job) -> std::optional<double> {
    if (!job.info.has_checkpoints()) return std::nullopt;
    return unit * (job.info.checkpoints().*value)();
  };
}

std::vector<JobMetric> CheckpointMetrics() {
  return {
      {"penstock_job_checkpoint_step", MetricKind::kGauge,
       "Step of the newest complete checkpoint; 0 before the first",
       OfCheckpoints(&CheckpointProgress::newest_step, 1)},
      {"penstock_job_checkpoints_committed_total", MetricKind::kCounter,
       "Checkpoints that became complete",
       OfCheckpoints(&CheckpointProgress::committed, 1)},
      {"penstock_job_checkpoints_abandoned_total", MetricKind::kCounter,
       "Checkpoints that never became complete",
       OfCheckpoints(&CheckpointProgress::abandoned, 1)},
      {"penstock_job_checkpoint_intervals_skipped_total", MetricKind::kCounter,
       "Intervals passed over, since storage was slower than they are long",
       OfCheckpoints(&CheckpointProgress::skipped_intervals, 1)},
      {"penstock_job_checkpoint_blocked_seconds", MetricKind::kGauge,
       "How long training stood still for the newest checkpoint",
       OfCheckpoints(&CheckpointProgress::blocked_nanos, kNano)},
      {"penstock_job_checkpoint_commit_seconds", MetricKind::kGauge,
       "From the newest checkpoint's first snapshot until it was complete",
       OfCheckpoints(&CheckpointProgress::commit_nanos, kNano)},
  };
}

void AddJobMetrics(const ClusterState& state,
                   const std::vector<JobMetric>& wanted,
                   std::vector<Metric>& metrics) {
  for (const JobMetric& one : wanted) {
    Metric& metric =
        metrics.emplace_back(Metric{one.name, one.kind, one.help, {}});
    for (const auto& [id, job] : state.jobs) {
      if (IsTerminal(job.info.state())) continue;
      const std::optional<double> value = one.value(job);
      if (!value.has_value()) continue;
      metric.samples.push_back(
          {{{"job", id}, {"name", job.info.job().name()}}, *value});
    }
  }
}

}  // namespace

std::vector<Metric> ClusterMetrics(const ClusterState& state,
                                   const std::string& build_version,
                                   absl::Time now) {
  std::vector<Metric> metrics;
  metrics.push_back({"penstock_coordinator_info",
                     MetricKind::kGauge,
                     "Always 1; its build is a label",
                     {{{{"version", build_version}}, 1}}});
  metrics.push_back({"penstock_coordinator_term",
                     MetricKind::kGauge,
                     "Grows by one at each start of a coordinator",
                     {{{}, static_cast<double>(state.term)}}});
  metrics.push_back({"penstock_events_total",
                     MetricKind::kCounter,
                     "Entries of the event log",
                     {{{}, static_cast<double>(state.last_event_sequence)}}});
  metrics.push_back(Jobs(state));
  metrics.push_back(Servers(state));
  metrics.push_back(Silence(state, now));
  AddJobMetrics(state, ProgressMetrics(now), metrics);
  AddJobMetrics(state, CheckpointMetrics(), metrics);
  return metrics;
}

}  // namespace penstock
