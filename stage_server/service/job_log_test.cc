#include "stage_server/service/job_log.h"

#include <spdlog/spdlog.h>

#include "gtest/gtest.h"
#include "stage_server/service/test_event_recorder.h"

namespace penstock {
namespace {

TEST(JobLogSinkTest, ALineIsPostedWithLevelAndText) {
  EventRecorder events;
  spdlog::logger logger("test", MakeJobLogSink([&events](Event event) {
                          events.Post(std::move(event));
                        }));
  logger.warn("step {} was slow", 7);
  const auto line = events.Next<OwnLogLine>();
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->level, "warning");
  EXPECT_EQ(line->text, "step 7 was slow");
}

TEST(JobLogSinkTest, WhatTheLoggerDropsIsNotPosted) {
  EventRecorder events;
  spdlog::logger logger("test", MakeJobLogSink([&events](Event event) {
                          events.Post(std::move(event));
                        }));
  logger.set_level(spdlog::level::info);
  logger.debug("detail");
  EXPECT_TRUE(events.empty());
}

}  // namespace
}  // namespace penstock
