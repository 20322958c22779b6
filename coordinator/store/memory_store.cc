#include "coordinator/store/memory_store.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "coordinator/core/job_machine.h"

namespace penstock {

absl::StatusOr<StoredState> MemoryStore::Load() {
  StoredState stored;
  stored.term = term_;
  stored.cluster_secret = cluster_secret_;
  stored.last_event_sequence = static_cast<int64_t>(events_.size());
  for (const auto& [id, row] : servers_) stored.servers.push_back(row);
  for (const auto& [id, row] : jobs_) {
    StoredJob& job = stored.jobs.emplace_back();
    job.row = row;
    if (IsTerminal(row.info().state())) continue;
    job.plan = plans_[id];
    if (!steps_[id].empty()) job.last_step = steps_[id].back();
    for (const NewLogLine& log : logs_[id]) {
      job.last_log_sequence = log.line.sequence();
      if (log.epoch != row.info().epoch()) continue;
      int64_t& newest = job.log_sequence_of_rank[log.line.rank()];
      newest = std::max(newest, log.entry_sequence);
    }
  }
  return stored;
}

absl::Status MemoryStore::Write(const WriteBatch& batch) {
  if (batch.term) term_ = *batch.term;
  if (batch.cluster_secret) cluster_secret_ = *batch.cluster_secret;
  for (const JobRow& row : batch.jobs) jobs_[row.info().id()] = row;
  for (const ServerRow& row : batch.servers) servers_[row.info().id()] = row;
  for (const auto& [id, plan] : batch.plans) plans_[id] = plan;
  for (const auto& [id, last] : batch.kept_steps) {
    std::erase_if(steps_[id], [last = last](const StepRow& row) {
      return row.record().step() > last;
    });
  }
  for (const NewStep& step : batch.steps) {
    steps_[step.job_id].push_back(step.row);
  }
  for (const NewTimeline& timeline : batch.timelines) {
    timelines_[timeline.job_id][timeline.row.step()] = timeline.row;
  }
  for (const NewLogLine& log : batch.logs) logs_[log.job_id].push_back(log);
  events_.insert(events_.end(), batch.events.begin(), batch.events.end());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Event>> MemoryStore::ReadEvents(
    const std::string& job_id, int64_t after_sequence, int limit) {
  std::vector<Event> page;
  for (const Event& event : events_) {
    if (static_cast<int>(page.size()) == limit) break;
    if (event.sequence() <= after_sequence) continue;
    if (job_id.empty() || event.job_id() == job_id) page.push_back(event);
  }
  return page;
}

absl::StatusOr<std::vector<LogLine>> MemoryStore::ReadLogs(
    const std::string& job_id, int64_t after_sequence, int limit) {
  std::vector<LogLine> page;
  for (const NewLogLine& log : logs_[job_id]) {
    if (static_cast<int>(page.size()) == limit) break;
    if (log.line.sequence() > after_sequence) page.push_back(log.line);
  }
  return page;
}

absl::StatusOr<std::vector<ProgressRecord>> MemoryStore::ReadSteps(
    const std::string& job_id, int64_t after_step, int limit) {
  std::vector<ProgressRecord> page;
  for (const StepRow& row : steps_[job_id]) {
    if (static_cast<int>(page.size()) == limit) break;
    if (row.record().step() > after_step) page.push_back(row.record());
  }
  return page;
}

absl::StatusOr<std::vector<int64_t>> MemoryStore::ReadTimelineSteps(
    const std::string& job_id) {
  std::vector<int64_t> steps;
  for (const auto& [step, row] : timelines_[job_id]) steps.push_back(step);
  return steps;
}

absl::StatusOr<TimelineRow> MemoryStore::ReadTimeline(const std::string& job_id,
                                                      int64_t step) {
  const auto found = timelines_[job_id].find(step);
  if (found == timelines_[job_id].end()) {
    return absl::NotFoundError(
        absl::StrCat("no timeline of step ", step, " of job ", job_id));
  }
  return found->second;
}

absl::StatusOr<Plan> MemoryStore::ReadPlan(const std::string& job_id) {
  const auto found = plans_.find(job_id);
  if (found == plans_.end()) {
    return absl::NotFoundError(absl::StrCat("no plan of job ", job_id));
  }
  return *found->second;
}

}  // namespace penstock
