#ifndef PENSTOCK_COORDINATOR_STORE_MEMORY_STORE_H_
#define PENSTOCK_COORDINATOR_STORE_MEMORY_STORE_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/store/state_store.h"

namespace penstock {

// Forgets everything when it is destroyed. For tests.
class MemoryStore final : public StateStore {
 public:
  absl::StatusOr<StoredState> Load() override;
  absl::Status Write(const WriteBatch& batch) override;
  absl::StatusOr<std::vector<Event>> ReadEvents(const std::string& job_id,
                                                int64_t after_sequence,
                                                int limit) override;
  absl::StatusOr<std::vector<LogLine>> ReadLogs(const std::string& job_id,
                                                int64_t after_sequence,
                                                int limit) override;
  absl::StatusOr<std::vector<ProgressRecord>> ReadSteps(
      const std::string& job_id, int64_t after_step, int limit) override;
  absl::StatusOr<std::vector<int64_t>> ReadTimelineSteps(
      const std::string& job_id) override;
  absl::StatusOr<TimelineRow> ReadTimeline(const std::string& job_id,
                                           int64_t step) override;
  absl::StatusOr<Plan> ReadPlan(const std::string& job_id) override;

 private:
  int64_t term_ = 0;
  std::string cluster_secret_;
  std::map<std::string, JobRow> jobs_;
  std::map<std::string, ServerRow> servers_;
  std::map<std::string, std::shared_ptr<const Plan>> plans_;
  std::vector<Event> events_;
  std::map<std::string, std::vector<StepRow>> steps_;
  // By job id and step.
  std::map<std::string, std::map<int64_t, TimelineRow>> timelines_;
  std::map<std::string, std::vector<NewLogLine>> logs_;
};

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_STORE_MEMORY_STORE_H_
