#ifndef PENSTOCK_STAGE_SERVER_SERVICE_EPOCH_REPORTS_H_
#define PENSTOCK_STAGE_SERVER_SERVICE_EPOCH_REPORTS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "proto/stage_service.pb.h"

namespace penstock {

// What one epoch has to tell the coordinator, until it is acknowledged: step
// reports, some with the step's trace, log lines and the end. A new session
// gets everything again that the last one did not see acknowledged; and what
// has become of the snapshot that is wanted, as long as it is.
//
// Pure value; not thread-safe. Memory: about 100 bytes a step; the traces of at
// most `kMaxTracedActions` actions (of a single step, if it has more); and at
// most `kMaxLogEntries` lines. Of both the oldest go first (a line's sequence
// number shows the gap).
class EpochReports {
 public:
  static constexpr size_t kMaxLogEntries = 10'000;
  static constexpr int64_t kMaxTracedActions = 500'000;
  // A message stays well below gRPC's 4 MiB.
  static constexpr int kStepsPerMessage = 1'000;
  static constexpr int64_t kTracedActionsPerMessage = 50'000;
  static constexpr int kLogEntriesPerMessage = 200;
  // Longer lines are cut, and say so.
  static constexpr size_t kMaxLogTextBytes = 8 * 1024;

  // The epoch goes on after `step`; it may have nothing left to do.
  void BeginAfter(int64_t step) { last_step_ = step; }
  void AddStep(const StepReport& report,
               std::optional<StepTrace> trace = std::nullopt);
  // Goes with the next steps that are sent; in place of the last one.
  void SetUse(RankUse use);
  void AddLog(absl::Time time, const std::string& level,
              const std::string& text);
  void SetFinished(std::vector<LayerDigest> layers);
  // Of the step that is wanted; others are dropped.
  void SetSnapshot(SnapshotReport report);
  void SetShards(ShardReport report);
  // The step that a snapshot is wanted of, from now on; 0: none. What is known
  // of another is forgotten.
  void WantSnapshot(int64_t step);

  // Forgets what is durable.
  void Acknowledge(const Ack& ack);

  // Everything unacknowledged counts as unsent again.
  void StartSession();

  bool has_unsent() const;

  // The unsent as messages without fence, steps before snapshots and these
  // before the end, a step's trace with its report; counts them as sent.
  std::vector<StageMessage> TakeUnsent(const std::string& job_id);

  // Finished so far, acknowledged or not; those of earlier epochs too.
  int64_t last_step() const { return last_step_; }
  bool finished() const { return finished_; }

 private:
  struct FinishedStep {
    StepReport report;
    std::optional<StepTrace> trace;
  };

  void ForgetOldTraces();

  std::vector<LayerDigest> layers_;
  std::deque<FinishedStep> steps_;
  // In the traces of `steps_`.
  int64_t num_traced_actions_ = 0;
  std::deque<LogEntry> logs_;
  std::optional<RankUse> use_;
  int64_t snapshot_step_ = 0;
  std::optional<SnapshotReport> snapshot_;
  std::optional<ShardReport> shards_;
  int64_t last_step_ = 0;
  int64_t last_log_ = 0;
  bool finished_ = false;
  bool finished_acknowledged_ = false;
  // Sent in the present session, through here.
  int64_t sent_step_ = 0;
  int64_t sent_log_ = 0;
  bool finished_sent_ = false;
  bool use_sent_ = false;
  bool snapshot_sent_ = false;
  bool shards_sent_ = false;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_SERVICE_EPOCH_REPORTS_H_
