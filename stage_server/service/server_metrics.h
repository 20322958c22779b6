#ifndef PENSTOCK_STAGE_SERVER_SERVICE_SERVER_METRICS_H_
#define PENSTOCK_STAGE_SERVER_SERVICE_SERVER_METRICS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/metric.h"
#include "base/mutex.h"
#include "stage_server/service/session_core.h"
#include "stage_server/service/session_events.h"

namespace penstock {

// What a stage server tells Prometheus, counted from the events that its loop
// hears; docs/metrics.md lists it. Thread-safe.
class ServerMetrics {
 public:
  explicit ServerMetrics(const ServerIdentity& identity);

  // Before, or while, the loop hears of it.
  void Observe(const Event& event) ABSL_LOCKS_EXCLUDED(mutex_);

  // Always the same metrics in the same order.
  std::vector<Metric> Collect() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Counts {
    // Of the epoch that it is in; empty without one.
    std::string job;
    bool has_session = false;
    int64_t registrations = 0;
    int64_t steps = 0;
    int64_t step_nanos = 0;
    int64_t busy_nanos = 0;
    int64_t tokens = 0;
    int64_t faults = 0;
    int64_t snapshots = 0;
    int64_t blocked_nanos = 0;
    // Told for the epoch so far, and added up when it is over.
    int64_t epoch_sent_bytes = 0;
    int64_t sent_bytes = 0;
    int64_t peak_bytes = 0;
  };

  static void Count(const StepDone& event, Counts& counts);
  static void EndEpoch(Counts& counts);

  const std::string version_;
  const std::string device_;

  mutable Mutex mutex_;
  Counts counts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_SERVICE_SERVER_METRICS_H_
