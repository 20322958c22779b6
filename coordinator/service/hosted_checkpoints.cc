#include "coordinator/service/hosted_checkpoints.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/file_lock.h"
#include "base/status_macros.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/store/commit_store.h"
#include "checkpoint/store/root_lock.h"
#include "checkpoint/transfer/remote_store.h"
#include "checkpoint/transfer/transfer_server.h"
#include "coordinator/service/work_queue.h"
#include "spdlog/spdlog.h"

namespace penstock {
namespace {

// For a store that starts beside the coordinator; one that is not there is to
// be said soon.
constexpr absl::Duration kFirstPatience = absl::Seconds(10);

// Later than all.
constexpr int64_t kNoLiveEpoch = std::numeric_limits<int64_t>::max();

// What a folder of one's own needs beside its CommitStore.
struct OwnedFolder {
  std::unique_ptr<FileSystem> files;
  FileLock lock;
  // Null where stage servers see the folder themselves.
  std::unique_ptr<TransferServer> transfers;
};

// A port to any store; does what blocks on threads of its own.
class QueuedCheckpoints final : public CheckpointPort {
 public:
  // `folder` is null of a store elsewhere.
  QueuedCheckpoints(std::unique_ptr<OwnedFolder> folder,
                    std::unique_ptr<CommitStore> store,
                    CheckpointStoreSettings settings)
      : folder_(std::move(folder)),
        store_(std::move(store)),
        settings_(std::move(settings)) {}

  ~QueuedCheckpoints() override {
    if (transfers() != nullptr) transfers()->Stop();
  }

  CheckpointStoreSettings settings() const override { return settings_; }

  absl::StatusOr<std::vector<CheckpointId>> List(
      const std::string& job_id) override {
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<StoredCheckpoint> stored,
                              store_->List(job_id));
    std::vector<CheckpointId> ids;
    for (const StoredCheckpoint& one : stored) {
      if (one.state == StoredCheckpointState::kCommitted) ids.push_back(one.id);
    }
    return ids;
  }

  ManifestOrStatus ReadNow(const CheckpointId& id) override {
    PENSTOCK_ASSIGN_OR_RETURN(CheckpointManifest manifest, store_->Read(id));
    return std::make_shared<const CheckpointManifest>(std::move(manifest));
  }

  void RemoveStrays(std::set<std::string> known_jobs) override {
    if (folder_ == nullptr) return;
    changes_.Add([this, known_jobs = std::move(known_jobs)] {
      const auto jobs = store_->ListJobs();
      if (!jobs.ok()) return Warn("strays stay", jobs.status());
      for (const std::string& job : *jobs) {
        if (!known_jobs.contains(job)) CollectGarbage(job, kNoLiveEpoch);
      }
    });
  }

  void Do(CheckpointWork work,
          std::function<void(ClusterEvent)> done) override {
    changes_.Add([this, work = std::move(work), done = std::move(done)] {
      std::visit([&](const auto& what) { Change(what, done); }, work);
    });
  }

  void Read(const CheckpointId& id,
            std::function<void(ManifestOrStatus)> done) override {
    reads_.Add([this, id, done = std::move(done)] { done(ReadNow(id)); });
  }

  void Verify(const CheckpointId& id,
              std::function<bool(int64_t, int64_t)> report,
              std::function<void(absl::Status)> done) override {
    verifications_.Add([this, id, report = std::move(report),
                        done = std::move(done)] {
      done(store_->Verify(id, [&report](const CommitStore::Progress& progress) {
        return report(progress.done_bytes, progress.total_bytes);
      }));
    });
  }

 private:
  using Done = std::function<void(ClusterEvent)>;

  void Change(const CommitCheckpoint& work, const Done& done) {
    done(CheckpointStored{work.manifest.id(), store_->Commit(work.manifest)});
  }

  void Change(const RemoveCheckpoint& work, const Done& done) {
    done(CheckpointRemoved{work.id, store_->Delete(work.id)});
  }

  void Change(const ReadManifest& work, const Done& done) {
    done(ManifestRead{work.job_id, work.id, ReadNow(work.id)});
  }

  void Change(const BeginStoreEpoch& work, const Done&) {
    if (transfers() != nullptr) {
      transfers()->BeginEpoch(work.job_id, work.epoch);
    }
    CollectGarbage(work.job_id, work.epoch);
  }

  void CollectGarbage(const std::string& job_id, int64_t live_epoch) {
    const auto removed = store_->CollectGarbage(job_id, live_epoch);
    if (removed.ok()) return;
    Warn(absl::StrCat("garbage of job ", job_id, " stays"), removed.status());
  }

  static void Warn(const std::string& what, const absl::Status& why) {
    spdlog::warn("{}: {}", what, std::string(why.message()));
  }

  TransferServer* transfers() const {
    return folder_ == nullptr ? nullptr : folder_->transfers.get();
  }

  const std::unique_ptr<OwnedFolder> folder_;
  const std::unique_ptr<CommitStore> store_;
  const CheckpointStoreSettings settings_;
  // A verification may take minutes; nothing is to wait for it.
  WorkQueue changes_;
  WorkQueue reads_;
  WorkQueue verifications_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CheckpointPort>> OpenHostedCheckpoints(
    const HostedCheckpointsOptions& options) {
  std::unique_ptr<FileSystem> files = MakePosixFileSystem();
  PENSTOCK_ASSIGN_OR_RETURN(CheckpointStore store,
                            CheckpointStore::Open(*files, options.root));
  PENSTOCK_ASSIGN_OR_RETURN(FileLock lock, LockRoot(options.root));
  CheckpointStoreSettings settings;
  settings.root = options.root;
  settings.key = options.key;
  std::unique_ptr<TransferServer> transfers;
  if (!options.listen.empty()) {
    TransferServer::Options server;
    server.address = options.listen;
    server.key = options.key;
    server.tls = options.tls;
    PENSTOCK_ASSIGN_OR_RETURN(
        transfers, TransferServer::Start(*files, options.root, server));
    const std::string& bound = transfers->address();
    settings.address = options.advertised_host.empty()
                           ? bound
                           : absl::StrCat(options.advertised_host,
                                          bound.substr(bound.rfind(':')));
  }
  auto folder = std::make_unique<OwnedFolder>(
      OwnedFolder{std::move(files), std::move(lock), std::move(transfers)});
  return std::make_unique<QueuedCheckpoints>(
      std::move(folder), std::make_unique<CheckpointStore>(std::move(store)),
      std::move(settings));
}

absl::StatusOr<std::unique_ptr<CheckpointPort>> OpenRemoteCheckpoints(
    const RemoteCheckpointsOptions& options) {
  RemoteStoreOptions remote{options.address, options.key};
  remote.tls = options.tls;
  remote.patience = std::min(kFirstPatience, options.patience);
  const absl::Status answer =
      MakeRemoteStore(remote, SystemClock())->ListJobs().status();
  if (absl::IsPermissionDenied(answer)) {
    return absl::PermissionDeniedError(absl::StrCat(
        "the store at ", options.address, " does not know this coordinator's ",
        "key; give both the same key file (", answer.message(), ")"));
  }
  PENSTOCK_RETURN_IF_ERROR(answer);
  CheckpointStoreSettings settings;
  settings.address = options.address;
  settings.key = options.key;
  remote.patience = options.patience;
  return std::make_unique<QueuedCheckpoints>(
      /*folder=*/nullptr, MakeRemoteStore(std::move(remote), SystemClock()),
      std::move(settings));
}

}  // namespace penstock
