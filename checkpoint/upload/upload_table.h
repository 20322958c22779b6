#ifndef PENSTOCK_CHECKPOINT_UPLOAD_UPLOAD_TABLE_H_
#define PENSTOCK_CHECKPOINT_UPLOAD_UPLOAD_TABLE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

// Which upload may write which file, when it was last heard of, and which
// epochs are over. Pure: `now` is an argument. Not thread-safe.
class UploadTable {
 public:
  struct Upload {
    CheckpointId checkpoint;
    std::string file;
    // Of a rank's part.
    std::optional<int> rank = std::nullopt;
  };

  struct Begun {
    // Never the same twice.
    int64_t number = 0;
    // Another upload of the file, whose connection must have broken. It may no
    // longer write; let it end before this one does.
    std::optional<int64_t> superseded;
  };
  // An upload of the file is the file's only one from now on.
  //   ABORTED  the epoch is over.
  absl::StatusOr<Begun> Begin(const Upload& upload, absl::Time now);

  // Called before each write.
  //   ABORTED  it was superseded, or its epoch is over.
  absl::Status Touch(int64_t number, absl::Time now);

  // The connection is gone. If the file is not complete it is kept, to be gone
  // on with, until it is stale.
  void End(int64_t number, bool complete);

  // Nothing of epochs of the job before `epoch` is let in any more. Numbers of
  // the uploads that this has ended. Epochs only grow.
  std::vector<int64_t> BeginEpoch(const std::string& job_id, int64_t epoch);

  // Uploads with a connection that were last heard of at or before `limit`:
  // their connections are to be ended.
  std::vector<int64_t> Silent(absl::Time limit) const;

  // Forgets and returns the uploads without a connection that were last heard
  // of at or before `limit`; their parts are to be removed before anything else
  // is asked of this.
  std::vector<Upload> TakeAbandoned(absl::Time limit);

 private:
  struct Key {
    std::string job_id;
    int64_t step = 0;
    int64_t epoch = 0;
    std::string file;
    std::optional<int> rank;

    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Entry {
    Upload upload;
    // Nothing while there is no connection.
    std::optional<int64_t> number;
    absl::Time heard;
  };

  static Key KeyOf(const Upload& upload);
  absl::Status CheckEpoch(const CheckpointId& checkpoint) const;

  int64_t last_number_ = 0;
  std::map<Key, Entry> entries_;
  std::map<int64_t, Key> running_;
  // By job: the oldest epoch that may write.
  std::map<std::string, int64_t> oldest_epochs_;
};

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_UPLOAD_UPLOAD_TABLE_H_
