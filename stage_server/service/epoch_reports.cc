#include "stage_server/service/epoch_reports.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace penstock {

void EpochReports::AddStep(const StepReport& report) {
  steps_.push_back(report);
  last_step_ = report.step();
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

void EpochReports::Acknowledge(const Ack& ack) {
  while (!steps_.empty() && steps_.front().step() <= ack.step()) {
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
}

bool EpochReports::has_unsent() const {
  return (!steps_.empty() && steps_.back().step() > sent_step_) ||
         (!logs_.empty() && logs_.back().sequence() > sent_log_) ||
         (finished_ && !finished_acknowledged_ && !finished_sent_);
}

std::vector<StageMessage> EpochReports::TakeUnsent(const std::string& job_id) {
  std::vector<StageMessage> messages;
  StepReports* steps = nullptr;
  for (const StepReport& report : steps_) {
    if (report.step() <= sent_step_) continue;
    if (steps == nullptr || steps->reports_size() == kStepsPerMessage) {
      steps = messages.emplace_back().mutable_steps();
      steps->set_job_id(job_id);
    }
    *steps->add_reports() = report;
    sent_step_ = report.step();
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
