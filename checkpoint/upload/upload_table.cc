#include "checkpoint/upload/upload_table.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/layout/layout.h"

namespace penstock {

UploadTable::Key UploadTable::KeyOf(const Upload& upload) {
  return {upload.checkpoint.job_id(), upload.checkpoint.step(),
          upload.checkpoint.epoch(), upload.file, upload.rank};
}

absl::Status UploadTable::CheckEpoch(const CheckpointId& checkpoint) const {
  const auto it = oldest_epochs_.find(checkpoint.job_id());
  if (it == oldest_epochs_.end() || checkpoint.epoch() >= it->second) {
    return absl::OkStatus();
  }
  return absl::AbortedError(absl::StrCat("the checkpoint of ",
                                         Describe(checkpoint),
                                         ": the job is in epoch ", it->second));
}

absl::StatusOr<UploadTable::Begun> UploadTable::Begin(const Upload& upload,
                                                      absl::Time now) {
  if (const absl::Status epoch = CheckEpoch(upload.checkpoint); !epoch.ok()) {
    return epoch;
  }
  const Key key = KeyOf(upload);
  Entry& entry = entries_[key];
  const std::optional<int64_t> superseded = entry.number;
  if (superseded.has_value()) running_.erase(*superseded);
  entry = {upload, ++last_number_, now};
  running_[last_number_] = key;
  return Begun{last_number_, superseded};
}

absl::Status UploadTable::Touch(int64_t number, absl::Time now) {
  const auto it = running_.find(number);
  if (it == running_.end()) {
    return absl::AbortedError(
        "the upload is over here: its epoch has ended, or it was begun again");
  }
  entries_.at(it->second).heard = now;
  return absl::OkStatus();
}

void UploadTable::End(int64_t number, bool complete) {
  const auto it = running_.find(number);
  if (it == running_.end()) return;
  const auto entry = entries_.find(it->second);
  if (complete) {
    entries_.erase(entry);
  } else {
    entry->second.number.reset();
  }
  running_.erase(it);
}

std::vector<int64_t> UploadTable::BeginEpoch(const std::string& job_id,
                                             int64_t epoch) {
  int64_t& oldest = oldest_epochs_[job_id];
  if (epoch > oldest) oldest = epoch;
  std::vector<int64_t> ended;
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (it->first.job_id != job_id || it->first.epoch >= oldest) {
      ++it;
      continue;
    }
    if (const auto number = it->second.number; number.has_value()) {
      ended.push_back(*number);
      running_.erase(*number);
    }
    // Its part goes with its checkpoint, which is garbage now.
    it = entries_.erase(it);
  }
  return ended;
}

std::vector<int64_t> UploadTable::Silent(absl::Time limit) const {
  std::vector<int64_t> silent;
  for (const auto& [number, key] : running_) {
    if (entries_.at(key).heard <= limit) silent.push_back(number);
  }
  return silent;
}

std::vector<UploadTable::Upload> UploadTable::TakeAbandoned(absl::Time limit) {
  std::vector<Upload> abandoned;
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (it->second.number.has_value() || it->second.heard > limit) {
      ++it;
      continue;
    }
    abandoned.push_back(std::move(it->second.upload));
    it = entries_.erase(it);
  }
  return abandoned;
}

}  // namespace penstock
