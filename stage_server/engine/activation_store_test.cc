#include "stage_server/engine/activation_store.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "schedule/ir/action.h"

namespace penstock {
namespace {

at::Tensor Number(int value) { return at::full({1}, value); }

TEST(ActivationStoreTest, GivesBackWhatWasPut) {
  ActivationStore store(/*num_edges=*/2, /*num_microbatches=*/3);
  int value = 0;
  for (const Direction direction :
       {Direction::kForward, Direction::kBackward}) {
    for (int edge = 0; edge < 2; ++edge) {
      for (int microbatch = -1; microbatch < 3; ++microbatch) {
        ASSERT_TRUE(store
                        .Put(direction, EdgeId(edge), MicrobatchId(microbatch),
                             Number(value++))
                        .ok());
      }
    }
  }
  EXPECT_EQ(store.num_held(), 16);
  const auto last =
      store.Take(Direction::kBackward, EdgeId(1), MicrobatchId(2));
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(last->item<int64_t>(), 15);
  const auto whole = store.Take(Direction::kForward, EdgeId(1), kWholeStep);
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(whole->item<int64_t>(), 4);
  EXPECT_EQ(store.num_held(), 14);
}

TEST(ActivationStoreTest, NothingIsTakenTwice) {
  ActivationStore store(1, 1);
  const MicrobatchId first(0);
  ASSERT_TRUE(store.Put(Direction::kForward, EdgeId(0), first, Number(1)).ok());
  EXPECT_EQ(
      store.Put(Direction::kForward, EdgeId(0), first, Number(1)).message(),
      "the value of edge 0, microbatch 0 came again before it was taken");
  ASSERT_TRUE(store.Take(Direction::kForward, EdgeId(0), first).ok());
  EXPECT_EQ(
      store.Take(Direction::kForward, EdgeId(0), first).status(),
      absl::InternalError("the value of edge 0, microbatch 0 is not there"));
}

TEST(ActivationStoreTest, PlacesEndWhereTheScheduleEnds) {
  ActivationStore store(1, 1);
  for (const auto& [edge, microbatch] :
       {std::pair(1, 0), std::pair(-1, 0), std::pair(0, 1), std::pair(0, -2)}) {
    EXPECT_EQ(store
                  .Put(Direction::kForward, EdgeId(edge),
                       MicrobatchId(microbatch), Number(1))
                  .code(),
              absl::StatusCode::kInternal);
  }
}

}  // namespace
}  // namespace penstock
