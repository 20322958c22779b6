#include "stage_server/checkpoint/memory_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/shards/corruption.h"
#include "stage_server/checkpoint/part_record.h"

namespace penstock {

MemorySource::MemorySource(RestorePoint point, const OpenParts& open_parts)
    : point_(std::move(point)) {
  const MemoryRestore& memory = point_.memory();
  for (const MemoryRestore::Part& part : memory.parts()) {
    stores_.push_back(open_parts(part.address(), memory.token(), part.rank()));
  }
  point_.clear_files();
  point_.clear_state();
}

absl::Status MemorySource::Open() {
  for (size_t i = 0; i < stores_.size(); ++i) {
    const absl::StatusOr<ShardReport> part =
        ReadPartRecord(*stores_[i], point_.checkpoint());
    if (absl::IsCancelled(part.status())) return part.status();
    const absl::Status status = part.ok() ? Add(*part, i) : part.status();
    if (status.ok()) continue;
    const MemoryRestore::Part& where =
        point_.memory().parts(static_cast<int>(i));
    return absl::DataLossError(absl::StrCat(
        kLostMemory, Describe(point_.checkpoint()), ", part of rank ",
        where.rank(), " at ", where.address(), ": ", status.message()));
  }
  if (!stores_.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      kLostMemory, Describe(point_.checkpoint()), ": no part is named"));
}

absl::Status MemorySource::Add(const ShardReport& part, size_t index) {
  if (index == 0) plan_hash_ = part.plan_hash();
  if (part.plan_hash() != plan_hash_) {
    return absl::DataLossError("it was made for another plan than the first");
  }
  for (const ShardFile& file : part.files()) {
    if (!store_of_file_.emplace(file.name(), stores_[index].get()).second) {
      return absl::DataLossError(
          absl::StrCat(file.name(), " is in another part, too"));
    }
    *point_.add_files() = file;
  }
  TrainState& state = *point_.mutable_state();
  // Stages are each rank's own, and ranks that read no data have no
  // fingerprint of it; the rest is the same from all.
  if (index == 0) {
    state = part.state();
  } else {
    state.mutable_stages()->MergeFrom(part.state().stages());
  }
  if (state.dataset_fingerprint().empty()) {
    state.set_dataset_fingerprint(part.state().dataset_fingerprint());
  }
  if (part.state().step() != state.step()) {
    return absl::DataLossError(
        absl::StrCat("it is of step ", part.state().step(),
                     ", the first of step ", state.step()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ShardUpload>> MemorySource::Begin(
    const CheckpointId&, const std::string& file, int64_t) {
  return absl::FailedPreconditionError(absl::StrCat(
      file, " cannot be stored in a state that training goes on from"));
}

absl::StatusOr<std::string> MemorySource::Read(const CheckpointId& checkpoint,
                                               const std::string& file,
                                               int64_t offset_bytes,
                                               int64_t size_bytes) const {
  const auto it = store_of_file_.find(file);
  if (it == store_of_file_.end()) {
    return absl::NotFoundError(absl::StrCat("no part has ", file));
  }
  return it->second->Read(checkpoint, file, offset_bytes, size_bytes);
}

void MemorySource::Cancel(absl::Status why) {
  for (const std::unique_ptr<ShardStore>& store : stores_) store->Cancel(why);
}

}  // namespace penstock
