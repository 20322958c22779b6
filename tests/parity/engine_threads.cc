#include "tests/parity/engine_threads.h"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "stage_server/checkpoint/shard_files.h"
#include "stage_server/checkpoint/shard_reader.h"
#include "stage_server/engine/device.h"
#include "stage_server/engine/engine.h"
#include "stage_server/transport/in_process/in_process_transport.h"

namespace penstock {
namespace {

// What the ranks' threads leave behind.
class Outcome {
 public:
  void AddStep(const StepResult& result) {
    MutexLock lock(&mutex_);
    if (result.loss.has_value()) record_.losses.push_back(*result.loss);
    if (result.skipped) skipped_.insert(result.step);
    if (!result.gradient_norm.has_value()) return;
    // Every rank has the norm; that they agree is part of the parity.
    double& norm =
        norms_.emplace(result.step, *result.gradient_norm).first->second;
    if (norm != *result.gradient_norm) norm = -1;
  }

  void AddDigests(const std::vector<LayerDigestResult>& digests) {
    MutexLock lock(&mutex_);
    for (const LayerDigestResult& digest : digests) {
      digests_[digest.layer] = digest.sha256;
    }
  }

  // A rank's part of the checkpoint after a step.
  void AddFiles(const TrainState& state, const std::vector<ShardFile>& files) {
    MutexLock lock(&mutex_);
    RestorePoint& point = checkpoints_[state.step()];
    point.mutable_checkpoint()->set_step(state.step());
    for (const ShardFile& file : files) *point.add_files() = file;
    const auto stages = point.state().stages();
    const std::string fingerprint = point.state().dataset_fingerprint();
    *point.mutable_state() = state;
    point.mutable_state()->mutable_stages()->MergeFrom(stages);
    if (state.dataset_fingerprint().empty()) {
      point.mutable_state()->set_dataset_fingerprint(fingerprint);
    }
  }

  std::map<int64_t, RestorePoint> checkpoints() {
    MutexLock lock(&mutex_);
    return checkpoints_;
  }

  // The first failure takes all ranks' engines with it.
  void Fail(absl::Status why) {
    MutexLock lock(&mutex_);
    if (!status_.ok()) return;
    status_ = why;
    for (Engine* engine : engines_) engine->Cancel(why);
  }

  void AddEngine(Engine* engine) {
    MutexLock lock(&mutex_);
    engines_.push_back(engine);
    if (!status_.ok()) engine->Cancel(status_);
  }

  absl::Status status() {
    MutexLock lock(&mutex_);
    return status_;
  }

  // After all threads have ended.
  absl::StatusOr<TrainingRecord> Finish() {
    MutexLock lock(&mutex_);
    if (!status_.ok()) return status_;
    for (const auto& [step, norm] : norms_) {
      record_.gradient_norms.push_back(norm);
    }
    record_.skipped_steps = {skipped_.begin(), skipped_.end()};
    for (const auto& [layer, digest] : digests_) {
      record_.layer_digests.push_back(digest);
    }
    return record_;
  }

 private:
  Mutex mutex_;
  TrainingRecord record_ ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, double> norms_ ABSL_GUARDED_BY(mutex_);
  std::set<int64_t> skipped_ ABSL_GUARDED_BY(mutex_);
  std::map<int, std::string> digests_ ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, RestorePoint> checkpoints_ ABSL_GUARDED_BY(mutex_);
  std::vector<Engine*> engines_ ABSL_GUARDED_BY(mutex_);
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

absl::Status Store(const EngineSnapshot& snapshot, ShardStore& store,
                   Outcome* outcome) {
  CheckpointId checkpoint;
  checkpoint.set_step(snapshot.state.step());
  std::vector<ShardFile> stored;
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<SnapshotFile> files,
                            FilesOf(snapshot));
  for (const SnapshotFile& file : files) {
    PENSTOCK_ASSIGN_OR_RETURN(
        stored.emplace_back(),
        WriteFile(file, checkpoint, store, [] { return absl::OkStatus(); }));
  }
  outcome->AddFiles(snapshot.state, stored);
  return absl::OkStatus();
}

// Up to `last_step`; with a checkpoint after each step, where they are wanted.
absl::Status RunSteps(Engine& engine, RankId rank, int last_step,
                      const ThreadOptions& options, Outcome* outcome) {
  const std::unique_ptr<ShardStore> store =
      options.checkpoints == nullptr ? nullptr
                                     : MakeMemoryShardStore(options.shards);
  const bool takes_snapshots = store != nullptr || options.on_snapshot;
  while (engine.step() < last_step) {
    if (takes_snapshots) {
      PENSTOCK_RETURN_IF_ERROR(engine.PlanSnapshot(engine.step() + 1));
    }
    PENSTOCK_ASSIGN_OR_RETURN(const StepResult result, engine.RunStep());
    outcome->AddStep(result);
    PENSTOCK_ASSIGN_OR_RETURN(const auto snapshot, engine.TakeSnapshot());
    if (!takes_snapshots) continue;
    if (!snapshot.has_value()) {
      return absl::InternalError("there is no snapshot");
    }
    if (options.on_snapshot) options.on_snapshot(rank, *snapshot);
    if (store == nullptr) continue;
    PENSTOCK_RETURN_IF_ERROR(Store(*snapshot, *store, outcome));
  }
  return absl::OkStatus();
}

// The engine is made on its rank's thread and stays in `engine` until all have
// ended, so that a failing rank can cancel the others.
absl::Status RunRank(const Plan& plan, RankId rank, int num_steps,
                     const ThreadOptions& options, TransportEndpoint& endpoint,
                     ConnectRequest request, std::unique_ptr<Device>* device,
                     std::unique_ptr<Engine>* engine, Outcome* outcome) {
  PENSTOCK_ASSIGN_OR_RETURN(*device, MakeDevice("cpu"));
  std::unique_ptr<ShardStore> store;
  std::unique_ptr<StateSource> source;
  if (options.restore != nullptr) {
    store = MakeMemoryShardStore(options.shards);
    source = std::make_unique<ShardReader>(*options.restore, *store);
  }
  if (options.make_source) {
    PENSTOCK_ASSIGN_OR_RETURN(source, options.make_source(rank));
  }
  PENSTOCK_ASSIGN_OR_RETURN(*engine,
                            Engine::Load(plan, rank, **device, source.get()));
  request.rank = rank;
  PENSTOCK_ASSIGN_OR_RETURN(std::unique_ptr<Transport> transport,
                            endpoint.Connect(request));
  (*engine)->Attach(std::move(transport));
  outcome->AddEngine(engine->get());
  PENSTOCK_RETURN_IF_ERROR(
      RunSteps(**engine, rank, num_steps, options, outcome));
  outcome->AddDigests((*engine)->Digests());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TrainingRecord> TrainInThreads(const Plan& plan, int num_steps,
                                              const ThreadOptions& options) {
  const int num_ranks = plan.schedule().ranks_size();
  const std::unique_ptr<InProcessFabric> fabric = InProcessFabric::Make();
  std::vector<std::unique_ptr<TransportEndpoint>> endpoints;
  ConnectRequest request;
  request.channels = ChannelsOf(plan);
  request.deadline = absl::InfiniteFuture();
  Outcome outcome;
  request.interrupted = [&] { return outcome.status(); };
  for (int rank = 0; rank < num_ranks; ++rank) {
    endpoints.push_back(fabric->MakeEndpoint());
    if (options.faults.has_value()) {
      endpoints[rank] =
          MakeFaultyEndpoint(std::move(endpoints[rank]), *options.faults);
    }
    PENSTOCK_ASSIGN_OR_RETURN(TransportAddress address,
                              endpoints[rank]->Address());
    request.peers.push_back(std::move(address));
  }
  std::vector<std::unique_ptr<Device>> devices(endpoints.size());
  std::vector<std::unique_ptr<Engine>> engines(endpoints.size());
  std::vector<std::thread> threads;
  for (int rank = 0; rank < num_ranks; ++rank) {
    threads.emplace_back([&, rank] {
      const absl::Status status =
          RunRank(plan, RankId(rank), num_steps, options, *endpoints[rank],
                  request, &devices[rank], &engines[rank], &outcome);
      if (!status.ok()) {
        outcome.Fail(WithContext(status, absl::StrCat("rank ", rank)));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (options.uses != nullptr) {
    for (const std::unique_ptr<Engine>& engine : engines) {
      options.uses->push_back(engine == nullptr ? EngineUse() : engine->Use());
    }
  }
  if (options.checkpoints != nullptr) {
    *options.checkpoints = outcome.checkpoints();
  }
  return outcome.Finish();
}

}  // namespace penstock
