#ifndef PENSTOCK_COORDINATOR_CORE_TRAINING_FIXTURE_H_
#define PENSTOCK_COORDINATOR_CORE_TRAINING_FIXTURE_H_

#include <memory>
#include <string>
#include <vector>

#include "coordinator/core/cluster_fixture.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

// A cluster with a checkpoint store whose jobs have a model, for tests of
// checkpoints: a job has two stages on servers "s1" and "s2", which stand by.
class TrainingCluster : public Cluster {
 public:
  TrainingCluster();

  // Id and idempotency key follow from `name`; `restore` may be null. `change`
  // may alter the job before it is planned.
  absl::StatusOr<std::string> Train(
      const std::string& name, const CheckpointSpec& spec, int64_t steps,
      std::shared_ptr<const CheckpointManifest> restore = nullptr,
      const std::string& from = "");
  // Steps `first` to `last`, of every rank.
  void MakeSteps(const std::string& job, int64_t first, int64_t last);

  absl::StatusOr<std::string> ReportSnapshot(const std::string& id,
                                             const std::string& job,
                                             int64_t step, bool missed = false);
  // With files that hold what the server's stages should.
  absl::StatusOr<std::string> ReportShards(const std::string& id,
                                           const std::string& job, int64_t step,
                                           const std::string& error = "");
  // That, by every rank.
  void ReportAllShards(const std::string& job, int64_t step);
  // After the steps that are not finished yet.
  void FinishRanks(const std::string& job);
  // The store has done, or not, what a turn asked for.
  absl::StatusOr<std::string> Stored(const std::string& job, int64_t step,
                                     absl::Status status = absl::OkStatus());
  // All from the first shards to COMMIT.
  void MakeCheckpoint(const std::string& job, int64_t step);

  // What the last call asks of the store, of one kind.
  template <typename Work>
  std::vector<Work> WorkOf() const {
    std::vector<Work> found;
    for (const CheckpointWork& work : effects.checkpoint_work) {
      if (const Work* one = std::get_if<Work>(&work)) found.push_back(*one);
    }
    return found;
  }

  int64_t NextStep(const std::string& name) {
    return job(name).checkpoints().next_step();
  }
  // "4 COMMITTED, 8 PREPARING"
  std::string Catalog(const std::string& name) const;

  // Of jobs that are trained next.
  int stages = 2;
  int min_stages = 0;
  int max_stages = 0;
  bool grow = false;
  int ranks = 0;

  CheckpointId IdOf(const std::string& name, int64_t step) const;
  // Of a checkpoint that these jobs' models fit, as the store would have it.
  CheckpointManifest ManifestOfStep(const std::string& name,
                                    int64_t step) const;

 private:
  std::vector<ShardFile> FilesOfRank(const std::string& job, int rank) const;
};

CheckpointSpec EverySteps(int64_t steps, int keep_last = 2);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_TRAINING_FIXTURE_H_
