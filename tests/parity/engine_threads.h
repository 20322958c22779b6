#ifndef PENSTOCK_TESTS_PARITY_ENGINE_THREADS_H_
#define PENSTOCK_TESTS_PARITY_ENGINE_THREADS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "proto/plan.pb.h"
#include "proto/stage_service.pb.h"
#include "stage_server/checkpoint/memory_shard_store.h"
#include "stage_server/engine/engine.h"
#include "stage_server/engine/engine_state.h"
#include "stage_server/transport/faulty/faulty_transport.h"
#include "tests/parity/reference_loop.h"

namespace penstock {

struct ThreadOptions {
  // What goes wrong on the way between the ranks.
  std::optional<Faults> faults;
  // If not null, gets what each rank used, by rank.
  std::vector<EngineUse>* uses = nullptr;
  // If not null, gets a checkpoint after each step, its files in `shards`.
  std::map<int64_t, RestorePoint>* checkpoints = nullptr;
  std::shared_ptr<ShardMemory> shards;
  // If not null, training goes on from it, whose files are in `shards`.
  const RestorePoint* restore = nullptr;
  // If set, is given each rank's state after each step, on the rank's thread.
  std::function<void(RankId, const EngineSnapshot&)> on_snapshot;
  // If set, training goes on from what it gives, likewise.
  std::function<absl::StatusOr<std::unique_ptr<StateSource>>(RankId)>
      make_source;
};

// Runs all ranks of `plan` up to step `num_steps` in this process, one thread
// each, joined by the in-process transport. The first error of any rank ends
// all and is returned, with the rank before it.
absl::StatusOr<TrainingRecord> TrainInThreads(
    const Plan& plan, int num_steps, const ThreadOptions& options = {});

}  // namespace penstock

#endif  // PENSTOCK_TESTS_PARITY_ENGINE_THREADS_H_
