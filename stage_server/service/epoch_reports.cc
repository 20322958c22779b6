#include "stage_server/service/epoch_reports.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace penstock {

namespace {

int64_t ActionsOf(const std::optional<StepTrace>& trace) {
  return trace.has_value() ? trace->ended_size() : 0;
}

}  // namespace

void EpochReports::AddStep(const StepReport& report,
                           std::optional<StepTrace> trace) {
  num_traced_actions_ += ActionsOf(trace);
  steps_.push_back({report, std::move(trace)});
  last_step_ = report.step();
  ForgetOldTraces();
}

void EpochReports::ForgetOldTraces() {
  for (size_t i = 0;
       num_traced_actions_ > kMaxTracedActions && i + 1 < steps_.size(); ++i) {
    num_traced_actions_ -= ActionsOf(steps_[i].trace);
    steps_[i].trace.reset();
  }
}

void EpochReports::SetUse(RankUse use) {
  use_ = std::move(use);
  use_sent_ = false;
}

void EpochReports::AddLog(absl::Time time, const std::string& level,
                          const std::string& text) {
  LogEntry entry;
  entry.set_sequence(++last_log_);
  entry.set_time_unix_nanos(absl::ToUnixNanos(time));
  entry.set_level(level);
  entry.set_text(text.size() <= kMaxLogTextBytes
                     ? text
                     : absl::StrCat(text.substr(0, kMaxLogTextBytes),
                                    " ... (cut, ", text.size(), " bytes)"));
  logs_.push_back(std::move(entry));
  if (logs_.size() > kMaxLogEntries) logs_.pop_front();
}

void EpochReports::SetFinished(std::vector<LayerDigest> layers) {
  layers_ = std::move(layers);
  finished_ = true;
}

void EpochReports::SetSnapshot(SnapshotReport report) {
  if (report.step() != snapshot_step_) return;
  snapshot_ = std::move(report);
  snapshot_sent_ = false;
}

void EpochReports::SetShards(ShardReport report) {
  if (report.checkpoint().step() != snapshot_step_) return;
  shards_ = std::move(report);
  shards_sent_ = false;
}

void EpochReports::WantSnapshot(int64_t step) {
  if (step == snapshot_step_) return;
  snapshot_step_ = step;
  snapshot_.reset();
  shards_.reset();
}

void EpochReports::Acknowledge(const Ack& ack) {
  while (!steps_.empty() && steps_.front().report.step() <= ack.step()) {
    num_traced_actions_ -= ActionsOf(steps_.front().trace);
    steps_.pop_front();
  }
  while (!logs_.empty() && logs_.front().sequence() <= ack.log_sequence()) {
    logs_.pop_front();
  }
  if (ack.finished()) finished_acknowledged_ = true;
}

void EpochReports::StartSession() {
  sent_step_ = 0;
  sent_log_ = 0;
  finished_sent_ = false;
  use_sent_ = false;
  snapshot_sent_ = false;
  shards_sent_ = false;
}

bool EpochReports::has_unsent() const {
  return (!steps_.empty() && steps_.back().report.step() > sent_step_) ||
         (!logs_.empty() && logs_.back().sequence() > sent_log_) ||
         (snapshot_.has_value() && !snapshot_sent_) ||
         (shards_.has_value() && !shards_sent_) ||
         (finished_ && !finished_acknowledged_ && !finished_sent_);
}

std::vector<StageMessage> EpochReports::TakeUnsent(const std::string& job_id) {
  std::vector<StageMessage> messages;
  StepReports* steps = nullptr;
  int64_t traced_actions = 0;
  for (const FinishedStep& step : steps_) {
    if (step.report.step() <= sent_step_) continue;
    if (steps == nullptr || steps->reports_size() == kStepsPerMessage ||
        traced_actions + ActionsOf(step.trace) > kTracedActionsPerMessage) {
      steps = messages.emplace_back().mutable_steps();
      steps->set_job_id(job_id);
      traced_actions = 0;
    }
    *steps->add_reports() = step.report;
    if (step.trace.has_value()) *steps->add_traces() = *step.trace;
    traced_actions += ActionsOf(step.trace);
    sent_step_ = step.report.step();
  }
  if (steps != nullptr && use_.has_value() && !use_sent_) {
    *steps->mutable_use() = *use_;
    use_sent_ = true;
  }
  LogTail* logs = nullptr;
  for (const LogEntry& entry : logs_) {
    if (entry.sequence() <= sent_log_) continue;
    if (logs == nullptr || logs->entries_size() == kLogEntriesPerMessage) {
      logs = messages.emplace_back().mutable_logs();
      logs->set_job_id(job_id);
    }
    *logs->add_entries() = entry;
    sent_log_ = entry.sequence();
  }
  if (snapshot_.has_value() && !snapshot_sent_) {
    SnapshotReport* const snapshot = messages.emplace_back().mutable_snapshot();
    *snapshot = *snapshot_;
    snapshot->set_job_id(job_id);
    snapshot_sent_ = true;
  }
  if (shards_.has_value() && !shards_sent_) {
    *messages.emplace_back().mutable_shards() = *shards_;
    shards_sent_ = true;
  }
  if (finished_ && !finished_acknowledged_ && !finished_sent_) {
    Finished* finished = messages.emplace_back().mutable_finished();
    finished->set_job_id(job_id);
    finished->set_step(last_step_);
    for (const LayerDigest& layer : layers_) *finished->add_layers() = layer;
    finished_sent_ = true;
  }
  return messages;
}

}  // namespace penstock
