#ifndef PENSTOCK_CHECKPOINT_TRANSFER_UPLOAD_REGISTRY_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_UPLOAD_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "checkpoint/upload/upload_table.h"

namespace penstock {

// The UploadTable of a server, its threads and its clock: sees that one call at
// a time writes a file, and ends calls that are silent or of an epoch that is
// over. Thread-safe.
class UploadRegistry {
 public:
  // Removes the part of a file that nobody goes on with.
  using RemovePart = std::function<void(const UploadTable::Upload&)>;

  UploadRegistry(absl::Duration stall_limit, RemovePart remove_part);
  // Every upload must have ended.
  ~UploadRegistry();

  // `cancel` ends the call, from any thread, until `End`. Waits until an
  // earlier call that writes the same file has ended.
  //   ABORTED  the epoch is over.
  absl::StatusOr<int64_t> Begin(const UploadTable::Upload& upload,
                                std::function<void()> cancel)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Called before each write. ABORTED  the call is to end.
  absl::Status Touch(int64_t number) ABSL_LOCKS_EXCLUDED(mutex_);
  void End(int64_t number, bool complete) ABSL_LOCKS_EXCLUDED(mutex_);

  void BeginEpoch(const std::string& job_id, int64_t epoch)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  static absl::Time Now();
  void Watch() ABSL_LOCKS_EXCLUDED(mutex_);
  void Cancel(int64_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const absl::Duration stall_limit_;
  const RemovePart remove_part_;

  Mutex mutex_;
  CondVar changed_;
  UploadTable table_ ABSL_GUARDED_BY(mutex_);
  // By number, of the calls that have not ended.
  std::map<int64_t, std::function<void()>> calls_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread watcher_;
};

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_UPLOAD_REGISTRY_H_
