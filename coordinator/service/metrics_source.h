#ifndef PENSTOCK_COORDINATOR_SERVICE_METRICS_SOURCE_H_
#define PENSTOCK_COORDINATOR_SERVICE_METRICS_SOURCE_H_

#include <vector>

#include "absl/time/time.h"
#include "base/metric.h"
#include "coordinator/service/loop.h"

namespace penstock {

// ClusterMetrics of what `loop` holds, asked of its thread. None if that does
// not answer within `patience`: Prometheus then has a gap, not old values.
std::vector<Metric> MetricsOf(Loop& loop, absl::Duration patience);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_SERVICE_METRICS_SOURCE_H_
