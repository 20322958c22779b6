#include "schedule/generators/v_half.h"

#include "schedule/generators/outline.h"

namespace penstock {
namespace {

constexpr char kName[] = "v_half";

absl::StatusOr<Schedule> VHalf(const GeneratorRequest& request) {
  Schedule schedule = VOutline(kName, request);
  const BuildingBlock block = VHalfBlock(request.num_ranks);
  schedule.ranks = Squeeze(block, request.num_microbatches,
                           RepeatBlock(block, request.num_microbatches));
  return schedule;
}

}  // namespace

BuildingBlock VHalfBlock(int num_ranks) {
  const int64_t p = num_ranks;
  // Keeps the slots of one rank apart modulo 6.
  const int64_t shift = p % 2 == 0 ? 3 : 0;
  BuildingBlock block{.max_in_flight = 2 * ((num_ranks + 2) / 2)};
  for (int64_t i = 0; i < p; ++i) {
    block.slots.push_back({2 * i, 3 * p - i - 2, 3 * p + shift + 2 * i - 1,
                           6 * p + shift - i - 2});
  }
  return block;
}

GeneratorInfo VHalfGenerator() {
  return {
      .name = kName,
      .source =
          "Qi et al., Pipeline Parallelism with Controllable Memory, 2024, "
          "section 4 (V-Half)",
      .trade =
          "half of 1F1B's worst memory, (p+2)/2 microbatches on every rank, "
          "for a bigger bubble than zbv's",
      .update_policy = "flush",
      .chunks = ChunkRange{.min = 2, .max = 2, .default_value = 2},
      .generate = VHalf};
}

}  // namespace penstock
