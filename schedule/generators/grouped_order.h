#ifndef PENSTOCK_SCHEDULE_GENERATORS_GROUPED_ORDER_H_
#define PENSTOCK_SCHEDULE_GENERATORS_GROUPED_ORDER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "schedule/generators/generator.h"

namespace penstock {

inline constexpr ChunkRange kGroupedChunks{
    .min = 1, .max = 1024, .default_value = 2};

// The parameter "group": microbatches that pass one chunk before the next.
ParameterInfo GroupParameter();

// The order of the chunks in interleaved schedules (Narayanan et al.,
// Megatron-LM, 2021, section 2.2.2): microbatches go in groups of g; forward,
// chunk 0 takes all of a group, then chunk 1, ...; backward, the last chunk
// first. The same on every rank.
//
// A last group that is shorter would deadlock for some counts, so the order is
// that of whole groups, and the positions of microbatches that do not exist
// stay empty.
class GroupedOrder {
 public:
  // From a completed request of schedule `name`.
  //   INVALID_ARGUMENT  a group smaller than the ranks, between which a rank
  //                     would wait for itself; names the smallest.
  static absl::StatusOr<GroupedOrder> Of(absl::string_view name,
                                         const GeneratorRequest& request);

  // Index is the chunk.
  std::vector<StageId> StagesOf(int rank) const;
  // Positions in the order, empty ones counted.
  int64_t size() const { return int64_t{num_groups_} * group_ * chunks_; }
  // Forwards that the last stage needs behind it to begin a backward, less one.
  int64_t first_backward() const { return int64_t{chunks_ - 1} * group_; }
  // The chunk of the forward or backward at `position`.
  int ForwardChunk(int64_t position) const;
  int BackwardChunk(int64_t position) const;

 private:
  GroupedOrder(int num_ranks, int chunks, int group, int num_groups)
      : num_ranks_(num_ranks),
        chunks_(chunks),
        group_(group),
        num_groups_(num_groups) {}

  int num_ranks_;
  int chunks_;
  int group_;
  int num_groups_;
};

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_GROUPED_ORDER_H_
