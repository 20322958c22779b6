#ifndef PENSTOCK_CHECKPOINT_TRANSFER_TRANSFER_SERVER_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_TRANSFER_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/store/commit_store.h"
#include "checkpoint/transfer/part_keeper.h"
#include "checkpoint/transfer/tls_credentials.h"

namespace penstock {

// A TransferService over one folder of checkpoints, on a port and threads of
// its own, with grpc.health.v1.Health and reflection. Writes shards of any
// checkpoint that is not committed, for servers of its job and epoch; reads
// committed ones, for servers of any job. Commits and deletes nothing: that is
// the CheckpointStore's of the same folder.
//
// Thread-safe.
class TransferServer {
 public:
  struct Options {
    // "host:port"; port 0 takes a free one.
    std::string address = "127.0.0.1:0";
    // Of the tokens that are shown (token.h).
    std::string key;
    // An upload that has been silent for so long is given up: its call is
    // ended, and what has come of the file removed.
    absl::Duration stall_limit = absl::Seconds(60);
    // If given, it is served to its owner on the same port (StoreService). Of
    // the same folder; must outlive the server.
    CommitStore* owned_store = nullptr;
    // If given, the folder has ranks' parts, and `key` is not used. Must
    // outlive the server.
    PartKeeper* parts = nullptr;
    // What it shows and whom it believes; null: it speaks in the clear.
    std::shared_ptr<const TlsCredentials> tls = nullptr;
  };

  // `files` must outlive the server. `root` is there: see CheckpointStore.
  //   UNAVAILABLE  the address cannot be listened on.
  static absl::StatusOr<std::unique_ptr<TransferServer>> Start(
      FileSystem& files, const std::string& root, Options options);
  // Stops, if `Stop` was not called.
  virtual ~TransferServer() = default;

  // "host:port", with the port that was bound.
  virtual const std::string& address() const = 0;

  // From now on, uploads of epochs of the job before `epoch` are refused with
  // ABORTED, those that run, too. Epochs only grow; a smaller one does nothing.
  virtual void BeginEpoch(const std::string& job_id, int64_t epoch) = 0;

  // Ends all calls and closes the port. Uploads can go on at a later server of
  // the same folder.
  virtual void Stop() = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_TRANSFER_SERVER_H_
