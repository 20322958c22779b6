#ifndef PENSTOCK_CLIENT_RENDER_RESTART_VIEW_H_
#define PENSTOCK_CLIENT_RENDER_RESTART_VIEW_H_

#include <string>

#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "proto/coordinator_service.pb.h"

namespace penstock {

// How often a job was started again and why, for people and programs. Pure.

// "2, the last after step 40: stage 1 on node-b: ..."; empty without any.
std::string RestartsText(const JobInfo& info);

// A row for each that the job still tells of: when, what was lost and how long
// each phase took; then the evidence of each. Empty without any.
std::string RestartTable(const JobInfo& info, absl::TimeZone zone);

// {"count": 2, "in_row": 0, "newest": [{"epoch": 1, ...}]}
nlohmann::ordered_json RestartsToJson(const JobInfo& info);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_RENDER_RESTART_VIEW_H_
