#ifndef PENSTOCK_COORDINATOR_CORE_CLUSTER_METRICS_H_
#define PENSTOCK_COORDINATOR_CORE_CLUSTER_METRICS_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/metric.h"
#include "coordinator/core/state.h"

namespace penstock {

// What the coordinator tells Prometheus of `state` at `now`: always the same
// metrics in the same order, those of single jobs with a sample for each job
// that has not ended. docs/metrics.md lists them. Pure.
std::vector<Metric> ClusterMetrics(const ClusterState& state,
                                   const std::string& build_version,
                                   absl::Time now);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_CLUSTER_METRICS_H_
