// A run that loses a stage server and goes on from what the others have in
// memory has the bits of one that never did.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "checkpoint/transfer/transfer_server.h"
#include "checkpoint/transfer/transfer_shard_store.h"
#include "coordinator/core/plan_builder.h"
#include "stage_server/checkpoint/memory_source.h"
#include "stage_server/checkpoint/shard_reader.h"
#include "stage_server/checkpoint/snapshot_keeper.h"
#include "stage_server/checkpoint/state_memory.h"
#include "tests/parity/engine_threads.h"
#include "tests/parity/parity_fixture.h"
#include "tests/parity/resumed_training.h"

namespace penstock {
namespace {

constexpr char kJob[] = "job-1";
constexpr char kToken[] = "secret";

Job Cut(Job job, const std::string& schedule, int stages) {
  job.mutable_schedule()->set_name(schedule);
  job.mutable_schedule()->set_microbatches(4);
  job.mutable_partition()->set_stages(stages);
  return job;
}

std::unique_ptr<ShardStore> OpenParts(const std::string& address,
                                      const std::string& token, int rank) {
  TransferClientOptions options;
  options.address = address;
  options.token = token;
  options.rank = rank;
  options.patience = absl::Seconds(10);
  return MakeTransferShardStore(std::move(options), SystemClock());
}

// A stage server's memory, and the port that others reach it by.
struct Host {
  Host() {
    TransferServer::Options options;
    options.parts = &memory;
    server = TransferServer::Start(memory.files(), StateMemory::root(), options)
                 .value();
    memory.Admit(kJob, kToken);
  }
  bool Holds(int rank, int64_t step) const {
    const MemoryReport report = memory.Report();
    for (const auto& held : report.held()) {
      const auto& steps = held.steps();
      if (held.rank() == rank &&
          std::find(steps.begin(), steps.end(), step) != steps.end()) {
        return true;
      }
    }
    return false;
  }

  StateMemory memory{[](MemoryReport) {}};
  std::unique_ptr<TransferServer> server;
};

class MemoryTierTest : public ::testing::Test {
 protected:
  // Up to a step; each rank on a host of its own, with its copies on the next
  // one's.
  void Train(const Job& job, int last) {
    const auto built = BuildPlan(job);
    ASSERT_TRUE(built.ok()) << built.status();
    const int num_ranks = built->plan.schedule().ranks_size();
    std::vector<std::unique_ptr<SnapshotKeeper>> keepers;
    for (int rank = 0; rank < num_ranks; ++rank) {
      hosts_.push_back(std::make_unique<Host>());
    }
    for (int rank = 0; rank < num_ranks; ++rank) {
      keepers.push_back(std::make_unique<SnapshotKeeper>(
          hosts_[rank]->memory, rank, OpenParts,
          [](std::string text) { ADD_FAILURE() << text; }, SystemClock()));
      keepers[rank]->SetPeer(hosts_[(rank + 1) % num_ranks]->server->address(),
                             kToken);
    }
    ThreadOptions options;
    options.on_snapshot = [&](RankId rank, const EngineSnapshot& snapshot) {
      ShardReport part;
      *part.mutable_checkpoint() = IdOf(snapshot.state.step());
      part.set_plan_hash(built->plan.schedule_hash());
      keepers[rank.value()]->Keep(std::move(part), snapshot, 0);
    };
    const auto record = TrainInThreads(built->plan, last, options);
    ASSERT_TRUE(record.ok()) << record.status();
    for (const auto& keeper : keepers) {
      ASSERT_EQ(keeper->AwaitFree(), absl::OkStatus());
    }
  }

  static CheckpointId IdOf(int64_t step) {
    CheckpointId id;
    id.set_job_id(kJob);
    id.set_step(step);
    id.set_epoch(1);
    return id;
  }

  // Host `lost` has ended, with what it had in memory; -1: none has. From where
  // the parts of the step are then.
  RestorePoint PointWithout(int lost, int64_t step) const {
    RestorePoint point;
    *point.mutable_checkpoint() = IdOf(step);
    point.mutable_memory()->set_token(kToken);
    const int num_ranks = static_cast<int>(hosts_.size());
    for (int rank = 0; rank < num_ranks; ++rank) {
      const int holder = rank == lost ? (rank + 1) % num_ranks : rank;
      EXPECT_TRUE(hosts_[holder]->Holds(rank, step));
      MemoryRestore::Part& part = *point.mutable_memory()->add_parts();
      part.set_rank(rank);
      part.set_address(hosts_[holder]->server->address());
    }
    return point;
  }

  static absl::StatusOr<TrainingRecord> FinishFrom(const RestorePoint& point,
                                                   const Job& job) {
    const auto built = BuildPlan(job);
    if (!built.ok()) return built.status();
    ThreadOptions options;
    options.make_source =
        [&](RankId) -> absl::StatusOr<std::unique_ptr<StateSource>> {
      return OpenSource(point);
    };
    return TrainInThreads(built->plan, static_cast<int>(job.steps()), options);
  }

  // A reader with the source that it reads from.
  class OwningReader : public ShardReader {
   public:
    explicit OwningReader(std::unique_ptr<MemorySource> source)
        : ShardReader(source->point(), *source), source_(std::move(source)) {}

   private:
    const std::unique_ptr<MemorySource> source_;
  };
  static absl::StatusOr<std::unique_ptr<StateSource>> OpenSource(
      const RestorePoint& point) {
    auto source = std::make_unique<MemorySource>(point, OpenParts);
    const absl::Status opened = source->Open();
    if (!opened.ok()) return opened;
    return std::make_unique<OwningReader>(std::move(source));
  }

  std::vector<std::unique_ptr<Host>> hosts_;
};

TEST_F(MemoryTierTest, WhicheverServerIsLostTheRestHasTheSameBits) {
  Job job = TinyGpt("adamw");
  job.set_steps(6);
  job = Cut(job, "one_f_one_b", 3);
  const auto whole = ReferenceOfPlan(job);
  for (int lost = -1; lost < 3; ++lost) {
    SCOPED_TRACE(absl::StrCat("without host ", lost));
    hosts_.clear();
    Train(job, 4);
    const RestorePoint point = PointWithout(lost, 4);
    if (lost >= 0) hosts_[lost].reset();
    ExpectSameBits(FinishFrom(point, job), RestOf(whole, 4));
  }
}

TEST_F(MemoryTierTest, FewerStagesGoOnFromTheStepBefore) {
  Job job = TinyGpt("sgd");
  job.set_steps(5);
  const Job before = Cut(job, "one_f_one_b", 3);
  const Job after = Cut(job, "gpipe", 2);
  const auto whole = ReferenceOfPlan(before);
  Train(before, 4);
  ExpectSameBits(FinishFrom(PointWithout(1, 3), after), RestOf(whole, 3));
}

TEST_F(MemoryTierTest, AServerThatHasEndedIsALoss) {
  Job job = Cut(TinyGpt("sgd"), "gpipe", 2);
  job.set_steps(2);
  Train(job, 1);
  const RestorePoint point = PointWithout(-1, 1);
  hosts_[1]->memory.KeepOnly("");
  const absl::Status status = FinishFrom(point, job).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_NE(status.message().find("lost memory: step 1"), std::string::npos)
      << status;
}

}  // namespace
}  // namespace penstock
