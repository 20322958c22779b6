#ifndef PENSTOCK_BASE_METRIC_H_
#define PENSTOCK_BASE_METRIC_H_

#include <string>
#include <utility>
#include <vector>

namespace penstock {

// What a process tells of itself to Prometheus. Names, units and labels follow
// its conventions: base units, `_total` on what only grows
// (prometheus.io/docs/practices/naming). docs/metrics.md lists all of ours.

enum class MetricKind {
  kCounter,  // never falls while the process lives
  kGauge,
};

struct MetricSample {
  // Name and value; order is kept.
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
};

struct Metric {
  std::string name;
  MetricKind kind = MetricKind::kGauge;
  // One sentence without a full stop.
  std::string help;
  // May be empty: then it is known, and nothing has it.
  std::vector<MetricSample> samples;
};

}  // namespace penstock

#endif  // PENSTOCK_BASE_METRIC_H_
