#include "checkpoint/shards/directory_shard_store.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "checkpoint/shards/committed_file.h"
#include "checkpoint/upload/part_file.h"

namespace penstock {
namespace {

// Set once, from any thread.
class Cancellation {
 public:
  void Cancel(absl::Status why) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    if (status_.ok()) status_ = std::move(why);
  }
  absl::Status status() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return status_;
  }

 private:
  mutable Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

class DirectoryUpload : public ShardUpload {
 public:
  DirectoryUpload(const Cancellation& cancellation, PartFile part)
      : cancellation_(cancellation), part_(std::move(part)) {}

  absl::Status Append(absl::string_view bytes) override {
    PENSTOCK_RETURN_IF_ERROR(cancellation_.status());
    return part_.Append(bytes);
  }
  absl::StatusOr<StoredFile> Finish() override {
    PENSTOCK_RETURN_IF_ERROR(cancellation_.status());
    return part_.Finish();
  }

 private:
  const Cancellation& cancellation_;
  PartFile part_;
};

class DirectoryShardStore : public ShardStore {
 public:
  DirectoryShardStore(FileSystem& files, std::string root, const char* marker)
      : files_(files), root_(std::move(root)), marker_(marker) {}

  absl::StatusOr<std::unique_ptr<ShardUpload>> Begin(
      const CheckpointId& checkpoint, const std::string& file,
      int64_t size_bytes) override {
    PENSTOCK_RETURN_IF_ERROR(cancellation_.status());
    PENSTOCK_ASSIGN_OR_RETURN(
        PartFile part,
        PartFile::Begin(files_, root_, {checkpoint, file, size_bytes},
                        /*offset_bytes=*/0));
    return std::make_unique<DirectoryUpload>(cancellation_, std::move(part));
  }

  absl::StatusOr<std::string> Read(const CheckpointId& checkpoint,
                                   const std::string& file,
                                   int64_t offset_bytes,
                                   int64_t size_bytes) const override {
    PENSTOCK_RETURN_IF_ERROR(cancellation_.status());
    PENSTOCK_ASSIGN_OR_RETURN(
        const std::unique_ptr<ReadableFile> opened,
        OpenCommitted(files_, root_, checkpoint, file, marker_));
    return opened->Read(offset_bytes, size_bytes);
  }

  void Cancel(absl::Status why) override {
    cancellation_.Cancel(std::move(why));
  }

 private:
  FileSystem& files_;
  const std::string root_;
  const char* const marker_;
  Cancellation cancellation_;
};

}  // namespace

std::unique_ptr<ShardStore> MakeDirectoryShardStore(FileSystem& files,
                                                    const std::string& root,
                                                    const char* marker) {
  return std::make_unique<DirectoryShardStore>(files, root, marker);
}

}  // namespace penstock
