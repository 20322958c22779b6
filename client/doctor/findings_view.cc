#include "client/doctor/findings_view.h"

#include "absl/strings/str_cat.h"
#include "client/render/table.h"

namespace penstock {
namespace {

const char* Word(Health health) {
  switch (health) {
    case Health::kGood:
      return "ok";
    case Health::kDoubtful:
      return "warning";
    case Health::kBad:
      return "error";
  }
  return "";
}

}  // namespace

std::string FindingsText(const std::vector<Finding>& findings) {
  std::vector<std::vector<std::string>> rows;
  int doubtful = 0;
  int bad = 0;
  for (const Finding& finding : findings) {
    doubtful += finding.health == Health::kDoubtful;
    bad += finding.health == Health::kBad;
    rows.push_back(
        {Word(finding.health), finding.check, finding.subject, finding.found});
    if (!finding.advice.empty()) {
      rows.push_back({" ", " ", " ", absl::StrCat("-> ", finding.advice)});
    }
  }
  return absl::StrCat(RenderTable({"HEALTH", "CHECK", "OF", "FOUND"}, rows),
                      "\n", bad, " errors, ", doubtful, " warnings\n");
}

nlohmann::ordered_json FindingsToJson(const std::vector<Finding>& findings) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    json.push_back({{"health", Word(finding.health)},
                    {"check", finding.check},
                    {"subject", finding.subject},
                    {"found", finding.found},
                    {"advice", finding.advice}});
  }
  return json;
}

}  // namespace penstock
