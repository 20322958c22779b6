#include "stage_server/engine/emulated_state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace penstock {
namespace {

// Gives back what a snapshot holds.
class SnapshotSource : public StateSource {
 public:
  explicit SnapshotSource(const EngineSnapshot& snapshot) {
    state_ = snapshot.state;
    for (const EngineSnapshot::Entry& entry : snapshot.tensors) {
      bytes_[entry.tensor.name].assign(entry.bytes.begin(), entry.bytes.end());
    }
  }
  const TrainState& state() const override { return state_; }
  bool weights_only() const override { return is_weights_only_; }
  bool other_shape() const override { return false; }
  absl::Status Fill(absl::Span<const StateSlot> slots,
                    absl::Span<const std::string>) override {
    for (const StateSlot& slot : slots) {
      const auto found = bytes_.find(slot.tensor.name);
      if (found == bytes_.end()) return absl::InvalidArgumentError("missing");
      std::copy(found->second.begin(), found->second.end(), slot.into.begin());
      filled_.push_back(slot.tensor.name);
    }
    return absl::OkStatus();
  }

  TrainState state_;
  bool is_weights_only_ = false;
  std::map<std::string, std::vector<std::byte>> bytes_;
  std::vector<std::string> filled_;
};

const std::vector<EmulatedLayer> kLayers = {
    {0, "embed", 400, 800}, {1, "relu", 0, 0}, {2, "head", 1000, 0}};
const std::vector<std::string> kModel = {"embed", "relu", "head"};

TEST(EmulatedStateTest, HasTheSizeOfTheRealOneAndTheMemoryOfTheLargest) {
  const auto snapshot = EmulatedSnapshot(kLayers, 7);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_EQ(snapshot->state.step(), 7);
  EXPECT_EQ(snapshot->size_bytes, 2200);
  ASSERT_EQ(snapshot->tensors.size(), 4u);
  EXPECT_EQ(snapshot->tensors[0].tensor.name, "embed.weight");
  EXPECT_EQ(snapshot->tensors[1].tensor.name, "embed.weight/state");
  EXPECT_EQ(snapshot->tensors[1].tensor.shape, std::vector<int64_t>{200});
  EXPECT_EQ(snapshot->tensors[3].tensor.size_bytes(), 0);
  for (const EngineSnapshot::Entry& entry : snapshot->tensors) {
    EXPECT_EQ(entry.bytes.data(), snapshot->tensors[0].bytes.data());
  }
}

TEST(EmulatedStateTest, ComesBackWhole) {
  const auto snapshot = EmulatedSnapshot(kLayers, 7);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  SnapshotSource source(*snapshot);
  EXPECT_TRUE(ReadEmulatedState(kLayers, kModel, source).ok());
  EXPECT_EQ(source.filled_.size(), 4u);
  source.is_weights_only_ = true;
  source.filled_.clear();
  EXPECT_TRUE(ReadEmulatedState(kLayers, kModel, source).ok());
  EXPECT_EQ(source.filled_,
            (std::vector<std::string>{"embed.weight", "head.weight"}));
}

TEST(EmulatedStateTest, OtherBytesAreDataLoss) {
  const auto snapshot = EmulatedSnapshot({kLayers[0]}, 7);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  SnapshotSource source(*snapshot);
  source.bytes_["embed.weight/state"][5] ^= std::byte{1};
  const absl::Status status =
      ReadEmulatedState({kLayers[0]}, {"embed"}, source);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
}

TEST(EmulatedStateTest, WhatIsMissingIsSaidByTheSource) {
  const auto snapshot = EmulatedSnapshot({kLayers[0]}, 7);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  SnapshotSource source(*snapshot);
  EXPECT_EQ(ReadEmulatedState(kLayers, kModel, source).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace penstock
