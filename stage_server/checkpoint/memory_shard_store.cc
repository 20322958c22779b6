#include "stage_server/checkpoint/memory_shard_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/crc32c.h"

namespace penstock {
namespace {

// One store's part of the state: whether it is cancelled. Under the memory's
// lock.
struct Cancelled {
  absl::Status why;
};

std::string KeyOf(const CheckpointId& checkpoint, const std::string& file) {
  return absl::StrCat(checkpoint.job_id(), "/", checkpoint.step(), "/", file);
}

class MemoryUpload : public ShardUpload {
 public:
  MemoryUpload(std::shared_ptr<ShardMemory> memory,
               std::shared_ptr<Cancelled> cancelled, std::string key,
               int64_t size_bytes)
      : memory_(std::move(memory)),
        cancelled_(std::move(cancelled)),
        key_(std::move(key)),
        size_bytes_(size_bytes) {}

  absl::Status Append(absl::string_view bytes) override {
    MutexLock lock(&memory_->mutex);
    ++memory_->num_appends;
    memory_->changed.SignalAll();
    while (memory_->is_stalled && cancelled_->why.ok()) {
      memory_->changed.Wait(&memory_->mutex);
    }
    if (!cancelled_->why.ok()) return cancelled_->why;
    if (memory_->num_appends > memory_->appends_before_status &&
        !memory_->append_status.ok()) {
      return memory_->append_status;
    }
    content_.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  }

  absl::StatusOr<StoredFile> Finish() override {
    const auto size = static_cast<int64_t>(content_.size());
    if (size != size_bytes_) {
      return absl::InvalidArgumentError(
          absl::StrCat(size, " bytes, want ", size_bytes_));
    }
    MutexLock lock(&memory_->mutex);
    if (!cancelled_->why.ok()) return cancelled_->why;
    const StoredFile stored = {size,
                               Crc32c(content_) + memory_->checksum_error};
    memory_->files[key_] = std::move(content_);
    return stored;
  }

 private:
  const std::shared_ptr<ShardMemory> memory_;
  const std::shared_ptr<Cancelled> cancelled_;
  const std::string key_;
  const int64_t size_bytes_;
  std::string content_;
};

class MemoryShardStore : public ShardStore {
 public:
  explicit MemoryShardStore(std::shared_ptr<ShardMemory> memory)
      : memory_(std::move(memory)) {}

  absl::StatusOr<std::unique_ptr<ShardUpload>> Begin(
      const CheckpointId& checkpoint, const std::string& file,
      int64_t size_bytes) override {
    return std::make_unique<MemoryUpload>(memory_, cancelled_,
                                          KeyOf(checkpoint, file), size_bytes);
  }

  absl::StatusOr<std::string> Read(const CheckpointId& checkpoint,
                                   const std::string& file,
                                   int64_t offset_bytes,
                                   int64_t size_bytes) const override {
    MutexLock lock(&memory_->mutex);
    if (!cancelled_->why.ok()) return cancelled_->why;
    ++memory_->num_reads;
    const auto found = memory_->files.find(KeyOf(checkpoint, file));
    if (found == memory_->files.end()) {
      return absl::NotFoundError(absl::StrCat("no file ", file));
    }
    const auto end = static_cast<int64_t>(found->second.size());
    if (offset_bytes < 0 || size_bytes < 0 || offset_bytes > end ||
        size_bytes > end - offset_bytes) {
      return absl::OutOfRangeError(
          absl::StrCat("the file has ", end, " bytes"));
    }
    return found->second.substr(static_cast<size_t>(offset_bytes),
                                static_cast<size_t>(size_bytes));
  }

  void Cancel(absl::Status why) override {
    MutexLock lock(&memory_->mutex);
    cancelled_->why.Update(why);
    memory_->changed.SignalAll();
  }

 private:
  const std::shared_ptr<ShardMemory> memory_;
  const std::shared_ptr<Cancelled> cancelled_ = std::make_shared<Cancelled>();
};

}  // namespace

std::unique_ptr<ShardStore> MakeMemoryShardStore(
    std::shared_ptr<ShardMemory> memory) {
  return std::make_unique<MemoryShardStore>(std::move(memory));
}

}  // namespace penstock
