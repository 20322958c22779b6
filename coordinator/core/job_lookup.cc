#include "coordinator/core/job_lookup.h"

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/suggest.h"

namespace penstock {
namespace {

// More would not help anyone to choose.
constexpr size_t kShownMatches = 5;

}  // namespace

absl::StatusOr<std::string> FindJob(const ClusterState& state,
                                    absl::string_view text) {
  if (text.empty()) {
    return absl::InvalidArgumentError(
        "no job named; give its id, the start of it, or its name");
  }
  if (state.jobs.contains(std::string(text))) return std::string(text);
  std::string newest_of_name;
  std::vector<std::string> by_prefix;
  std::vector<std::string> names;
  for (const JobRecord* job : JobsInOrder(state)) {
    if (job->info.job().name() == text) newest_of_name = job->info.id();
    if (absl::StartsWith(job->info.id(), text)) {
      by_prefix.push_back(job->info.id());
    }
    names.push_back(job->info.job().name());
  }
  if (!newest_of_name.empty()) return newest_of_name;
  if (by_prefix.size() == 1) return by_prefix.front();
  if (by_prefix.size() > 1) {
    const size_t matches = by_prefix.size();
    if (matches > kShownMatches) by_prefix.resize(kShownMatches);
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", text, "\" is the start of ", matches,
        " job ids: ", absl::StrJoin(by_prefix, ", "),
        matches > kShownMatches ? ", ..." : "", "; give more of it"));
  }
  return absl::NotFoundError(absl::StrCat("no job \"", text, "\"",
                                          DidYouMean(text, names),
                                          "; `penstock list --all` shows all"));
}

}  // namespace penstock
