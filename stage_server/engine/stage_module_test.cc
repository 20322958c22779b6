#include "stage_server/engine/stage_module.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stage_server/engine/edge_direction.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

// Stage 1 of four: relu "a" of edge 0, then linear "b" of "a". Both leave:
// "a" on edges 1 and 2 to stages 2 and 3, "b" on edge 3 to stage 2.
RankPlan ForkPlan() {
  RankPlan plan;
  plan.graph.layers = {{.name = "a", .kind = "relu", .inputs = {"x"}},
                       {.name = "b",
                        .kind = "linear",
                        .attributes = {{"in", 4}, {"out", 4}},
                        .inputs = {"a"}}};
  plan.schedule.num_microbatches = 2;
  plan.schedule.accumulation = AccumulationOrder::kAsListed;
  return plan;
}

RankStage ForkStage() {
  RankStage stage;
  stage.id = StageId(1);
  stage.own_pieces = {2};
  stage.layers.resize(2);
  stage.layers[0].layer = 0;
  stage.layers[0].inputs = {{InputSource::Kind::kEdge, 0}};
  stage.layers[1].layer = 1;
  stage.layers[1].inputs = {{InputSource::Kind::kLayer, 0}};
  stage.in_edges = {{EdgeId(0), 0, StageId(0)}};
  stage.out_edges = {{EdgeId(1), 0, StageId(2)},
                     {EdgeId(2), 0, StageId(3)},
                     {EdgeId(3), 1, StageId(2)}};
  return stage;
}

ForwardRequest Request(int microbatch) {
  ForwardRequest request;
  request.microbatch = MicrobatchId(microbatch);
  request.context.microbatch = microbatch;
  return request;
}

at::Tensor Filled(float value) { return at::full({2, 4}, value, at::kFloat); }

class StageModuleTest : public ::testing::Test {
 protected:
  StageModuleTest() {
    LayerTensors linear;
    linear.weights = {{at::full({4, 4}, 1.0f, at::kFloat).requires_grad_(),
                       at::zeros({4}, at::kFloat).requires_grad_()},
                      {at::full({4, 4}, 5.0f, at::kFloat).requires_grad_(),
                       at::zeros({4}, at::kFloat).requires_grad_()}};
    gradients_ = {at::full({4, 4}, 99.0f, at::kFloat),
                  at::full({4}, 99.0f, at::kFloat)};
    linear.gradients = {gradients_};
    linear_ = linear;
    module_ = StageModule::Make(ForkPlan(), ForkStage(), {{}, linear});
  }

  // The same stage, microbatch 0 of which is recomputed.
  void Recomputed() {
    RankStage stage = ForkStage();
    stage.recomputed = {true, false};
    module_ = StageModule::Make(ForkPlan(), stage, {{}, linear_});
  }

  absl::Status Forward(int microbatch, float x) {
    const absl::Status put = store_.Put(Direction::kForward, EdgeId(0),
                                        MicrobatchId(microbatch), Filled(x));
    if (!put.ok()) return put;
    return module_->Forward(Request(microbatch), store_).status();
  }

  // Ones for "a" and `of_b` for "b".
  absl::Status PutGradients(int microbatch, float of_b) {
    for (const int edge : {1, 2, 3}) {
      const absl::Status put =
          store_.Put(Direction::kBackward, EdgeId(edge),
                     MicrobatchId(microbatch), Filled(edge == 3 ? of_b : 1));
      if (!put.ok()) return put;
    }
    return absl::OkStatus();
  }

  absl::Status Backward(int microbatch, float of_b) {
    const absl::Status put = PutGradients(microbatch, of_b);
    if (!put.ok()) return put;
    return module_->Backward(MicrobatchId(microbatch), store_);
  }

  absl::Status BackwardInput(int microbatch, float of_b) {
    const absl::Status put = PutGradients(microbatch, of_b);
    if (!put.ok()) return put;
    return module_->BackwardInput(MicrobatchId(microbatch), store_);
  }

  at::Tensor Taken(Direction direction, int edge, int microbatch) {
    return *store_.Take(direction, EdgeId(edge), MicrobatchId(microbatch));
  }

  LayerTensors linear_;
  std::vector<at::Tensor> gradients_;
  absl::StatusOr<StageModule> module_ = absl::InternalError("not made");
  ActivationStore store_{/*num_edges=*/4, /*num_microbatches=*/2};
};

TEST_F(StageModuleTest, ATensorForTwoStagesCollectsBothGradients) {
  ASSERT_TRUE(Forward(0, 2.0f).ok());
  EXPECT_TRUE(at::equal(Taken(Direction::kForward, 1, 0), Filled(2)));
  EXPECT_TRUE(at::equal(Taken(Direction::kForward, 2, 0), Filled(2)));
  const at::Tensor b = Taken(Direction::kForward, 3, 0);
  EXPECT_TRUE(at::equal(b, Filled(8)));
  EXPECT_FALSE(b.requires_grad());
  ASSERT_TRUE(Backward(0, 1.0f).ok());
  // One from each of the two stages, four through the linear layer.
  EXPECT_TRUE(at::equal(Taken(Direction::kBackward, 0, 0), Filled(6)));
  EXPECT_EQ(store_.num_held(), 0);
}

TEST_F(StageModuleTest, TheFirstBackwardOfAStepWritesAndTheOthersAdd) {
  for (int step = 0; step < 2; ++step) {
    module_->BeginUpdate();
    ASSERT_TRUE(Forward(0, 1.0f).ok());
    ASSERT_TRUE(Forward(1, 3.0f).ok());
    EXPECT_EQ(module_->num_in_flight(), 2);
    ASSERT_TRUE(Backward(1, 1.0f).ok());
    EXPECT_EQ(gradients_[1][0].item<float>(), 2.0f);
    ASSERT_TRUE(Backward(0, 10.0f).ok());
    EXPECT_EQ(gradients_[1][0].item<float>(), 22.0f);
    // Two samples of 3, then two of 1.
    EXPECT_EQ(gradients_[0][0][0].item<float>(), 6.0f + 20.0f);
    EXPECT_EQ(module_->num_in_flight(), 0);
    store_ = ActivationStore(4, 2);
  }
}

TEST_F(StageModuleTest, TheSplitBackwardSendsTheGradientOnBeforeW) {
  ASSERT_TRUE(Forward(0, 2.0f).ok());
  ASSERT_TRUE(Forward(1, 3.0f).ok());
  ASSERT_TRUE(BackwardInput(1, 10.0f).ok());
  ASSERT_TRUE(BackwardInput(0, 1.0f).ok());
  EXPECT_TRUE(at::equal(Taken(Direction::kBackward, 0, 0), Filled(6)));
  EXPECT_TRUE(at::equal(Taken(Direction::kBackward, 0, 1), Filled(42)));
  EXPECT_EQ(gradients_[1][0].item<float>(), 99.0f);
  EXPECT_EQ(module_->num_in_flight(), 2);
  ASSERT_TRUE(module_->BackwardWeight(MicrobatchId(0)).ok());
  EXPECT_EQ(gradients_[1][0].item<float>(), 2.0f);
  ASSERT_TRUE(module_->BackwardWeight(MicrobatchId(1)).ok());
  EXPECT_EQ(gradients_[1][0].item<float>(), 22.0f);
  EXPECT_EQ(module_->num_in_flight(), 0);
}

TEST_F(StageModuleTest, ARecomputedMicrobatchHasTheSameGradients) {
  Recomputed();
  ASSERT_TRUE(Forward(0, 2.0f).ok());
  ASSERT_TRUE(Forward(1, 2.0f).ok());
  EXPECT_TRUE(at::equal(Taken(Direction::kForward, 3, 0), Filled(8)));
  ASSERT_TRUE(module_->Recompute(MicrobatchId(0)).ok());
  ASSERT_TRUE(Backward(0, 1.0f).ok());
  EXPECT_TRUE(at::equal(Taken(Direction::kBackward, 0, 0), Filled(6)));
  EXPECT_EQ(gradients_[0][0][0].item<float>(), 4.0f);
  ASSERT_TRUE(Backward(1, 1.0f).ok());
  EXPECT_EQ(gradients_[0][0][0].item<float>(), 8.0f);
}

TEST_F(StageModuleTest, KnowsWhenTheGradientIsWhole) {
  for (const int microbatch : {1, 0}) {
    ASSERT_TRUE(Forward(microbatch, 1.0f).ok());
    EXPECT_FALSE(module_->HasWholeGradient());
    ASSERT_TRUE(Backward(microbatch, 1.0f).ok());
  }
  EXPECT_TRUE(module_->HasWholeGradient());
  module_->BeginUpdate();
  EXPECT_FALSE(module_->HasWholeGradient());
}

TEST_F(StageModuleTest, SumsInTheDeclaredOrderOrNotAtAll) {
  for (const auto order :
       {AccumulationOrder::kAscending, AccumulationOrder::kDescending}) {
    const int first = order == AccumulationOrder::kAscending ? 0 : 1;
    RankPlan plan = ForkPlan();
    plan.schedule.accumulation = order;
    module_ = StageModule::Make(plan, ForkStage(), {{}, linear_});
    store_ = ActivationStore(4, 2);
    ASSERT_TRUE(Forward(0, 1.0f).ok());
    ASSERT_TRUE(Forward(1, 1.0f).ok());
    EXPECT_TRUE(Backward(first, 1.0f).ok());
    EXPECT_TRUE(Backward(1 - first, 1.0f).ok());
    module_->BeginUpdate();
    store_ = ActivationStore(4, 2);
    ASSERT_TRUE(Forward(0, 1.0f).ok());
    ASSERT_TRUE(Forward(1, 1.0f).ok());
    EXPECT_TRUE(Backward(1 - first, 1.0f).ok());
    EXPECT_THAT(std::string(Backward(first, 1.0f).message()),
                HasSubstr("not in the order that the schedule declares"));
  }
}

TEST_F(StageModuleTest, AMicrobatchIsNotAddedTwice) {
  ASSERT_TRUE(Forward(0, 1.0f).ok());
  ASSERT_TRUE(Backward(0, 1.0f).ok());
  store_ = ActivationStore(4, 2);
  ASSERT_TRUE(Forward(0, 1.0f).ok());
  EXPECT_THAT(std::string(Backward(0, 1.0f).message()),
              HasSubstr("stage 1 W of microbatch 0: it has run"));
}

TEST_F(StageModuleTest, EachMicrobatchReadsTheWeightsOfItsSlot) {
  ForwardRequest request = Request(0);
  request.slot = 1;
  ASSERT_TRUE(
      store_.Put(Direction::kForward, EdgeId(0), MicrobatchId(0), Filled(2.0f))
          .ok());
  ASSERT_TRUE(module_->Forward(request, store_).ok());
  EXPECT_TRUE(at::equal(Taken(Direction::kForward, 3, 0), Filled(40)));
  ASSERT_TRUE(Forward(1, 2.0f).ok());
  EXPECT_TRUE(at::equal(Taken(Direction::kForward, 3, 1), Filled(8)));
  ASSERT_TRUE(Backward(1, 1.0f).ok());
  ASSERT_TRUE(Backward(0, 1.0f).ok());
  // Two, and through the linear layer four and twenty.
  EXPECT_TRUE(at::equal(Taken(Direction::kBackward, 0, 1), Filled(6)));
  EXPECT_TRUE(at::equal(Taken(Direction::kBackward, 0, 0), Filled(22)));
}

TEST_F(StageModuleTest, AnEvaluationLeavesNothingBehind) {
  ASSERT_TRUE(
      store_.Put(Direction::kForward, EdgeId(0), MicrobatchId(0), Filled(2.0f))
          .ok());
  ForwardRequest request = Request(0);
  request.context.training = false;
  ASSERT_TRUE(module_->Evaluate(request, store_).ok());
  for (const int edge : {1, 2, 3}) {
    EXPECT_FALSE(Taken(Direction::kForward, edge, 0).requires_grad());
  }
  EXPECT_EQ(module_->num_in_flight(), 0);
  EXPECT_EQ(store_.num_held(), 0);
  EXPECT_TRUE(Forward(0, 2.0f).ok());
}

TEST_F(StageModuleTest, GradientsOfALaterUpdateWaitForTheOneBefore) {
  ASSERT_TRUE(Forward(1, 1.0f).ok());
  module_->BeginUpdate(1.0f, MicrobatchId(2));
  EXPECT_THAT(std::string(Backward(1, 1.0f).message()),
              HasSubstr("stage 1 W of microbatch 1: the next update is of "
                        "microbatches 2 to 3"));
}

TEST_F(StageModuleTest, UpdatesInARowMayHaveGradientsOfTheirOwn) {
  LayerTensors linear = linear_;
  const std::vector<at::Tensor> second = {at::full({4, 4}, 77.0f, at::kFloat),
                                          at::full({4}, 77.0f, at::kFloat)};
  linear.gradients.push_back(second);
  module_ = StageModule::Make(ForkPlan(), ForkStage(), {{}, linear});
  store_ = ActivationStore(4, 6);
  for (int microbatch = 0; microbatch < 6; ++microbatch) {
    ASSERT_TRUE(Forward(microbatch, 1.0f).ok());
  }
  for (int update = 0; update < 3; ++update) {
    module_->BeginUpdate(1.0f, MicrobatchId(2 * update));
    for (const int piece : {0, 1}) {
      ASSERT_TRUE(Backward(2 * update + piece, 1.0f + update).ok());
    }
    EXPECT_TRUE(module_->HasWholeGradient());
    // Of the bias: two rows of each of two microbatches. The one before stays.
    const at::Tensor& now = update % 2 == 0 ? gradients_[1] : second[1];
    EXPECT_EQ(now[0].item<float>(), 4.0f * (1 + update));
    if (update == 1) {
      EXPECT_EQ(gradients_[1][0].item<float>(), 4.0f);
    }
  }
}

TEST_F(StageModuleTest, WhatComesAtTheWrongTimeIsRefused) {
  const auto text = [](const absl::Status& status) {
    return std::string(status.message());
  };
  EXPECT_THAT(text(Backward(0, 1.0f)),
              HasSubstr("stage 1 I of microbatch 0: not in flight"));
  EXPECT_THAT(text(module_->BackwardWeight(MicrobatchId(1))),
              HasSubstr("stage 1 W of microbatch 1: not in flight"));
  ASSERT_TRUE(Forward(1, 1.0f).ok());
  EXPECT_THAT(text(Forward(1, 1.0f)),
              HasSubstr("stage 1 F of microbatch 1: already in flight"));
  EXPECT_THAT(text(module_->BackwardWeight(MicrobatchId(1))),
              HasSubstr("stage 1 W of microbatch 1: its I has not run"));
  EXPECT_THAT(text(module_->Recompute(MicrobatchId(1))),
              HasSubstr("stage 1 R of microbatch 1: it is recorded"));
  Recomputed();
  store_ = ActivationStore(4, 2);
  ASSERT_TRUE(Forward(0, 1.0f).ok());
  EXPECT_THAT(text(Backward(0, 1.0f)),
              HasSubstr("stage 1 I of microbatch 0: its R has not run"));
}

TEST_F(StageModuleTest, LibtorchsErrorsNameTheLayer) {
  ASSERT_TRUE(store_
                  .Put(Direction::kForward, EdgeId(0), MicrobatchId(0),
                       at::zeros({2, 3}, at::kFloat))
                  .ok());
  const absl::Status status = module_->Forward(Request(0), store_).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("stage 1 F of microbatch 0: layer \"b\""));
}

// A batch norm of two channels, momentum 0.5, of edge 0 to edge 1. It does not
// split its backward.
class StatisticsTest : public ::testing::Test {
 protected:
  StatisticsTest() {
    RankPlan plan;
    plan.graph.layers = {{.name = "norm",
                          .kind = "batch_norm",
                          .attributes = {{"channels", 2}, {"momentum", 0.5}},
                          .inputs = {"x"}}};
    plan.schedule.num_microbatches = 2;
    RankStage stage;
    stage.id = StageId(1);
    stage.layers.resize(1);
    stage.layers[0].inputs = {{InputSource::Kind::kEdge, 0}};
    stage.in_edges = {{EdgeId(0), 0, StageId(0)}};
    stage.out_edges = {{EdgeId(1), 0, StageId(2)}};
    stage.recomputed = {true, false};
    LayerTensors tensors;
    tensors.weights = {{at::full({2}, 2.0f, at::kFloat).requires_grad_(),
                        at::zeros({2}, at::kFloat).requires_grad_()}};
    tensors.gradients = {
        {at::full({2}, 99.0f, at::kFloat), at::full({2}, 99.0f, at::kFloat)}};
    tensors.statistics = {at::zeros({2}, at::kFloat),
                          at::full({2}, 1.0f, at::kFloat)};
    tensors_ = tensors;
    module_ = StageModule::Make(plan, stage, {tensors});
  }

  absl::Status Forward(int microbatch, float mean) {
    const absl::Status put =
        store_.Put(Direction::kForward, EdgeId(0), MicrobatchId(microbatch),
                   at::full({4, 2, 3, 3}, mean, at::kFloat));
    if (!put.ok()) return put;
    return module_->Forward(Request(microbatch), store_).status();
  }

  absl::Status PutGradient(int microbatch) {
    return store_.Put(Direction::kBackward, EdgeId(1), MicrobatchId(microbatch),
                      at::full({4, 2, 3, 3}, 1.0f, at::kFloat));
  }

  LayerTensors tensors_;
  absl::StatusOr<StageModule> module_ = absl::InternalError("not made");
  ActivationStore store_{/*num_edges=*/2, /*num_microbatches=*/2};
};

TEST_F(StatisticsTest, MoveOnceAStepInTheOrderOfTheMicrobatches) {
  // The other way round than microbatches count; microbatch 0 is recomputed.
  ASSERT_TRUE(Forward(1, 8.0f).ok());
  ASSERT_TRUE(Forward(0, 4.0f).ok());
  ASSERT_TRUE(module_->Recompute(MicrobatchId(0)).ok());
  EXPECT_EQ(tensors_.statistics[0][0].item<float>(), 0.0f);
  ASSERT_TRUE(module_->CommitStatistics().ok());
  // 0 -> 2 -> 5; the other order would give 4 -> 4.
  EXPECT_EQ(tensors_.statistics[0][0].item<float>(), 5.0f);
  EXPECT_EQ(tensors_.statistics[1][0].item<float>(), 0.25f);
  ASSERT_TRUE(module_->CommitStatistics().ok());
  EXPECT_EQ(tensors_.statistics[0][0].item<float>(), 5.0f);
}

TEST_F(StatisticsTest, MoveByThoseOfOtherRanksToo) {
  ASSERT_TRUE(Forward(1, 8.0f).ok());
  const at::Tensor all = module_->StatisticsToReduce();
  ASSERT_EQ(all.sizes(), at::IntArrayRef({2, 4}));
  EXPECT_EQ(all[0].abs().max().item<float>(), 0.0f);
  EXPECT_EQ(all[1][0].item<float>(), 8.0f);
  // Another rank ran microbatch 0, of mean 4.
  all[0].narrow(0, 0, 2).fill_(4.0f);
  ASSERT_TRUE(module_->CommitStatistics().ok());
  EXPECT_EQ(tensors_.statistics[0][0].item<float>(), 5.0f);
}

TEST_F(StatisticsTest, WeightsOfAKindThatDoesNotSplitWaitForW) {
  ASSERT_TRUE(Forward(1, 8.0f).ok());
  ASSERT_TRUE(PutGradient(1).ok());
  ASSERT_TRUE(module_->BackwardInput(MicrobatchId(1), store_).ok());
  EXPECT_EQ(tensors_.gradients[0][1][0].item<float>(), 99.0f);
  EXPECT_FALSE(tensors_.weights[0][1].grad().defined());
  ASSERT_TRUE(module_->BackwardWeight(MicrobatchId(1)).ok());
  EXPECT_EQ(tensors_.gradients[0][1][0].item<float>(), 36.0f);
}

}  // namespace
}  // namespace penstock
