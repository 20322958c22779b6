#include "client/render/version_view.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/render/quantity.h"
#include "client/render/table.h"

namespace penstock {
namespace {

struct Row {
  int rank = 0;
  int stage = 0;
  int versions = 1;
  // In updates.
  int staleness = 0;
  // What its learning rate is the job's times.
  double rate_factor = 1;
  int64_t bytes = 0;
};

bool Flushes(const wire::Schedule& schedule) {
  return schedule.policy() == wire::WEIGHT_POLICY_UNSPECIFIED ||
         schedule.policy() == wire::WEIGHT_POLICY_FLUSH;
}

// By rank, then stage.
std::vector<Row> Rows(const Plan& plan) {
  const wire::Schedule& schedule = plan.schedule();
  const int64_t bytes_each = plan.job().dtype() == "float32" ? 4 : 2;
  std::vector<Row> rows;
  for (int stage = 0; stage < schedule.placement_size(); ++stage) {
    for (const int rank : schedule.placement(stage).ranks()) {
      Row& row = rows.emplace_back();
      row.rank = rank;
      row.stage = stage;
      if (stage < schedule.versions_size()) {
        row.staleness = schedule.versions(stage).delay();
        row.versions = row.staleness + 1;
        row.rate_factor =
            static_cast<double>(
                schedule.versions(stage).microbatches_per_update()) /
            schedule.versions(0).microbatches_per_update();
      }
      if (stage < plan.stages_size()) {
        row.bytes =
            plan.stages(stage).parameter_count() * bytes_each * row.versions;
      }
    }
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.rank < b.rank; });
  return rows;
}

}  // namespace

std::string WeightPolicyText(const Job& job) {
  const std::string& policy = job.weights().policy();
  if (policy.empty() || policy == "flush") return "";
  return job.optimizer().clip_norm() > 0
             ? absl::StrCat(policy, ", clipped per stage")
             : policy;
}

std::string LatenessText(const Plan& plan) {
  if (Flushes(plan.schedule())) return "";
  std::vector<int> delays;
  for (const wire::VersionRule& rule : plan.schedule().versions()) {
    delays.push_back(rule.delay());
  }
  return absl::StrCat(WeightPolicyText(plan.job()), "; stages late by ",
                      absl::StrJoin(delays, ", "),
                      delays == std::vector<int>{1} ? " update" : " updates");
}

std::string VersionTable(const Plan& plan) {
  if (Flushes(plan.schedule())) return "";
  const std::vector<Row> all = Rows(plan);
  const bool rates_differ =
      std::any_of(all.begin(), all.end(),
                  [](const Row& row) { return row.rate_factor != 1; });
  std::vector<std::string> header = {"RANK", "STAGE", "VERSIONS", "LATE BY",
                                     "BYTES"};
  if (rates_differ) header.push_back("LEARNING RATE");
  std::vector<std::vector<std::string>> rows;
  for (const Row& row : all) {
    rows.push_back({absl::StrCat(row.rank), absl::StrCat(row.stage),
                    absl::StrCat(row.versions),
                    absl::StrCat(row.staleness,
                                 row.staleness == 1 ? " update" : " updates"),
                    BytesText(row.bytes)});
    if (rates_differ) {
      rows.back().push_back(absl::StrCat("times ", row.rate_factor));
    }
  }
  return RenderTable(header, rows);
}

nlohmann::ordered_json VersionsToJson(const Plan& plan) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Row& row : Rows(plan)) {
    rows.push_back({{"rank", row.rank},
                    {"stage", row.stage},
                    {"versions", row.versions},
                    {"staleness", row.staleness},
                    {"learning_rate_factor", row.rate_factor},
                    {"bytes", row.bytes}});
  }
  return rows;
}

}  // namespace penstock
