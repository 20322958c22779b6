#include "schedule/generators/breadth_first.h"

#include "base/ids.h"

namespace penstock {

absl::StatusOr<std::vector<Action>> BreadthFirstList(
    const GeneratorRequest& request, int rank) {
  const int p = request.num_ranks;
  const int chunks = request.num_stages / p;
  const int m = request.num_microbatches;
  std::vector<Action> list;
  list.reserve(2 * static_cast<size_t>(chunks) * static_cast<size_t>(m));
  for (int chunk = 0; chunk < chunks; ++chunk) {
    for (int b = 0; b < m; ++b) {
      list.push_back(Forward(StageId(chunk * p + rank), MicrobatchId(b)));
    }
  }
  for (int chunk = chunks; chunk-- > 0;) {
    for (int b = 0; b < m; ++b) {
      list.push_back(Backward(StageId(chunk * p + rank), MicrobatchId(b)));
    }
  }
  return list;
}

}  // namespace penstock
