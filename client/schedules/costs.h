#ifndef PENSTOCK_CLIENT_SCHEDULES_COSTS_H_
#define PENSTOCK_CLIENT_SCHEDULES_COSTS_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/profile.pb.h"
#include "schedule/ir/schedule.h"
#include "schedule/simulator/cost_model.h"

namespace penstock {

// What a person said about costs: uniform times, or a profile.
struct CostRequest {
  UniformTimes times;
  // Of uniform costs.
  double action_overhead = 0;
  double pair_gain = 0;
  std::optional<wire::Profile> profile;

  // "s" with a profile, else "".
  std::string time_unit() const { return profile.has_value() ? "s" : ""; }
};

// The costs of the schedule. With a profile its layers are cut evenly by their
// time into the schedule's stages; a chain's edges, which have no tensors of
// the model, carry the output of the last layer before the cut. Pure.
//   INVALID_ARGUMENT  from `ProfiledCosts`; more stages than layers.
absl::StatusOr<CostModel> CostsOf(const CostRequest& request,
                                  Schedule schedule);

// A profile as JSON that `ParseProfile` reads, with a newline at its end.
std::string ProfileToJson(const wire::Profile& profile);

// Reads a profile's JSON (the JSON of proto/profile.proto).
//   INVALID_ARGUMENT  no JSON of a profile, or what `CheckProfile` refuses.
absl::StatusOr<wire::Profile> ParseProfile(absl::string_view json);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_SCHEDULES_COSTS_H_
