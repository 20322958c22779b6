#ifndef PENSTOCK_CLIENT_DOCTOR_EXAMINATION_H_
#define PENSTOCK_CLIENT_DOCTOR_EXAMINATION_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "proto/coordinator_service.pb.h"

namespace penstock {

enum class Health {
  kGood,
  // Works, but not as well as it could, or not for long.
  kDoubtful,
  // Jobs will fail or never start.
  kBad,
};

// One thing that was looked at.
struct Finding {
  Health health = Health::kGood;
  // Stable, for programs: "clock", "shared_memory".
  std::string check;
  // Whom it is about: "cluster", or a server's name.
  std::string subject;
  // What was found and, unless it is good, what was wanted.
  std::string found;
  // What to do; empty if it is good.
  std::string advice;
};

// What there is to look at.
struct ObservedCluster {
  ListServersResponse servers;
  std::string client_build_version;
  // How long the coordinator took to say it.
  absl::Duration round_trip;
};

// Looks for what makes jobs fail or crawl before one is submitted: builds that
// differ, servers that are silent, clocks that are apart, too little shared
// memory or disk, unequal libraries, hosts that cannot be told apart. Always
// the same checks in the same order; one that all servers pass is one finding
// of the cluster. Pure.
std::vector<Finding> Examine(const ObservedCluster& cluster);

// The worst of them.
Health Worst(const std::vector<Finding>& findings);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_DOCTOR_EXAMINATION_H_
