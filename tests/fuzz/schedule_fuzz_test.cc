// Seeded schedules, files and messages, the same in every run, against what
// must hold for all of them (schedule_properties.h): a few seconds of what
// schedule_fuzzer.cc does for hours.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gtest/gtest.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/schedule_proto.h"
#include "schedule/ir/text_format.h"
#include "tests/fuzz/random_schedule.h"
#include "tests/fuzz/schedule_properties.h"

namespace penstock {
namespace {

constexpr int kSchedules = 4000;
constexpr int kMutantsOfEach = 120;

// Every generator's smallest interesting schedule, and a lowered one.
const std::vector<std::string>& SoundFiles() {
  static const auto* files = [] {
    auto* texts = new std::vector<std::string>;
    for (const GeneratorInfo& info : Generators()) {
      for (const int m : {2, 4, 8}) {
        absl::StatusOr<Schedule> schedule =
            Generate(info.name, {.num_ranks = 4, .num_microbatches = m});
        if (!schedule.ok()) continue;
        schedule->edges = ChainEdges(schedule->num_stages());
        texts->push_back(PrintSchedule(*schedule));
        break;
      }
    }
    const absl::StatusOr<std::string> lowered =
        ReadFile("tests/golden/schedules/one_f_one_b_p3_m3.schedule");
    EXPECT_TRUE(lowered.ok()) << lowered.status();
    texts->push_back(lowered.value_or(""));
    return texts;
  }();
  return *files;
}

TEST(ScheduleFuzzTest, EveryGeneratorHasAFileToBeginWith) {
  EXPECT_EQ(SoundFiles().size(), Generators().size() + 1);
  for (const std::string& text : SoundFiles()) {
    bool accepted = false;
    const absl::Status status = CheckScheduleText(text, &accepted);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_TRUE(accepted);
  }
}

TEST(ScheduleFuzzTest, RandomSchedulesSurviveTextAndProto) {
  for (uint64_t seed = 0; seed < kSchedules; ++seed) {
    const absl::Status status = CheckSchedule(RandomSchedule(seed));
    ASSERT_TRUE(status.ok()) << "seed " << seed << ": " << status;
  }
}

TEST(ScheduleFuzzTest, MutantsOfSoundFilesAreReadTheSameOrRefused) {
  int accepted_files = 0;
  for (size_t file = 0; file < SoundFiles().size(); ++file) {
    for (uint64_t seed = 0; seed < kMutantsOfEach; ++seed) {
      bool accepted = false;
      const absl::Status status = CheckScheduleText(
          Mutated(SoundFiles()[file], RandomKey(seed, {file})), &accepted);
      ASSERT_TRUE(status.ok())
          << "file " << file << ", seed " << seed << ": " << status;
      accepted_files += accepted;
    }
  }
  EXPECT_GT(accepted_files, kMutantsOfEach);
}

TEST(ScheduleFuzzTest, MutantsOfRandomFilesAreReadTheSameOrRefused) {
  for (uint64_t seed = 0; seed < kSchedules; ++seed) {
    const absl::Status status = CheckScheduleText(
        Mutated(PrintSchedule(RandomSchedule(seed)), seed + 1));
    ASSERT_TRUE(status.ok()) << "seed " << seed << ": " << status;
  }
}

TEST(ScheduleFuzzTest, MutantsOfMessagesAreReadTheSameOrRefused) {
  int accepted_messages = 0;
  for (uint64_t seed = 0; seed < kSchedules; ++seed) {
    std::string bytes = ToProto(RandomSchedule(seed)).SerializeAsString();
    Draw draw(seed);
    for (int edit = draw.Below(3); edit >= 0; --edit) {
      bytes[draw.Below(bytes.size())] = static_cast<char>(draw.Below(256));
    }
    bool accepted = false;
    const absl::Status status = CheckScheduleMessage(bytes, &accepted);
    ASSERT_TRUE(status.ok()) << "seed " << seed << ": " << status;
    accepted_messages += accepted;
  }
  EXPECT_GT(accepted_messages, kSchedules / 50);
}

TEST(ScheduleFuzzTest, EmptyTextIsRefused) {
  bool accepted = true;
  EXPECT_TRUE(CheckScheduleText("", &accepted).ok());
  EXPECT_FALSE(accepted);
}

}  // namespace
}  // namespace penstock
