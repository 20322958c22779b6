#ifndef PENSTOCK_COORDINATOR_STORE_CONFORMANCE_H_
#define PENSTOCK_COORDINATOR_STORE_CONFORMANCE_H_

#include <functional>
#include <memory>
#include <string>

#include "coordinator/store/state_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {

// What every StateStore must do. A store's test instantiates it with a factory
// of empty stores: INSTANTIATE_TEST_SUITE_P(Memory, StateStoreConformance,
// Values(...)).
struct StoreFactory {
  std::string name;
  std::function<std::unique_ptr<StateStore>()> make;
};

class StateStoreConformance : public ::testing::TestWithParam<StoreFactory> {
 protected:
  StateStoreConformance() : store_(GetParam().make()) {}

  void Write(const WriteBatch& batch) {
    const absl::Status status = store_->Write(batch);
    ASSERT_TRUE(status.ok()) << status;
  }

  StoredState Load() {
    absl::StatusOr<StoredState> stored = store_->Load();
    EXPECT_TRUE(stored.ok()) << stored.status();
    return stored.value_or(StoredState());
  }

  std::unique_ptr<StateStore> store_;
};

inline JobRow JobRowOf(const std::string& id, JobState state,
                       int64_t position) {
  JobRow row;
  row.mutable_info()->set_id(id);
  row.mutable_info()->mutable_job()->set_name("name-" + id);
  row.mutable_info()->set_state(state);
  row.mutable_info()->set_epoch(2);
  row.set_position(position);
  row.set_idempotency_key("key-" + id);
  return row;
}

// A batch with a job, and the plan that goes with it.
inline WriteBatch NewJob(const std::string& id, JobState state,
                         int64_t position) {
  WriteBatch batch;
  batch.jobs.push_back(JobRowOf(id, state, position));
  auto plan = std::make_shared<Plan>();
  plan->set_schedule_hash("hash-" + id);
  batch.plans[id] = plan;
  return batch;
}

inline NewStep StepOf(const std::string& job, int64_t step) {
  NewStep row;
  row.job_id = job;
  row.row.mutable_record()->set_step(step);
  row.row.mutable_totals()->set_steps(step - 1);
  return row;
}

inline NewLogLine LogOf(const std::string& job, int64_t sequence, int64_t epoch,
                        int rank, int64_t entry) {
  NewLogLine log;
  log.job_id = job;
  log.epoch = epoch;
  log.entry_sequence = entry;
  log.line.set_sequence(sequence);
  log.line.set_rank(rank);
  return log;
}

inline Event EventOf(int64_t sequence, const std::string& job) {
  Event event;
  event.set_sequence(sequence);
  event.set_job_id(job);
  return event;
}

TEST_P(StateStoreConformance, NewStoreIsEmpty) {
  const StoredState stored = Load();
  EXPECT_EQ(stored.term, 0);
  EXPECT_EQ(stored.cluster_secret, "");
  EXPECT_EQ(stored.last_event_sequence, 0);
  EXPECT_TRUE(stored.jobs.empty());
  EXPECT_TRUE(stored.servers.empty());
}

TEST_P(StateStoreConformance, TermAndSecretAreKept) {
  WriteBatch batch;
  batch.term = 4;
  batch.cluster_secret = std::string("a\0b", 3);
  Write(batch);
  EXPECT_EQ(Load().term, 4);
  EXPECT_EQ(Load().cluster_secret, std::string("a\0b", 3));
}

TEST_P(StateStoreConformance, RowsReplaceTheOnesWithTheirId) {
  Write(NewJob("a", JOB_STATE_QUEUED, 1));
  WriteBatch batch;
  batch.jobs.push_back(JobRowOf("a", JOB_STATE_RUNNING, 1));
  batch.servers.emplace_back().mutable_info()->set_id("s1");
  Write(batch);
  batch.servers[0].mutable_info()->set_name("node");
  Write(batch);
  const StoredState stored = Load();
  ASSERT_EQ(stored.jobs.size(), 1);
  EXPECT_EQ(stored.jobs[0].row.info().state(), JOB_STATE_RUNNING);
  EXPECT_EQ(stored.jobs[0].row.idempotency_key(), "key-a");
  ASSERT_EQ(stored.servers.size(), 1);
  EXPECT_EQ(stored.servers[0].info().name(), "node");
}

TEST_P(StateStoreConformance, LiveJobsComeWithPlanStepAndLogCursors) {
  WriteBatch batch = NewJob("a", JOB_STATE_RUNNING, 1);
  batch.steps = {StepOf("a", 1), StepOf("a", 2)};
  batch.logs = {LogOf("a", 1, /*epoch=*/1, /*rank=*/0, /*entry=*/50),
                LogOf("a", 2, /*epoch=*/2, /*rank=*/0, /*entry=*/1),
                LogOf("a", 3, /*epoch=*/2, /*rank=*/1, /*entry=*/7)};
  Write(batch);
  const StoredState stored = Load();
  ASSERT_EQ(stored.jobs.size(), 1);
  const StoredJob& job = stored.jobs[0];
  ASSERT_NE(job.plan, nullptr);
  EXPECT_EQ(job.plan->schedule_hash(), "hash-a");
  ASSERT_TRUE(job.last_step.has_value());
  EXPECT_EQ(job.last_step->record().step(), 2);
  EXPECT_EQ(job.last_step->totals().steps(), 1);
  EXPECT_EQ(job.last_log_sequence, 3);
  EXPECT_THAT(
      job.log_sequence_of_rank,
      ::testing::ElementsAre(::testing::Pair(0, 1), ::testing::Pair(1, 7)));
}

TEST_P(StateStoreConformance, EndedJobsComeWithoutTheirPlanButKeepIt) {
  Write(NewJob("a", JOB_STATE_SUCCEEDED, 1));
  const StoredState stored = Load();
  ASSERT_EQ(stored.jobs.size(), 1);
  EXPECT_EQ(stored.jobs[0].plan, nullptr);
  const absl::StatusOr<Plan> plan = store_->ReadPlan("a");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->schedule_hash(), "hash-a");
}

TEST_P(StateStoreConformance, PlanOfAnUnknownJobIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(store_->ReadPlan("a").status()));
}

TEST_P(StateStoreConformance, EventsAreReadInPagesByJobOrAll) {
  WriteBatch batch;
  batch.events = {EventOf(1, "a"), EventOf(2, "b"), EventOf(3, "a"),
                  EventOf(4, "")};
  Write(batch);
  EXPECT_EQ(Load().last_event_sequence, 4);
  const auto page = store_->ReadEvents("", 1, 2);
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->size(), 2);
  EXPECT_EQ((*page)[0].sequence(), 2);
  const auto of_a = store_->ReadEvents("a", 1, 10);
  ASSERT_TRUE(of_a.ok()) << of_a.status();
  ASSERT_EQ(of_a->size(), 1);
  EXPECT_EQ((*of_a)[0].sequence(), 3);
}

TEST_P(StateStoreConformance, StepsAndLogsAreReadInPages) {
  WriteBatch batch;
  for (int64_t i = 1; i <= 5; ++i) {
    batch.steps.push_back(StepOf("a", i));
    batch.logs.push_back(LogOf("a", i, 1, 0, i));
  }
  batch.steps.push_back(StepOf("b", 1));
  Write(batch);
  const auto steps = store_->ReadSteps("a", 3, 10);
  ASSERT_TRUE(steps.ok()) << steps.status();
  ASSERT_EQ(steps->size(), 2);
  EXPECT_EQ((*steps)[0].step(), 4);
  const auto logs = store_->ReadLogs("a", 0, 3);
  ASSERT_TRUE(logs.ok()) << logs.status();
  ASSERT_EQ(logs->size(), 3);
  EXPECT_EQ((*logs)[2].sequence(), 3);
  EXPECT_TRUE(store_->ReadSteps("unknown", 0, 10)->empty());
}

TEST_P(StateStoreConformance, StepsThatAreMadeAgainReplaceTheOldOnes) {
  WriteBatch batch = NewJob("a", JOB_STATE_RUNNING, 1);
  for (int64_t i = 1; i <= 5; ++i) batch.steps.push_back(StepOf("a", i));
  batch.steps.push_back(StepOf("b", 5));
  Write(batch);
  WriteBatch again;
  again.kept_steps["a"] = 2;
  EXPECT_FALSE(again.empty());
  again.steps.push_back(StepOf("a", 3));
  again.steps[0].row.mutable_record()->set_loss(0.5);
  Write(again);
  const auto steps = store_->ReadSteps("a", 0, 10);
  ASSERT_TRUE(steps.ok()) << steps.status();
  ASSERT_EQ(steps->size(), 3);
  EXPECT_EQ((*steps)[2].loss(), 0.5);
  EXPECT_EQ(Load().jobs[0].last_step->record().step(), 3);
  EXPECT_EQ(store_->ReadSteps("b", 0, 10)->size(), 1);
}

TEST_P(StateStoreConformance, APlanReplacesTheJobsEarlierOne) {
  Write(NewJob("a", JOB_STATE_RUNNING, 1));
  WriteBatch batch;
  auto plan = std::make_shared<Plan>();
  plan->set_schedule_hash("another");
  batch.plans["a"] = plan;
  Write(batch);
  EXPECT_EQ(store_->ReadPlan("a")->schedule_hash(), "another");
}

TEST_P(StateStoreConformance, TimelinesAreReadByStep) {
  WriteBatch batch;
  for (const int64_t step : {4, 2}) {
    NewTimeline& timeline = batch.timelines.emplace_back();
    timeline.job_id = "a";
    timeline.row.set_step(step);
    timeline.row.add_ranks()->set_start_nanos(10 * step);
  }
  EXPECT_FALSE(batch.empty());
  Write(batch);
  EXPECT_THAT(store_->ReadTimelineSteps("a").value(),
              ::testing::ElementsAre(2, 4));
  EXPECT_TRUE(store_->ReadTimelineSteps("b")->empty());
  const auto row = store_->ReadTimeline("a", 4);
  ASSERT_TRUE(row.ok()) << row.status();
  EXPECT_EQ(row->step(), 4);
  EXPECT_EQ(row->ranks(0).start_nanos(), 40);
  EXPECT_TRUE(absl::IsNotFound(store_->ReadTimeline("a", 3).status()));
  EXPECT_TRUE(absl::IsNotFound(store_->ReadTimeline("b", 4).status()));
}

TEST_P(StateStoreConformance, JobsComeInOrderOfSubmission) {
  Write(NewJob("b", JOB_STATE_QUEUED, 2));
  Write(NewJob("a", JOB_STATE_QUEUED, 1));
  const StoredState stored = Load();
  ASSERT_EQ(stored.jobs.size(), 2);
  EXPECT_EQ(stored.jobs[0].row.info().id(), "a");
}

TEST_P(StateStoreConformance, EmptyBatchIsFine) { Write(WriteBatch()); }

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_STORE_CONFORMANCE_H_
