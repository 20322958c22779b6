#include "coordinator/core/server_lookup.h"

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

absl::Status Several(absl::string_view what, std::vector<std::string> ids) {
  const size_t matches = ids.size();
  if (matches > kShownMatches) ids.resize(kShownMatches);
  return absl::InvalidArgumentError(
      absl::StrCat(what, ": ", absl::StrJoin(ids, ", "),
                   matches > kShownMatches ? ", ..." : "", "; give an id"));
}

}  // namespace

absl::StatusOr<std::string> FindServer(const ClusterState& state,
                                       absl::string_view text) {
  if (text.empty()) {
    return absl::InvalidArgumentError(
        "no stage server named; give its id, the start of it, or its name");
  }
  if (state.servers.contains(std::string(text))) return std::string(text);
  std::vector<std::string> by_name;
  std::vector<std::string> lost;
  std::vector<std::string> by_prefix;
  std::vector<std::string> names;
  for (const auto& [id, server] : state.servers) {
    if (server.info.name() == text) {
      const bool is_lost = server.info.state() == SERVER_STATE_LOST;
      (is_lost ? lost : by_name).push_back(id);
    }
    if (absl::StartsWith(id, text)) by_prefix.push_back(id);
    names.push_back(server.info.name());
  }
  if (by_name.empty()) by_name = lost;
  if (by_name.size() == 1) return by_name.front();
  if (by_name.size() > 1) {
    return Several(absl::StrCat("\"", text, "\" is the name of ",
                                by_name.size(), " stage servers"),
                   by_name);
  }
  if (by_prefix.size() == 1) return by_prefix.front();
  if (by_prefix.size() > 1) {
    return Several(absl::StrCat("\"", text, "\" is the start of ",
                                by_prefix.size(), " stage servers' ids"),
                   by_prefix);
  }
  return absl::NotFoundError(
      absl::StrCat("no stage server \"", text, "\"", DidYouMean(text, names),
                   "; `penstock servers list` shows all"));
}

}  // namespace penstock
