// Seeded damage of sound files, the same in every run, against what must hold
// for all bytes (checkpoint_properties.h): a second of what
// checkpoint_fuzzer.cc does for hours.

#include <cstdint>
#include <string>

#include "base/random.h"
#include "checkpoint/manifest/manifest.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "gtest/gtest.h"
#include "tests/fuzz/checkpoint_properties.h"

namespace penstock {
namespace {

constexpr uint64_t kMutants = 5000;

// One to four changes: a byte, a part cut out, a part repeated.
std::string Mutant(std::string bytes, uint64_t seed) {
  const uint64_t num_changes = 1 + RandomKey(seed, {0}) % 4;
  for (uint64_t change = 0; change < num_changes && !bytes.empty(); ++change) {
    const uint64_t kind = RandomKey(seed, {change, 1}) % 4;
    const size_t at = RandomKey(seed, {change, 2}) % bytes.size();
    const size_t size = 1 + RandomKey(seed, {change, 3}) % 40;
    const auto value = static_cast<char>(RandomKey(seed, {change, 4}));
    if (kind == 0) bytes[at] ^= static_cast<char>(1 << (value & 7));
    if (kind == 1) bytes[at] = "0123456789\"{}[],:-.e"[(value & 0x7f) % 20];
    if (kind == 2) bytes.erase(at, size);
    if (kind == 3) bytes.insert(at, bytes.substr(at, size));
  }
  return bytes;
}

TEST(CheckpointFuzzTest, SoundFilesAreAccepted) {
  const TestCheckpoint checkpoint =
      MakeTestCheckpoint(TestCheckpointId("job", 5, 1));
  bool accepted = false;
  ASSERT_EQ(CheckManifestText(*EncodeManifest(checkpoint.manifest), &accepted),
            absl::OkStatus());
  EXPECT_TRUE(accepted);
  for (const auto& [name, content] : checkpoint.shards) {
    ASSERT_EQ(CheckShardBytes(content, &accepted), absl::OkStatus());
    EXPECT_TRUE(accepted) << name;
  }
}

TEST(CheckpointFuzzTest, DamagedManifestsAreRefusedOrSound) {
  const std::string sound = *EncodeManifest(
      MakeTestCheckpoint(TestCheckpointId("job", 5, 1)).manifest);
  int num_accepted = 0;
  for (uint64_t seed = 0; seed < kMutants; ++seed) {
    bool accepted = false;
    const std::string mutant = Mutant(sound, seed);
    ASSERT_EQ(CheckManifestText(mutant, &accepted), absl::OkStatus())
        << seed << "\n"
        << mutant;
    num_accepted += accepted ? 1 : 0;
  }
  EXPECT_GT(num_accepted, 0);
}

TEST(CheckpointFuzzTest, DamagedShardsAreRefusedOrSound) {
  const TestCheckpoint checkpoint =
      MakeTestCheckpoint(TestCheckpointId("job", 5, 1));
  const std::string& sound = checkpoint.shards.begin()->second;
  int num_accepted = 0;
  for (uint64_t seed = 0; seed < kMutants; ++seed) {
    bool accepted = false;
    ASSERT_EQ(CheckShardBytes(Mutant(sound, seed), &accepted), absl::OkStatus())
        << seed;
    num_accepted += accepted ? 1 : 0;
  }
  EXPECT_GT(num_accepted, 0);
}

}  // namespace
}  // namespace penstock
