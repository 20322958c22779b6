#ifndef PENSTOCK_BASE_METRICS_PORT_H_
#define PENSTOCK_BASE_METRICS_PORT_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/metric.h"

namespace penstock {

// Serves GET /metrics over plain HTTP, in Prometheus' text format. Nothing can
// be changed through it. Thread-safe.
class MetricsPort {
 public:
  // `address` is host:port; port 0 takes a free one. `collect` is called for
  // each request, on a thread of the port's, and by one at a time.
  //
  // INVALID_ARGUMENT  no host:port.
  // UNAVAILABLE       the address cannot be bound: in use, or not this host's.
  static absl::StatusOr<std::unique_ptr<MetricsPort>> Start(
      const std::string& address, std::function<std::vector<Metric>()> collect);
  // Ends requests that are being answered first.
  virtual ~MetricsPort() = default;

  // host:port as bound.
  virtual const std::string& address() const = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_BASE_METRICS_PORT_H_
