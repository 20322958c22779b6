#include "schedule/ir/chain.h"

#include "absl/strings/str_cat.h"
#include "base/ids.h"

namespace penstock {

std::vector<Edge> ChainEdges(int num_stages) {
  std::vector<Edge> edges;
  for (int stage = 0; stage + 1 < num_stages; ++stage) {
    edges.push_back({EdgeKind::kActivation, absl::StrCat("h", stage),
                     StageId(stage), StageId(stage + 1)});
  }
  return edges;
}

}  // namespace penstock
