#include "checkpoint/layout/layout.h"

#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

TEST(LayoutTest, AJobIdIsAPlainName) {
  for (const char* id : {"2f0c9a", "job-1", "a.b_c", "A"}) {
    EXPECT_EQ(CheckJobId(id), absl::OkStatus()) << id;
  }
  for (const std::string& id :
       {std::string(), std::string("."), std::string(".."),
        std::string("../other"), std::string("a/b"), std::string("/etc"),
        std::string("a b"), std::string("a\0b", 3), std::string(".hidden"),
        std::string(129, 'a')}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckJobId(id))) << id;
  }
}

TEST(LayoutTest, ACheckpointIdHasNoNegativeNumbers) {
  CheckpointId id;
  id.set_job_id("j");
  EXPECT_EQ(CheckCheckpointId(id), absl::OkStatus());
  id.set_step(-1);
  EXPECT_TRUE(absl::IsInvalidArgument(CheckCheckpointId(id)));
  id.set_step(1);
  id.set_epoch(-1);
  EXPECT_TRUE(absl::IsInvalidArgument(CheckCheckpointId(id)));
}

TEST(LayoutTest, ACheckpointsFolderSaysItsStepAndEpoch) {
  EXPECT_EQ(CheckpointFolder(1200, 7), "step-000001200.e0007");
  EXPECT_EQ(CheckpointFolder(0, 0), "step-000000000.e0000");
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  for (const int64_t number : {int64_t{0}, int64_t{9999}, int64_t{10'000},
                               int64_t{9'999'999'999}, kMost}) {
    const auto parsed = ParseCheckpointFolder(CheckpointFolder(number, number));
    ASSERT_TRUE(parsed.has_value()) << number;
    EXPECT_EQ(parsed->step, number);
    EXPECT_EQ(parsed->epoch, number);
  }
}

TEST(LayoutTest, OtherSpellingsOfACheckpointsFolderAreNone) {
  for (const char* name :
       {"", "step-", "step-1200.e7", "step-000001200.e0007 ",
        "step-000001200.e0007/..", "step-0000001200.e0007",
        "step--00001200.e0007", "step-+00001200.e0007", "step-000001200",
        "step-000001200.e", "step-99999999999999999999.e0001", "LATEST"}) {
    EXPECT_FALSE(ParseCheckpointFolder(name).has_value()) << name;
  }
}

TEST(LayoutTest, AShardsNameSaysItsLayerAndKind) {
  EXPECT_EQ(ShardFileName(0, "embed", ShardFile::WEIGHTS),
            "l0000-embed.w.safetensors");
  EXPECT_EQ(ShardFileName(12, "text.h3", ShardFile::OPTIMIZER),
            "l0012-text.h3.opt.safetensors");
  for (const ShardFile::Kind kind :
       {ShardFile::WEIGHTS, ShardFile::OPTIMIZER, ShardFile::OLDER_VERSIONS}) {
    for (const int layer : {0, 7, 12345}) {
      const auto parsed = ParseShardFileName(ShardFileName(layer, "h-0", kind));
      ASSERT_TRUE(parsed.ok()) << parsed.status();
      EXPECT_EQ(parsed->layer, layer);
      EXPECT_EQ(parsed->kind, kind);
    }
  }
}

TEST(LayoutTest, AnyLayersNameGivesASafeFileName) {
  for (const std::string& layer :
       {std::string("../../etc/passwd"), std::string("a\0b", 3),
        std::string("\xff\xfe"), std::string(), std::string(1000, 'x'),
        std::string("a.opt")}) {
    const std::string name = ShardFileName(3, layer, ShardFile::WEIGHTS);
    EXPECT_EQ(name.find('/'), std::string::npos) << name;
    EXPECT_LT(name.size(), 150u);
    const auto parsed = ParseShardFileName(name);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->kind, ShardFile::WEIGHTS);
  }
}

TEST(LayoutTest, NamesThatLeadElsewhereAreNoShards) {
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."),
        std::string("../l0000-embed.w.safetensors"),
        std::string("/l0000-embed.w.safetensors"),
        std::string("l0000-a/b.w.safetensors"),
        std::string("l0000-a\0.w.safetensors", 22),
        std::string("l0000-embed.w.safetensors.part"),
        std::string("l0-embed.w.safetensors"),
        std::string("l-001-embed.w.safetensors"),
        std::string("l99999999999-embed.w.safetensors"),
        std::string("l0000.w.safetensors"), std::string("manifest.json"),
        std::string("COMMIT"), std::string("l0000-embed.safetensors"),
        absl::StrCat("l0000-", std::string(300, 'a'), ".w.safetensors")}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseShardFileName(name).status()))
        << name;
  }
  EXPECT_THAT(std::string(ParseShardFileName("../x").status().message()),
              HasSubstr("\"../x\""));
}

TEST(LayoutTest, PathsFollowFromTheId) {
  CheckpointId id;
  id.set_job_id("2f0c");
  id.set_step(5);
  id.set_epoch(1);
  EXPECT_EQ(CheckpointPath("/r", id), "/r/2f0c/step-000000005.e0001");
  EXPECT_EQ(Describe(id), "step 5, epoch 1, of job 2f0c");
}

TEST(CheckStoredNameTest, ShardsAndAPartsRecordAreStoredAndNothingElse) {
  EXPECT_EQ(CheckStoredName("l0000-embed.w.safetensors"), absl::OkStatus());
  EXPECT_EQ(CheckStoredName(kPartFile), absl::OkStatus());
  for (const char* bad : {"", "COMMIT", "manifest.json", "../part.pb", "a"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckStoredName(bad))) << bad;
  }
}

TEST(RankPathTest, EachRankHasAFolder) {
  EXPECT_EQ(RankPath("/r", 3), "/r/rank-0003");
  EXPECT_EQ(RankPath("/r", 12345), "/r/rank-12345");
}

}  // namespace
}  // namespace penstock
