#include "base/metrics_port.h"

#include <exception>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "prometheus/collectable.h"
#include "prometheus/exposer.h"
#include "prometheus/metric_family.h"

namespace penstock {
namespace {

prometheus::MetricFamily FamilyOf(const Metric& metric) {
  prometheus::MetricFamily family;
  family.name = metric.name;
  family.help = metric.help;
  const bool counts = metric.kind == MetricKind::kCounter;
  family.type =
      counts ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
  for (const MetricSample& sample : metric.samples) {
    prometheus::ClientMetric& value = family.metric.emplace_back();
    for (const auto& [name, text] : sample.labels) {
      value.label.push_back({name, text});
    }
    (counts ? value.counter.value : value.gauge.value) = sample.value;
  }
  return family;
}

// Prometheus' library asks it for each request.
class Collected : public prometheus::Collectable {
 public:
  explicit Collected(std::function<std::vector<Metric>()> collect)
      : collect_(std::move(collect)) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    const MutexLock lock(&mutex_);
    std::vector<prometheus::MetricFamily> families;
    for (const Metric& metric : collect_()) {
      if (!metric.samples.empty()) families.push_back(FamilyOf(metric));
    }
    return families;
  }

 private:
  mutable Mutex mutex_;
  const std::function<std::vector<Metric>()> collect_;
};

class ExposedMetrics : public MetricsPort {
 public:
  // Throws what CivetWeb's server throws when it cannot bind.
  ExposedMetrics(const std::string& address, const std::string& host,
                 std::shared_ptr<Collected> collected)
      : collected_(std::move(collected)), exposer_(address) {
    exposer_.RegisterCollectable(collected_);
    address_ = absl::StrCat(host, ":", exposer_.GetListeningPorts().at(0));
  }

  const std::string& address() const override { return address_; }

 private:
  const std::shared_ptr<Collected> collected_;
  prometheus::Exposer exposer_;
  std::string address_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsPort>> MetricsPort::Start(
    const std::string& address, std::function<std::vector<Metric>()> collect) {
  const size_t colon = address.rfind(':');
  int port = -1;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 ||
      port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat(
        "metrics: wants host:port, as 127.0.0.1:9464, got \"", address, "\""));
  }
  try {
    return std::make_unique<ExposedMetrics>(
        address, address.substr(0, colon),
        std::make_shared<Collected>(std::move(collect)));
  } catch (const std::exception& error) {
    return absl::UnavailableError(
        absl::StrCat("metrics: cannot listen on ", address, " (", error.what(),
                     "); is it in use? Give another one, or none"));
  }
}

}  // namespace penstock
