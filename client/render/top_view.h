#ifndef PENSTOCK_CLIENT_RENDER_TOP_VIEW_H_
#define PENSTOCK_CLIENT_RENDER_TOP_VIEW_H_

#include <string>

#include "absl/time/time.h"
#include "proto/coordinator_service.pb.h"

namespace penstock {

// A cluster as `penstock top` shows it, each line ended and at most `columns`
// characters: what there is, a live line for each job that trains, then what
// other jobs wait for, then the stage servers. Pure.
std::string TopScreen(const ListJobsResponse& jobs,
                      const ListServersResponse& servers,
                      const std::string& address, absl::Time now,
                      absl::TimeZone zone, int columns);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_RENDER_TOP_VIEW_H_
