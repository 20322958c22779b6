#ifndef PENSTOCK_CLIENT_RENDER_FRACTIONS_VIEW_H_
#define PENSTOCK_CLIENT_RENDER_FRACTIONS_VIEW_H_

#include <string>

#include "nlohmann/json.hpp"
#include "proto/coordinator_service.pb.h"

namespace penstock {

// Where a job's time goes. Pure.

// "balance 97.1 % x schedule 84.2 % x runtime 98.0 %", with "kernel" before
// them where it is known; empty where nothing is.
std::string FractionsText(const Fractions& fractions);

// {kernel, balance, schedule, runtime}; null for what is not known.
nlohmann::ordered_json FractionsToJson(const Fractions& fractions);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_RENDER_FRACTIONS_VIEW_H_
