#ifndef PENSTOCK_CLIENT_DOCTOR_FINDINGS_VIEW_H_
#define PENSTOCK_CLIENT_DOCTOR_FINDINGS_VIEW_H_

#include <string>
#include <vector>

#include "client/doctor/examination.h"
#include "nlohmann/json.hpp"

namespace penstock {

// A table, with the advice below what it is for, and a line that counts. Pure.
std::string FindingsText(const std::vector<Finding>& findings);

// An array of health ("ok", "warning", "error"), check, subject, found and
// advice. Keys are stable. Pure.
nlohmann::ordered_json FindingsToJson(const std::vector<Finding>& findings);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_DOCTOR_FINDINGS_VIEW_H_
