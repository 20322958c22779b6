#include "checkpoint/upload/upload_table.h"

#include <string>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Time kStart = absl::UnixEpoch();

UploadTable::Upload Upload(int64_t epoch, const std::string& file = "a",
                           const std::string& job = "job") {
  UploadTable::Upload upload;
  upload.checkpoint.set_job_id(job);
  upload.checkpoint.set_step(5);
  upload.checkpoint.set_epoch(epoch);
  upload.file = file;
  return upload;
}

TEST(UploadTableTest, UploadsOfDifferentFilesRunSideBySide) {
  UploadTable table;
  const auto a = table.Begin(Upload(1, "a"), kStart);
  const auto b = table.Begin(Upload(1, "b"), kStart);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_NE(a->number, b->number);
  EXPECT_FALSE(b->superseded.has_value());
  EXPECT_EQ(table.Touch(a->number, kStart), absl::OkStatus());
  EXPECT_EQ(table.Touch(b->number, kStart), absl::OkStatus());
}

TEST(UploadTableTest, FilesOfOneNameOfTwoRanksAreTwo) {
  UploadTable table;
  UploadTable::Upload of_rank = Upload(1);
  ASSERT_TRUE(table.Begin(of_rank, kStart).ok());
  for (const int rank : {0, 1}) {
    of_rank.rank = rank;
    const auto begun = table.Begin(of_rank, kStart);
    ASSERT_TRUE(begun.ok());
    EXPECT_FALSE(begun->superseded.has_value());
  }
}

TEST(UploadTableTest, TheNewestUploadOfAFileIsTheOnlyOne) {
  UploadTable table;
  const auto old = table.Begin(Upload(1), kStart);
  const auto newer = table.Begin(Upload(1), kStart);
  ASSERT_TRUE(newer.ok());
  EXPECT_EQ(newer->superseded, old->number);
  EXPECT_TRUE(absl::IsAborted(table.Touch(old->number, kStart)));
  EXPECT_EQ(table.Touch(newer->number, kStart), absl::OkStatus());
  // Its end is no end of the newer one.
  table.End(old->number, /*complete=*/false);
  EXPECT_EQ(table.Touch(newer->number, kStart), absl::OkStatus());
}

TEST(UploadTableTest, OneThatHasEndedIsNotSuperseded) {
  UploadTable table;
  const auto old = table.Begin(Upload(1), kStart);
  table.End(old->number, /*complete=*/false);
  EXPECT_TRUE(absl::IsAborted(table.Touch(old->number, kStart)));
  EXPECT_FALSE(table.Begin(Upload(1), kStart)->superseded.has_value());
}

TEST(UploadTableTest, ANewEpochEndsThoseBefore) {
  UploadTable table;
  const auto old = table.Begin(Upload(1), kStart);
  const auto current = table.Begin(Upload(2), kStart);
  const auto other = table.Begin(Upload(1, "a", "other"), kStart);
  EXPECT_THAT(table.BeginEpoch("job", 2), ElementsAre(old->number));
  EXPECT_TRUE(absl::IsAborted(table.Touch(old->number, kStart)));
  EXPECT_EQ(table.Touch(current->number, kStart), absl::OkStatus());
  EXPECT_EQ(table.Touch(other->number, kStart), absl::OkStatus());
  const absl::Status refused = table.Begin(Upload(1), kStart).status();
  EXPECT_TRUE(absl::IsAborted(refused)) << refused;
}

TEST(UploadTableTest, EpochsOnlyGrow) {
  UploadTable table;
  EXPECT_THAT(table.BeginEpoch("job", 5), IsEmpty());
  EXPECT_THAT(table.BeginEpoch("job", 3), IsEmpty());
  EXPECT_TRUE(absl::IsAborted(table.Begin(Upload(4), kStart).status()));
  EXPECT_TRUE(table.Begin(Upload(5), kStart).ok());
}

TEST(UploadTableTest, OneThatWasHeardAtTheLimitIsSilent) {
  UploadTable table;
  const auto a = table.Begin(Upload(1, "a"), kStart);
  const auto b = table.Begin(Upload(1, "b"), kStart);
  ASSERT_EQ(table.Touch(b->number, kStart + absl::Seconds(1)),
            absl::OkStatus());
  EXPECT_THAT(table.Silent(kStart - absl::Nanoseconds(1)), IsEmpty());
  EXPECT_THAT(table.Silent(kStart), ElementsAre(a->number));
  // It is there until its connection has ended.
  EXPECT_THAT(table.TakeAbandoned(kStart), IsEmpty());
}

TEST(UploadTableTest, OneWithoutConnectionIsTakenOnce) {
  UploadTable table;
  const auto a = table.Begin(Upload(1, "a"), kStart);
  table.End(a->number, /*complete=*/false);
  EXPECT_THAT(table.TakeAbandoned(kStart - absl::Nanoseconds(1)), IsEmpty());
  const auto taken = table.TakeAbandoned(kStart);
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].file, "a");
  EXPECT_THAT(table.TakeAbandoned(kStart), IsEmpty());
}

TEST(UploadTableTest, AWholeFileIsForgotten) {
  UploadTable table;
  const auto a = table.Begin(Upload(1), kStart);
  table.End(a->number, /*complete=*/true);
  EXPECT_THAT(table.TakeAbandoned(kStart), IsEmpty());
}

}  // namespace
}  // namespace penstock
