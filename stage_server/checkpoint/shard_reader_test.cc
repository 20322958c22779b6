#include "stage_server/checkpoint/shard_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/shards/corruption.h"
#include "stage_server/checkpoint/memory_shard_store.h"
#include "stage_server/checkpoint/shard_files.h"
#include "stage_server/checkpoint/test_snapshot.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ShardReaderTest : public ::testing::Test {
 protected:
  // A checkpoint of `snapshot` in the store.
  void Store(const EngineSnapshot& snapshot) {
    point_.Clear();
    *point_.mutable_checkpoint() = TestCheckpoint();
    *point_.mutable_state() = snapshot.state;
    const auto files = FilesOf(snapshot);
    ASSERT_TRUE(files.ok()) << files.status();
    for (const SnapshotFile& file : *files) {
      const auto stored = WriteFile(file, TestCheckpoint(), *store_,
                                    [] { return absl::OkStatus(); });
      ASSERT_TRUE(stored.ok()) << stored.status();
      *point_.add_files() = *stored;
    }
  }

  // What is wanted of the model: all that the snapshot has.
  void Want(const EngineSnapshot& snapshot) {
    slots_.clear();
    bytes_.clear();
    for (const EngineSnapshot::Entry& entry : snapshot.tensors) {
      Add(entry.tensor);
    }
  }
  void Add(const StateTensor& tensor, bool is_borrowed = false) {
    auto& bytes = bytes_.emplace_back(
        std::make_unique<std::vector<std::byte>>(tensor.size_bytes()));
    slots_.push_back({tensor, absl::MakeSpan(*bytes), is_borrowed});
  }

  absl::Status Fill() {
    return ShardReader(point_, *store_).Fill(slots_, layer_names_);
  }
  std::string Refusal() { return std::string(Fill().message()); }

  // Changes the content of a file.
  void Change(const std::string& file,
              const std::function<void(std::string&)>& change) {
    MutexLock lock(&memory_->mutex);
    change(memory_->files.at("job-1/4/" + file));
  }

  const EngineSnapshot snapshot_ = TestSnapshot();
  const std::shared_ptr<ShardMemory> memory_ = std::make_shared<ShardMemory>();
  const std::unique_ptr<ShardStore> store_ = MakeMemoryShardStore(memory_);
  RestorePoint point_;
  std::vector<StateSlot> slots_;
  std::vector<std::unique_ptr<std::vector<std::byte>>> bytes_;
  std::vector<std::string> layer_names_ = TestLayerNames();
};

TEST_F(ShardReaderTest, FillsEachSlotWithItsTensor) {
  Store(snapshot_);
  Want(snapshot_);
  // The order of what is asked for is the caller's.
  std::reverse(slots_.begin(), slots_.end());
  ASSERT_TRUE(Fill().ok()) << Fill();
  for (size_t i = 0; i < slots_.size(); ++i) {
    const auto& want = snapshot_.tensors[slots_.size() - 1 - i].bytes;
    EXPECT_TRUE(std::equal(want.begin(), want.end(), slots_[i].into.begin(),
                           slots_[i].into.end()))
        << slots_[i].tensor.name;
  }
}

TEST_F(ShardReaderTest, ReadsOnlyWhatIsAskedFor) {
  Store(snapshot_);
  // Layer 2 is another rank's.
  for (size_t i = 0; i < 4; ++i) Add(snapshot_.tensors[i].tensor);
  ASSERT_TRUE(Fill().ok()) << Fill();
  MutexLock lock(&memory_->mutex);
  EXPECT_EQ(memory_->num_reads, 4);
}

TEST_F(ShardReaderTest, ATensorOfManyPiecesComesWhole) {
  const EngineSnapshot large = TestSnapshot(/*scale=*/400'000);
  Store(large);
  Want(large);
  ASSERT_TRUE(Fill().ok()) << Fill();
  EXPECT_TRUE(std::equal(slots_[0].into.begin(), slots_[0].into.end(),
                         large.tensors[0].bytes.begin()));
}

TEST_F(ShardReaderTest, ABorrowedTensorIsReadAloneFromItsLayer) {
  Store(snapshot_);
  Add(snapshot_.tensors[1].tensor, /*is_borrowed=*/true);
  EXPECT_TRUE(Fill().ok()) << Fill();
  slots_[0].is_borrowed = false;
  EXPECT_THAT(Refusal(), HasSubstr("\"embed.token.weight\" is nothing of the "
                                   "model's"));
}

TEST_F(ShardReaderTest, ALayerMayHaveAnotherPlaceInTheModel) {
  Store(snapshot_);
  Want(snapshot_);
  for (StateSlot& slot : slots_) slot.tensor.layer += 5;
  EXPECT_TRUE(Fill().ok()) << Fill();
}

// ---- Models that have changed ---------------------------------------------

TEST_F(ShardReaderTest, NamesTensorsThatAreMissingOrTooMany) {
  Store(snapshot_);
  Want(snapshot_);
  slots_[0].tensor.name = "embed.word.weight";
  EXPECT_EQ(Fill().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      Refusal(),
      AllOf(HasSubstr("not that of the checkpoint of step 4"),
            HasSubstr("\"embed.word.weight\" is missing"),
            HasSubstr("\"embed.token.weight\" is nothing of the model's")));
}

TEST_F(ShardReaderTest, NamesBothShapes) {
  Store(snapshot_);
  Want(snapshot_);
  slots_[0].tensor.shape = {2, 3};
  EXPECT_THAT(Refusal(), HasSubstr("\"embed.token.weight\" is F32 [3, 2], the "
                                   "model has F32 [2, 3]"));
}

TEST_F(ShardReaderTest, NamesALayerThatTheCheckpointDoesNotHave) {
  Store(snapshot_);
  Want(snapshot_);
  layer_names_.push_back("h1.norm");
  StateTensor tensor = snapshot_.tensors[4].tensor;
  tensor.layer_name = "h1.norm";
  Add(tensor);
  EXPECT_THAT(Refusal(), HasSubstr("it has no weights of layer \"h1.norm\""));
}

TEST_F(ShardReaderTest, NamesALayerThatTheModelDoesNotHave) {
  Store(snapshot_);
  for (size_t i = 0; i < 4; ++i) Add(snapshot_.tensors[i].tensor);
  layer_names_ = {"embed"};
  EXPECT_THAT(Refusal(), HasSubstr("layer \"h0.norm\" is not in the model"));
}

TEST_F(ShardReaderTest, AnotherOptimizerShowsByItsState) {
  Store(snapshot_);
  Want(snapshot_);
  slots_[2].tensor.name = "embed.token.weight/exp_avg";
  EXPECT_THAT(Refusal(),
              AllOf(HasSubstr("model or optimizer"),
                    HasSubstr("\"embed.token.weight/exp_avg\" is missing")));
}

TEST_F(ShardReaderTest, ManyDifferencesAreCounted) {
  Store(snapshot_);
  Want(snapshot_);
  for (StateSlot& slot : slots_) absl::StrAppend(&slot.tensor.name, "x");
  EXPECT_THAT(Refusal(), HasSubstr("; and 4 more"));
}

// ---- Files that are not what was stored -----------------------------------

TEST_F(ShardReaderTest, AnyBitThatFlippedInATensorIsFoundAndNamed) {
  Store(snapshot_);
  Want(snapshot_);
  for (const ShardFile& file : point_.files()) {
    for (const ShardTensor& tensor : file.tensors()) {
      for (int64_t i = 0; i < tensor.size_bytes(); ++i) {
        const auto flip = [&](std::string& content) {
          content[tensor.offset_bytes() + i] ^= 1 << i % 8;
        };
        Change(file.name(), flip);
        const absl::Status status = Fill();
        EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
        EXPECT_THAT(std::string(status.message()),
                    AllOf(StartsWith(kCorruptCheckpoint),
                          HasSubstr(file.name()), HasSubstr(tensor.name())));
        Change(file.name(), flip);
      }
    }
  }
  EXPECT_TRUE(Fill().ok()) << Fill();
}

TEST_F(ShardReaderTest, AFileThatEndsTooEarlyOrIsGoneIsDataLoss) {
  Store(snapshot_);
  Want(snapshot_);
  const std::string name = point_.files(0).name();
  Change(name, [](std::string& content) { content.pop_back(); });
  EXPECT_EQ(Fill().code(), absl::StatusCode::kDataLoss);
  {
    MutexLock lock(&memory_->mutex);
    memory_->files.erase("job-1/4/" + name);
  }
  EXPECT_EQ(Fill().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Refusal(), AllOf(StartsWith(kCorruptCheckpoint),
                               HasSubstr("no file"), HasSubstr(name)));
}

TEST_F(ShardReaderTest, FilesOfTwoLayersThatChangedPlacesAreFound) {
  EngineSnapshot twins = snapshot_;
  twins.tensors.resize(5);
  twins.tensors[1] = twins.tensors[4];
  twins.tensors[1].tensor.layer = 0;
  twins.tensors[1].tensor.layer_name = "embed";
  twins.tensors = {twins.tensors[1], twins.tensors[4]};
  twins.tensors[1].bytes = snapshot_.tensors[0].bytes.subspan(0, 12);
  Store(twins);
  Want(twins);
  ASSERT_TRUE(Fill().ok()) << Fill();
  {
    MutexLock lock(&memory_->mutex);
    std::swap(memory_->files.at("job-1/4/" + point_.files(0).name()),
              memory_->files.at("job-1/4/" + point_.files(1).name()));
  }
  EXPECT_EQ(Fill().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ShardReaderTest, AManifestWhoseSizesDoNotFitIsNotRead) {
  Store(snapshot_);
  Want(snapshot_);
  point_.mutable_files(0)->mutable_tensors(0)->set_size_bytes(1 << 20);
  EXPECT_THAT(Refusal(),
              AllOf(StartsWith(kCorruptCheckpoint),
                    HasSubstr("gives it 1048576 bytes, its shape takes 24")));
}

TEST_F(ShardReaderTest, AStoreThatIsAwayIsNotACorruptCheckpoint) {
  Store(snapshot_);
  Want(snapshot_);
  store_->Cancel(absl::UnavailableError("away"));
  EXPECT_EQ(Fill().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("away"), HasSubstr("embed"),
                               Not(HasSubstr(kCorruptCheckpoint))));
}

}  // namespace
}  // namespace penstock
