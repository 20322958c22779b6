#include "stage_server/engine/flat_layout.h"

#include <gtest/gtest.h>

namespace penstock {
namespace {

ParameterSpec Parameter(std::vector<int64_t> shape, bool decay) {
  ParameterSpec spec;
  spec.shape = std::move(shape);
  spec.decay = decay;
  return spec;
}

TEST(LayOutTest, ParametersWithDecayComeFirst) {
  const FlatLayout layout =
      LayOut({Parameter({3}, false), Parameter({4, 16}, true),
              Parameter({33}, false), Parameter({1}, true)});
  EXPECT_EQ(layout.slots[1].offset, 0);
  EXPECT_EQ(layout.slots[3].offset, 64);
  EXPECT_EQ(layout.decay_end, 96);
  EXPECT_EQ(layout.slots[0].offset, 96);
  EXPECT_EQ(layout.slots[2].offset, 128);
  EXPECT_EQ(layout.slots[2].size, 33);
  EXPECT_EQ(layout.size, 192);
}

TEST(LayOutTest, EveryParameterIsAlignedInBothTypes) {
  const FlatLayout layout = LayOut(
      {Parameter({7}, true), Parameter({1}, true), Parameter({65}, false)});
  for (const FlatSlot& slot : layout.slots) {
    EXPECT_EQ(slot.offset * 2 % 64, 0);
  }
}

TEST(LayOutTest, AStageWithoutParametersTakesNothing) {
  const FlatLayout layout = LayOut({});
  EXPECT_EQ(layout.size, 0);
  EXPECT_EQ(layout.decay_end, 0);
}

}  // namespace
}  // namespace penstock
