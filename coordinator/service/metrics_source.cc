#include "coordinator/service/metrics_source.h"

#include <memory>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"
#include "coordinator/core/cluster_metrics.h"

namespace penstock {
namespace {

// Outlives whoever asked, if the answer comes late.
struct Answer {
  Mutex mutex;
  CondVar came;
  std::optional<std::vector<Metric>> metrics ABSL_GUARDED_BY(mutex);
};

}  // namespace

std::vector<Metric> MetricsOf(Loop& loop, absl::Duration patience) {
  const auto answer = std::make_shared<Answer>();
  loop.Ask([answer, version = loop.build_version()](const LoopView& view) {
    std::vector<Metric> metrics =
        ClusterMetrics(view.state, version, SystemClock().Now());
    const MutexLock lock(&answer->mutex);
    answer->metrics = std::move(metrics);
    answer->came.SignalAll();
  });
  const absl::Time deadline = SystemClock().Now() + patience;
  const MutexLock lock(&answer->mutex);
  while (!answer->metrics.has_value()) {
    if (answer->came.WaitWithDeadline(&answer->mutex, deadline)) return {};
  }
  return *std::move(answer->metrics);
}

}  // namespace penstock
