#include "schedule/generators/grouped_order.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "schedule/generators/request.h"

namespace penstock {
namespace {

constexpr char kGroup[] = "group";
constexpr char kRanks[] = "ranks";

}  // namespace

ParameterInfo GroupParameter() {
  return {.name = kGroup,
          .description =
              "microbatches that pass one chunk before the next, at least the "
              "number of ranks; \"ranks\": as many as that",
          .values = {kRanks},
          .range = IntegerRange{1, 1'000'000},
          .default_value = kRanks};
}

absl::StatusOr<GroupedOrder> GroupedOrder::Of(absl::string_view name,
                                              const GeneratorRequest& request) {
  const int p = request.num_ranks;
  const int group = request.parameters.at(kGroup) == kRanks
                        ? p
                        : IntegerParameter(request, kGroup);
  if (group < p) {
    return absl::InvalidArgumentError(
        absl::StrCat(kGroup, " of schedule ", name, " is ", group, " on ", p,
                     " ranks, where a rank would wait for itself; the nearest "
                     "is ",
                     p));
  }
  const int num_groups = (request.num_microbatches - 1) / group + 1;
  return GroupedOrder(p, request.num_stages / p, group, num_groups);
}

std::vector<StageId> GroupedOrder::StagesOf(int rank) const {
  std::vector<StageId> stages;
  for (int chunk = 0; chunk < chunks_; ++chunk) {
    stages.push_back(StageId(chunk * num_ranks_ + rank));
  }
  return stages;
}

int GroupedOrder::ForwardChunk(int64_t position) const {
  return static_cast<int>(position / group_ % chunks_);
}

int GroupedOrder::BackwardChunk(int64_t position) const {
  return chunks_ - 1 - ForwardChunk(position);
}

}  // namespace penstock
