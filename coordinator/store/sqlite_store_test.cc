#include "coordinator/store/sqlite_store.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "coordinator/store/conformance.h"
#include "coordinator/store/sqlite.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

// A path in a fresh folder.
std::string NewPath() {
  static int count = 0;
  const std::string folder =
      absl::StrCat(::testing::TempDir(), "/", getpid(), "-", ++count);
  std::filesystem::remove_all(folder);
  return folder + "/coordinator.db";
}

std::unique_ptr<StateStore> OpenNew() {
  absl::StatusOr<std::unique_ptr<StateStore>> store =
      OpenSqliteStore(NewPath());
  EXPECT_TRUE(store.ok()) << store.status();
  return *std::move(store);
}

INSTANTIATE_TEST_SUITE_P(Sqlite, StateStoreConformance,
                         ::testing::Values(StoreFactory{"sqlite", OpenNew}));

TEST(SqliteStoreTest, WhatWasWrittenIsThereAfterReopening) {
  const std::string path = NewPath();
  {
    auto store = OpenSqliteStore(path);
    ASSERT_TRUE(store.ok()) << store.status();
    WriteBatch batch = NewJob("a", JOB_STATE_RUNNING, 1);
    batch.term = 3;
    batch.steps = {StepOf("a", 1)};
    ASSERT_TRUE((*store)->Write(batch).ok());
  }
  auto store = OpenSqliteStore(path);
  ASSERT_TRUE(store.ok()) << store.status();
  const auto stored = (*store)->Load();
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->term, 3);
  ASSERT_EQ(stored->jobs.size(), 1);
  EXPECT_EQ(stored->jobs[0].last_step->record().step(), 1);
}

TEST(SqliteStoreTest, NewFilesAreTheirOwnersAlone) {
  const std::string path = NewPath();
  const auto store = OpenSqliteStore(path);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE((*store)->Write(NewJob("a", JOB_STATE_RUNNING, 1)).ok());
  for (const std::string& file : {path, path + "-wal"}) {
    EXPECT_EQ(std::filesystem::status(file).permissions(),
              std::filesystem::perms::owner_read |
                  std::filesystem::perms::owner_write)
        << file;
  }
}

TEST(SqliteStoreTest, BatchThatFailsLeavesNothingBehind) {
  auto store = OpenNew();
  WriteBatch batch = NewJob("a", JOB_STATE_QUEUED, 1);
  batch.events = {EventOf(1, "a"), EventOf(1, "a")};
  EXPECT_FALSE(store->Write(batch).ok());
  EXPECT_TRUE(store->Load()->jobs.empty());
  batch.events.pop_back();
  EXPECT_TRUE(store->Write(batch).ok());
}

TEST(SqliteStoreTest, SecondCoordinatorIsRefusedAndToldWhoHasIt) {
  const std::string path = NewPath();
  auto first = OpenSqliteStore(path);
  ASSERT_TRUE(first.ok()) << first.status();
  const absl::Status status = OpenSqliteStore(path).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr(absl::StrCat("process ", getpid())));
  first->reset();
  EXPECT_TRUE(OpenSqliteStore(path).ok());
}

TEST(SqliteStoreTest, LaterSchemaIsRefused) {
  const std::string path = NewPath();
  ASSERT_TRUE(OpenSqliteStore(path).ok());
  {
    auto database = SqliteDatabase::Open(path);
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE(
        (*database)->Execute("INSERT INTO schema_version VALUES(99)").ok());
  }
  const absl::Status status = OpenSqliteStore(path).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("schema version 99"));
}

TEST(SqliteStoreTest, FileOfAnotherKindIsDataLossWithAdvice) {
  const std::string path = NewPath();
  ASSERT_TRUE(MakeFolder(std::filesystem::path(path).parent_path()).ok());
  ASSERT_TRUE(WriteFileAtomically(path, std::string(8192, 'x')).ok());
  const absl::Status status = OpenSqliteStore(path).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("coordinator.db"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(".recover"));
  EXPECT_EQ(ReadFile(path)->size(), 8192) << "the evidence must stay";
}

TEST(SqliteStoreTest, OverwrittenPagesAreDataLoss) {
  const std::string path = NewPath();
  {
    auto store = OpenSqliteStore(path);
    ASSERT_TRUE(store.ok());
    for (int i = 0; i < 50; ++i) {
      const std::string id = absl::StrCat("job", i);
      ASSERT_TRUE((*store)->Write(NewJob(id, JOB_STATE_QUEUED, i)).ok());
    }
  }
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file << std::string(3 * 4096, '\xa5');
  }
  const absl::Status status = OpenSqliteStore(path).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("move"));
}

TEST(SqliteStoreTest, FullDiskIsResourceExhaustedAndLosesNothing) {
  auto store = OpenNew();
  ASSERT_TRUE(store->Write(NewJob("a", JOB_STATE_QUEUED, 1)).ok());
  // A limit on the size of files stands for the full disk.
  signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit tight{200'000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  WriteBatch large;
  large.cluster_secret = std::string(1 << 20, 's');
  large.term = 9;
  const absl::Status status = store->Write(large);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);

  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  const auto stored = store->Load();
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->term, 0);
  EXPECT_EQ(stored->jobs.size(), 1);
  EXPECT_TRUE(store->Write(large).ok());
}

TEST(SqliteStoreTest, FolderThatCannotBeMadeIsNamed) {
  const absl::Status status =
      OpenSqliteStore("/proc/no-such-folder/coordinator.db").status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("/proc"));
}

}  // namespace
}  // namespace penstock
