#include "checkpoint/retention/retention.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

// Indices of candidates, the newest first.
std::vector<size_t> NewestFirst(
    const std::vector<RetentionCandidate>& candidates) {
  std::vector<size_t> order(candidates.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::tie(candidates[a].step, candidates[a].epoch) >
           std::tie(candidates[b].step, candidates[b].epoch);
  });
  return order;
}

}  // namespace

std::vector<RetentionVerdict> ApplyRetention(
    const std::vector<RetentionCandidate>& candidates,
    const RetentionPolicy& policy) {
  std::vector<RetentionVerdict> verdicts(candidates.size());
  const auto keep = [&](size_t index, const std::string& reason) {
    RetentionVerdict& verdict = verdicts[index];
    verdict.keep = true;
    if (verdict.reason.empty()) verdict.reason = reason;
  };
  // Of each step the one of the newest epoch.
  std::vector<size_t> order;
  for (const size_t index : NewestFirst(candidates)) {
    if (candidates[index].pinned) keep(index, "pinned");
    if (!order.empty() &&
        candidates[order.back()].step == candidates[index].step) {
      if (!verdicts[index].keep) {
        verdicts[index].reason = "a newer epoch has the same step";
      }
      continue;
    }
    order.push_back(index);
  }
  const size_t num_newest =
      std::min(order.size(), static_cast<size_t>(policy.keep_last));
  for (size_t i = 0; i < num_newest; ++i) {
    keep(order[i], absl::StrCat("among the newest ", policy.keep_last));
  }
  for (const size_t index : order) {
    if (policy.keep_every_steps > 0 &&
        candidates[index].step % policy.keep_every_steps == 0) {
      keep(index,
           absl::StrCat("one of every ", policy.keep_every_steps, " steps"));
    }
  }
  std::erase_if(order, [&](size_t index) {
    const auto& loss = candidates[index].evaluation_loss;
    return !loss.has_value() || std::isnan(*loss);
  });
  // From the oldest on, so that of equal ones the older is first.
  std::reverse(order.begin(), order.end());
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return *candidates[a].evaluation_loss < *candidates[b].evaluation_loss;
  });
  const size_t num_best =
      std::min(order.size(), static_cast<size_t>(policy.keep_best));
  for (size_t i = 0; i < num_best; ++i) {
    keep(order[i], absl::StrCat("among the best ", policy.keep_best));
  }
  for (RetentionVerdict& verdict : verdicts) {
    if (verdict.reason.empty()) verdict.reason = "no rule keeps it";
  }
  return verdicts;
}

}  // namespace penstock
