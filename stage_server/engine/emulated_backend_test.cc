#include "stage_server/engine/emulated_backend.h"

#include <optional>
#include <string>

#include "absl/strings/str_replace.h"
#include "base/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/schedule_proto.h"
#include "schedule/ir/text_format.h"
#include "stage_server/engine/emulated_plan.h"

namespace penstock {
namespace {

using ::testing::Gt;
using ::testing::HasSubstr;

constexpr StageId kStage(0);
constexpr MicrobatchId kFirst(0);
constexpr MicrobatchId kSecond(1);

void AddLayer(const char* name, wire::Profile& profile) {
  wire::LayerProfile& layer = *profile.add_layers();
  layer.set_name(name);
  layer.set_forward_seconds(0.002);
  layer.set_input_gradient_seconds(0.001);
  layer.set_weight_gradient_seconds(0.001);
  layer.set_state_bytes(1000);
  layer.set_saved_bytes(100);
  layer.set_pending_weight_bytes(40);
}

constexpr char kFused[] = R"(penstock-schedule 1
name by_hand
microbatches 2
placement r0 r1
edge activation a 0>1
r0: 0F0 0SF0[a>r1] 0F1 0SF1[a>r1] 0RB0[a<r1] 0B0 0RB1[a<r1] 0B1 N 0U
r1: 1RF0[a<r0] 1F0 1B0 1SB0[a>r0] 1RF1[a<r0] 1F1 1B1 1SB1[a>r0] N 1U
)";

std::string Split() {
  return absl::StrReplaceAll(kFused, {{"0B0", "0I0"}, {"0B1", "0I1 0W0 0W1"}});
}

std::string Recomputed() {
  return absl::StrReplaceAll(kFused, {{"0B0", "0R0 0B0"}, {"0B1", "0R1 0B1"}});
}

// Two stages of one layer each, over an edge of 64 bytes.
Plan TwoStagePlan(const std::string& schedule_text) {
  Plan plan;
  Job& job = *plan.mutable_job();
  job.set_batch_size(4);
  job.set_step_timeout_seconds(10);
  AddLayer("a", *job.mutable_emulate());
  AddLayer("b", *job.mutable_emulate());
  wire::TensorProfile& tensor = *job.mutable_emulate()->add_tensors();
  tensor.set_name("a");
  tensor.set_bytes(64);
  plan.add_stages()->add_layers("a");
  plan.add_stages()->add_layers("b");
  TensorSpec& spec = *plan.add_edge_tensors();
  spec.set_dtype(DTYPE_FLOAT32);
  spec.add_shape(16);
  const absl::StatusOr<Schedule> schedule = ParseSchedule(schedule_text);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  *plan.mutable_schedule() = ToProto(*schedule);
  return plan;
}

std::unique_ptr<EmulatedBackend> BackendOf(const Plan& plan) {
  auto rank = ResolveEmulatedRank(plan, RankId(0));
  EXPECT_TRUE(rank.ok()) << rank.status();
  auto backend = EmulatedBackend::Make(*std::move(rank));
  EXPECT_TRUE(backend.ok()) << backend.status();
  return *std::move(backend);
}

Action Message(Op op, int microbatch) {
  Action action;
  action.op = op;
  action.stage = kStage;
  action.microbatch = MicrobatchId(microbatch);
  action.edge = EdgeId(0);
  action.peer = RankId(1);
  return action;
}

TEST(EmulatedBackendTest, AnActionTakesItsTime) {
  const auto backend = BackendOf(TwoStagePlan(kFused));
  const int64_t start = MonotonicNanos();
  ASSERT_TRUE(backend->Forward(kStage, kFirst, std::nullopt).ok());
  EXPECT_THAT(MonotonicNanos() - start, Gt(2'000'000 - 1));
}

TEST(EmulatedBackendTest, CountsWhatForwardsKeepUntilTheBackward) {
  const auto backend = BackendOf(TwoStagePlan(kFused));
  EXPECT_EQ(backend->peak_bytes(), 1000);
  ASSERT_TRUE(backend->Forward(kStage, kFirst, std::nullopt).ok());
  ASSERT_TRUE(backend->Forward(kStage, kSecond, std::nullopt).ok());
  ASSERT_TRUE(
      backend->Backward(kStage, kFirst, Half::kWhole, std::nullopt).ok());
  ASSERT_TRUE(
      backend->Backward(kStage, kSecond, Half::kWhole, std::nullopt).ok());
  EXPECT_EQ(backend->peak_bytes(), 1200);
}

TEST(EmulatedBackendTest, CountsWhatWaitsForTheWeightGradient) {
  const auto backend = BackendOf(TwoStagePlan(Split()));
  ASSERT_TRUE(backend->Forward(kStage, kFirst, std::nullopt).ok());
  ASSERT_TRUE(
      backend->BackwardInput(kStage, kFirst, Half::kWhole, std::nullopt).ok());
  ASSERT_TRUE(backend->Forward(kStage, kSecond, std::nullopt).ok());
  EXPECT_EQ(backend->peak_bytes(), 1140);
}

TEST(EmulatedBackendTest, ARecomputedForwardKeepsItsInputOnly) {
  const auto backend = BackendOf(TwoStagePlan(Recomputed()));
  ASSERT_TRUE(backend->Forward(kStage, kFirst, std::nullopt).ok());
  ASSERT_TRUE(backend->Forward(kStage, kSecond, std::nullopt).ok());
  EXPECT_EQ(backend->peak_bytes(), 1000);  // stage 0 has no incoming edge
  ASSERT_TRUE(backend->Recompute(kStage, kFirst, std::nullopt).ok());
  EXPECT_EQ(backend->peak_bytes(), 1100);
}

TEST(EmulatedBackendTest, AMessageCarriesTheNumberOfItsMicrobatch) {
  const auto backend = BackendOf(TwoStagePlan(kFused));
  ASSERT_TRUE(backend->BeginStep(0).ok());
  const auto sent = backend->Outgoing(Message(Op::kSendForward, 1));
  ASSERT_TRUE(sent.ok()) << sent.status();
  EXPECT_EQ(sent->nbytes(), 64);
  EXPECT_TRUE(backend->Incoming(Message(Op::kReceiveForward, 1), *sent).ok());
  EXPECT_THAT(
      backend->Incoming(Message(Op::kReceiveForward, 0), *sent).message(),
      HasSubstr("brought the message"));
}

TEST(EmulatedBackendTest, ATensorOnItsWayIsNotUsedAgain) {
  const auto backend = BackendOf(TwoStagePlan(kFused));
  auto first = backend->Outgoing(Message(Op::kSendForward, 0));
  const auto second = backend->Outgoing(Message(Op::kSendForward, 1));
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_NE(first->const_data_ptr(), second->const_data_ptr());
  const void* const freed = first->const_data_ptr();
  *first = at::Tensor();
  EXPECT_EQ(backend->Outgoing(Message(Op::kSendForward, 2))->const_data_ptr(),
            freed);
}

TEST(EmulatedPlanTest, AStageOfOtherLayersIsRefused) {
  Plan plan = TwoStagePlan(kFused);
  plan.mutable_stages(1)->set_layers(0, "c");
  EXPECT_THAT(ResolveEmulatedRank(plan, RankId(0)).status().message(),
              HasSubstr("stage 1: the profile has no layer \"c\""));
}

TEST(EmulatedPlanTest, AStageTakesWhatItsLayersTakeOnItsDevice) {
  Plan plan = TwoStagePlan(kFused);
  plan.mutable_stages(1)->add_layers("a");
  plan.mutable_job()->mutable_emulate()->add_devices();
  plan.mutable_job()->mutable_emulate()->add_devices()->set_slowdown(3);
  const auto rank = ResolveEmulatedRank(plan, RankId(1));
  ASSERT_TRUE(rank.ok()) << rank.status();
  EXPECT_DOUBLE_EQ(rank->stages[1].forward, 0.012);
  EXPECT_DOUBLE_EQ(rank->stages[1].backward, 0.012);
  EXPECT_EQ(rank->stages[1].saved_bytes, 200);
  EXPECT_EQ(rank->stages[1].input_bytes, 64);
}

}  // namespace
}  // namespace penstock
