#ifndef PENSTOCK_STAGE_SERVER_CHECKPOINT_STATE_MEMORY_H_
#define PENSTOCK_STAGE_SERVER_CHECKPOINT_STATE_MEMORY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/shards/shard_store.h"
#include "checkpoint/transfer/part_keeper.h"
#include "proto/checkpoint.pb.h"
#include "proto/stage_service.pb.h"

namespace penstock {

// The parts of states that a stage server holds in its memory: its own rank's
// and those that other ranks have put there. Outlives epochs.
//
// Of each rank the newest few whole ones are kept, and what is newer and still
// comes. As soon as a rank has two of a newer epoch, all older epochs' go: then
// every rank has one of it.
//
// Thread-safe.
class StateMemory : public PartKeeper {
 public:
  // Of whole parts. Own: while ranks take the same snapshot, one may be two
  // ahead of what another has with its peer.
  static constexpr size_t kOwnParts = 3;
  static constexpr size_t kPeersParts = 2;

  // Hears what is held whenever that has changed, in order; called with locks
  // held, must not block and must outlive this.
  using Sink = std::function<void(MemoryReport)>;

  explicit StateMemory(Sink sink);

  // For a TransferServer over it.
  FileSystem& files() { return *files_; }
  static std::string root();
  // Of that server, once it listens; empty before.
  void SetAddress(std::string address) ABSL_LOCKS_EXCLUDED(mutex_);
  std::string address() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Who shows `token` may write and read the job's parts, from now on; in place
  // of the one before.
  void Admit(const std::string& job_id, const std::string& token)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // The parts of one rank, straight. It must not outlive this.
  std::unique_ptr<ShardStore> StoreOf(int rank);

  // All files of a part of this server's own rank are in `StoreOf` it. Training
  // stood still for it so long in all.
  void OwnStored(const CheckpointId& checkpoint, int rank,
                 int64_t blocked_nanos) ABSL_LOCKS_EXCLUDED(mutex_);
  // The newest own part is with the peer, so long after its snapshot.
  void OwnReplicated(int64_t nanos) ABSL_LOCKS_EXCLUDED(mutex_);

  // Forgets all other jobs, with their tokens; empty: all.
  void KeepOnly(const std::string& job_id) ABSL_LOCKS_EXCLUDED(mutex_);

  // What the sink heard last.
  MemoryReport Report() const ABSL_LOCKS_EXCLUDED(mutex_);

  // PartKeeper.
  absl::Status CheckToken(absl::string_view token,
                          const std::string& job_id) const override
      ABSL_LOCKS_EXCLUDED(mutex_);
  void PartStored(const CheckpointId& checkpoint, int rank) override
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // By epoch, then step.
  using Version = std::pair<int64_t, int64_t>;
  using Owner = std::pair<std::string, int>;  // job, rank

  void Stored(const CheckpointId& checkpoint, int rank, size_t num_kept)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetOlderEpochs(const std::string& job_id, int64_t epoch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What has come of parts of the rank that nobody will finish, too.
  void RemoveOthersThan(const Owner& owner, const std::set<Version>& kept,
                        const Version& newest)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Tell() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Sink sink_;
  const std::unique_ptr<FileSystem> files_;

  mutable Mutex mutex_;
  std::string address_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> tokens_ ABSL_GUARDED_BY(mutex_);
  std::map<Owner, std::set<Version>> whole_ ABSL_GUARDED_BY(mutex_);
  MemoryReport report_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_CHECKPOINT_STATE_MEMORY_H_
