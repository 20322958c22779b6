#include "checkpoint/transfer/upload_registry.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;

constexpr absl::Duration kNever = absl::Hours(1);

UploadTable::Upload Upload(const std::string& file, int64_t epoch = 1) {
  UploadTable::Upload upload;
  upload.checkpoint.set_job_id("job");
  upload.checkpoint.set_epoch(epoch);
  upload.file = file;
  return upload;
}

void Ignore(const UploadTable::Upload&) {}

TEST(UploadRegistryTest, ALaterCallWaitsUntilTheOneBeforeHasEnded) {
  UploadRegistry registry(kNever, Ignore);
  std::atomic<bool> is_cancelled = false;
  const auto first = registry.Begin(Upload("a"), [&] { is_cancelled = true; });
  ASSERT_TRUE(first.ok()) << first.status();
  std::atomic<bool> has_ended = false;
  std::thread end([&] {
    while (!is_cancelled) std::this_thread::yield();
    EXPECT_TRUE(absl::IsAborted(registry.Touch(*first)));
    has_ended = true;
    registry.End(*first, /*complete=*/false);
  });
  const auto second = registry.Begin(Upload("a"), [] {});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(has_ended);
  EXPECT_EQ(registry.Touch(*second), absl::OkStatus());
  registry.End(*second, /*complete=*/true);
  end.join();
}

TEST(UploadRegistryTest, ANewEpochEndsCallsAndRefusesOthers) {
  UploadRegistry registry(kNever, Ignore);
  bool is_cancelled = false;
  const auto call = registry.Begin(Upload("a"), [&] { is_cancelled = true; });
  ASSERT_TRUE(call.ok());
  registry.BeginEpoch("job", 2);
  EXPECT_TRUE(is_cancelled);
  EXPECT_TRUE(absl::IsAborted(registry.Touch(*call)));
  registry.End(*call, /*complete=*/false);
  EXPECT_TRUE(absl::IsAborted(registry.Begin(Upload("b"), [] {}).status()));
  EXPECT_TRUE(registry.Begin(Upload("b", 2), [] {}).ok());
}

TEST(UploadRegistryTest, WhatIsSilentIsEndedAndThenRemoved) {
  Mutex mutex;
  CondVar changed;
  bool is_cancelled = false;
  std::vector<std::string> removed;
  UploadRegistry registry(absl::Milliseconds(20),
                          [&](const UploadTable::Upload& upload) {
                            MutexLock lock(&mutex);
                            removed.push_back(upload.file);
                            changed.SignalAll();
                          });
  const auto call = registry.Begin(Upload("a"), [&] {
    MutexLock lock(&mutex);
    is_cancelled = true;
    changed.SignalAll();
  });
  ASSERT_TRUE(call.ok());
  {
    MutexLock lock(&mutex);
    while (!is_cancelled) changed.Wait(&mutex);
    EXPECT_TRUE(removed.empty());
  }
  registry.End(*call, /*complete=*/false);
  MutexLock lock(&mutex);
  while (removed.empty()) changed.Wait(&mutex);
  EXPECT_THAT(removed, ElementsAre("a"));
}

TEST(UploadRegistryTest, ThreadsMayUseItSideBySide) {
  UploadRegistry registry(kNever, Ignore);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int64_t epoch = 1; epoch < 50; ++epoch) {
        const auto call = registry.Begin(Upload(absl::StrCat(i), epoch), [] {});
        if (!call.ok()) {
          EXPECT_TRUE(absl::IsAborted(call.status()));
          continue;
        }
        registry.Touch(*call).IgnoreError();
        registry.End(*call, /*complete=*/epoch % 2 == 0);
        registry.BeginEpoch("job", epoch / 2);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace penstock
