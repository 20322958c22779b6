#include "schedule/generators/v_min.h"

#include <array>

#include "schedule/generators/outline.h"

namespace penstock {
namespace {

constexpr char kName[] = "v_min";

// Slots between the last forward and the first backward, by p modulo 3.
constexpr std::array<int64_t, 3> kShift = {2, 0, 4};

absl::StatusOr<Schedule> VMin(const GeneratorRequest& request) {
  Schedule schedule = VOutline(kName, request);
  const BuildingBlock block = VMinBlock(request.num_ranks);
  schedule.ranks = Squeeze(block, request.num_microbatches,
                           RepeatBlock(block, request.num_microbatches));
  return schedule;
}

}  // namespace

BuildingBlock VMinBlock(int num_ranks) {
  const int64_t p = num_ranks;
  const int64_t shift = kShift[static_cast<size_t>(num_ranks % 3)];
  BuildingBlock block{.max_in_flight = 2 * ((num_ranks + 4) / 3),
                      .fills_steady_state = true};
  for (int64_t i = 0; i < p; ++i) {
    block.slots.push_back(
        {i, 2 * p - i - 1, 2 * p + shift + i, 4 * p + shift - i - 1});
  }
  return block;
}

GeneratorInfo VMinGenerator() {
  return {.name = kName,
          .source =
              "Qi et al., Pipeline Parallelism with Controllable Memory, 2024, "
              "section 4 (V-Min)",
          .trade =
              "a third of 1F1B's worst memory, (p+4)/3 microbatches on every "
              "rank; slow links and uneven times cost it most",
          .update_policy = "flush",
          .chunks = ChunkRange{.min = 2, .max = 2, .default_value = 2},
          .generate = VMin};
}

}  // namespace penstock
