#include "coordinator/core/weights_digest.h"

#include <map>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/sha256.h"

namespace penstock {
namespace {

constexpr size_t kSha256Bytes = 32;

}  // namespace

absl::StatusOr<std::string> WeightsDigest(
    const std::vector<LayerDigest>& digests,
    const std::vector<int>& parameter_layers) {
  const std::set<int> wanted(parameter_layers.begin(), parameter_layers.end());
  std::map<int, std::string> by_layer;
  for (const LayerDigest& digest : digests) {
    if (!wanted.contains(digest.layer())) continue;
    const std::string what =
        absl::StrCat("layer ", digest.layer(), " (", digest.name(), ")");
    if (digest.sha256().size() != kSha256Bytes) {
      return absl::DataLossError(
          absl::StrCat(what, ": its sha256 has ", digest.sha256().size(),
                       " bytes instead of ", kSha256Bytes));
    }
    if (!by_layer.emplace(digest.layer(), digest.sha256()).second) {
      return absl::DataLossError(
          absl::StrCat(what, ": two ranks say that they own its weights"));
    }
  }
  Sha256 all;
  for (const int layer : wanted) {
    const auto found = by_layer.find(layer);
    if (found == by_layer.end()) {
      return absl::DataLossError(absl::StrCat(
          "layer ", layer, ": no rank reported the sha256 of its weights"));
    }
    all.Update(found->second.data(), found->second.size());
  }
  return absl::BytesToHexString(all.Finish());
}

}  // namespace penstock
