#include "coordinator/service/hosted_checkpoints.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/transfer/transfer_server.h"
#include "coordinator/service/work_queue.h"
#include "spdlog/spdlog.h"

namespace penstock {
namespace {

class HostedCheckpoints final : public CheckpointPort {
 public:
  HostedCheckpoints(std::unique_ptr<FileSystem> files, CheckpointStore store,
                    std::unique_ptr<TransferServer> transfers,
                    CheckpointStoreSettings settings)
      : files_(std::move(files)),
        store_(std::move(store)),
        transfers_(std::move(transfers)),
        settings_(std::move(settings)) {}

  ~HostedCheckpoints() override {
    if (transfers_ != nullptr) transfers_->Stop();
  }

  CheckpointStoreSettings settings() const override { return settings_; }

  absl::StatusOr<std::vector<CheckpointId>> List(
      const std::string& job_id) override {
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<StoredCheckpoint> stored,
                              store_.List(job_id));
    std::vector<CheckpointId> ids;
    for (const StoredCheckpoint& one : stored) {
      if (one.state == StoredCheckpointState::kCommitted) ids.push_back(one.id);
    }
    return ids;
  }

  ManifestOrStatus ReadNow(const CheckpointId& id) override {
    PENSTOCK_ASSIGN_OR_RETURN(CheckpointManifest manifest, store_.Read(id));
    return std::make_shared<const CheckpointManifest>(std::move(manifest));
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
    verifications_.Add(
        [this, id, report = std::move(report), done = std::move(done)] {
          done(store_.Verify(
              id, [&report](const CheckpointStore::Progress& progress) {
                return report(progress.done_bytes, progress.total_bytes);
              }));
        });
  }

 private:
  using Done = std::function<void(ClusterEvent)>;

  void Change(const CommitCheckpoint& work, const Done& done) {
    done(CheckpointStored{work.manifest.id(), store_.Commit(work.manifest)});
  }

  void Change(const RemoveCheckpoint& work, const Done& done) {
    done(CheckpointRemoved{work.id, store_.Delete(work.id)});
  }

  void Change(const ReadManifest& work, const Done& done) {
    done(ManifestRead{work.job_id, work.id, ReadNow(work.id)});
  }

  void Change(const BeginStoreEpoch& work, const Done&) {
    if (transfers_ != nullptr) {
      transfers_->BeginEpoch(work.job_id, work.epoch);
    }
    const auto removed = store_.CollectGarbage(work.job_id, work.epoch);
    if (!removed.ok()) {
      spdlog::warn("garbage of job {} stays: {}", work.job_id,
                   std::string(removed.status().message()));
    }
  }

  const std::unique_ptr<FileSystem> files_;
  CheckpointStore store_;
  const std::unique_ptr<TransferServer> transfers_;
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
  CheckpointStoreSettings settings;
  settings.root = options.root;
  settings.key = options.key;
  std::unique_ptr<TransferServer> transfers;
  if (!options.listen.empty()) {
    TransferServer::Options server;
    server.address = options.listen;
    server.key = options.key;
    PENSTOCK_ASSIGN_OR_RETURN(
        transfers, TransferServer::Start(*files, options.root, server));
    const std::string& bound = transfers->address();
    settings.address = options.advertised_host.empty()
                           ? bound
                           : absl::StrCat(options.advertised_host,
                                          bound.substr(bound.rfind(':')));
  }
  return std::make_unique<HostedCheckpoints>(std::move(files), std::move(store),
                                             std::move(transfers),
                                             std::move(settings));
}

}  // namespace penstock
