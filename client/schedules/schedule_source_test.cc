#include "client/schedules/schedule_source.h"

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr char kMine[] =
    "penstock-schedule 1\nname mine\nmicrobatches 1\nplacement r0 r1\n"
    "r0: 0F0 0B0\nr1: 1F0 1B0\n";

class ScheduleSourceTest : public ::testing::Test {
 protected:
  ScheduleSourceTest() : folder_(::testing::TempDir()) {}

  void Write(const std::string& text) {
    ASSERT_TRUE(
        WriteFileAtomically(absl::StrCat(folder_, "/mine.txt"), text).ok());
  }
  absl::StatusOr<SourcedSchedule> Load(const std::string& source,
                                       const LoweringChoice& lowering = {}) {
    return LoadSchedule(source, {.num_ranks = 2, .num_microbatches = 2},
                        lowering, folder_);
  }

  std::string folder_;
};

TEST_F(ScheduleSourceTest, ANameIsMadeForItsRequestOverAChain) {
  const absl::StatusOr<SourcedSchedule> sourced = Load("gpipe");
  ASSERT_TRUE(sourced.ok()) << sourced.status();
  EXPECT_EQ(sourced->schedule.num_microbatches, 2);
  EXPECT_EQ(sourced->schedule.edges.size(), 1u);
  EXPECT_THAT(sourced->text, IsEmpty());
}

TEST_F(ScheduleSourceTest, AFileSaysEverythingItselfAndKeepsItsText) {
  Write(kMine);
  const absl::StatusOr<SourcedSchedule> sourced = Load("./mine.txt");
  ASSERT_TRUE(sourced.ok()) << sourced.status();
  EXPECT_EQ(sourced->schedule.num_microbatches, 1);
  EXPECT_TRUE(sourced->chain_assumed);
  EXPECT_EQ(sourced->text, kMine);
}

TEST_F(ScheduleSourceTest, AFileWithEdgesIsTakenAtItsWord) {
  std::string text = kMine;
  text.insert(text.find("r0:"), "edge activation h 0>1\n");
  Write(text);
  const absl::StatusOr<SourcedSchedule> sourced = Load("mine.txt");
  ASSERT_TRUE(sourced.ok()) << sourced.status();
  EXPECT_FALSE(sourced->chain_assumed);
  EXPECT_EQ(sourced->schedule.edges[0].tensor, "h");
}

TEST_F(ScheduleSourceTest, WhatWasLoweredHasNoPlacesInTheFile) {
  Write(kMine);
  const absl::StatusOr<SourcedSchedule> sourced =
      Load("mine.txt", {.whole = true});
  ASSERT_TRUE(sourced.ok()) << sourced.status();
  EXPECT_TRUE(IsLowered(sourced->schedule));
  EXPECT_THAT(sourced->text, IsEmpty());
}

TEST_F(ScheduleSourceTest, ABadRecomputePolicyNamesTheSource) {
  const absl::Status status = Load("gpipe", {.recompute = "often"}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("gpipe: "), HasSubstr("often")));
}

TEST_F(ScheduleSourceTest, MissingFilesAndNamesAreTheArgumentsFault) {
  EXPECT_TRUE(absl::IsInvalidArgument(Load("./none.txt").status()));
  EXPECT_THAT(Load("gpype").status().message(),
              AllOf(HasSubstr("did you mean \"gpipe\"?"),
                    HasSubstr("a file is named with its path, as ./gpype")));
}

TEST(ParseParametersTest, PairsAreSplitAtTheirFirstEqualsSign) {
  EXPECT_THAT(*ParseParameters({"order=lifo", "costs=1=2"}),
              ElementsAre(Pair("costs", "1=2"), Pair("order", "lifo")));
  for (const char* bad : {"order", "=lifo", ""}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseParameters({bad}).status()))
        << bad;
  }
  EXPECT_THAT(ParseParameters({"a=1", "a=2"}).status().message(),
              HasSubstr("gives a twice"));
}

}  // namespace
}  // namespace penstock
