#include "schedule/ir/schedule_proto.h"

#include <functional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr char kFile[] = R"(penstock-schedule 1
name by_hand
microbatches 1
placement r0 r1 r0+r1
edge activation h3 0>1
edge tied_weight wte 0>2
r0: 0F0 0SF0[h3>r1] 2F0@3 2I0 2W0 0R0 0RB0[h3<r1] 0B0 0G N 0U
r1: 1RF0[h3<r0] 1F0 1B0 1SB0[h3>r0] 2SB*[wte>r0]
)";

Schedule ByHand() { return *ParseSchedule(kFile); }

TEST(ScheduleProtoTest, EveryOpSurvives) {
  const Schedule schedule = ByHand();
  const absl::StatusOr<Schedule> again = FromProto(ToProto(schedule));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, schedule);
}

constexpr char kContinuous[] = R"(penstock-schedule 1
name by_hand
microbatches 2
policy double_buffer
accumulation descending
placement r0 r1+r0
versions 2/1 2/0
edge activation h 0>1
prologue
r0: 0F0+1@0&0B0.0@0 0B0.1@0 0RB1.1[h<r1]
r1: 1SB1.1[h>r0]
period
r0: 0G@1 0U@1
r1:
epilogue
r0:
r1: 1W0.1
)";

TEST(ScheduleProtoTest, ContinuousScheduleSurvives) {
  const absl::StatusOr<Schedule> schedule = ParseSchedule(kContinuous);
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  const absl::StatusOr<Schedule> again = FromProto(ToProto(*schedule));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, *schedule);
}

TEST(ScheduleProtoTest, DefaultsMayBeSpelledOut) {
  wire::Schedule proto = ToProto(ByHand());
  EXPECT_EQ(proto.policy(), wire::WEIGHT_POLICY_UNSPECIFIED);
  proto.set_policy(wire::WEIGHT_POLICY_FLUSH);
  proto.set_accumulation(wire::ACCUMULATION_ORDER_ASCENDING);
  EXPECT_EQ(FromProto(proto).value_or(Schedule()), ByHand());
}

TEST(ScheduleProtoTest, FieldsThatAnOpDoesNotUseStayUnset) {
  const wire::Schedule proto = ToProto(ByHand());
  const wire::Action& norm = proto.ranks(0).actions(9);
  EXPECT_EQ(norm.op(), wire::OP_AGREE_NORM);
  EXPECT_FALSE(norm.has_stage());
  const wire::Action& tied = proto.ranks(1).actions(4);
  EXPECT_EQ(tied.op(), wire::OP_SEND_BACKWARD);
  EXPECT_FALSE(tied.has_microbatch());
  EXPECT_EQ(tied.edge(), 1);
}

struct BadMessage {
  std::function<void(wire::Schedule&)> spoil;
  const char* message;
};

class BadMessageTest : public ::testing::TestWithParam<BadMessage> {};

TEST_P(BadMessageTest, IsRefusedWithItsPlace) {
  wire::Schedule proto = ToProto(ByHand());
  GetParam().spoil(proto);
  const absl::StatusOr<Schedule> schedule = FromProto(proto);
  ASSERT_FALSE(schedule.ok());
  EXPECT_EQ(schedule.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(schedule.status().message(), HasSubstr(GetParam().message));
}

wire::Action& At(wire::Schedule& proto, int rank, int action) {
  return *proto.mutable_ranks(rank)->mutable_actions(action);
}

INSTANTIATE_TEST_SUITE_P(
    Messages, BadMessageTest,
    ::testing::Values(
        BadMessage{[](wire::Schedule& s) { s.set_name("a b"); },
                   "schedule \"a b\" is no name"},
        BadMessage{[](wire::Schedule& s) { s.set_num_microbatches(-1); },
                   "num_microbatches is -1, want at least 0"},
        BadMessage{
            [](wire::Schedule& s) { s.mutable_placement(2)->set_ranks(1, -4); },
            "placement is -4"},
        BadMessage{[](wire::Schedule& s) { s.mutable_edges(1)->clear_kind(); },
                   "edge 1: kind 0 is not known"},
        BadMessage{
            [](wire::Schedule& s) { s.mutable_edges(0)->set_tensor("h\n3"); },
            "edge 0: tensor \"h\\n3\" is no name"},
        BadMessage{
            [](wire::Schedule& s) { s.mutable_edges(0)->set_to_stage(-1); },
            "edge 0: to_stage is -1"},
        BadMessage{[](wire::Schedule& s) {
                     At(s, 1, 2).set_op(static_cast<wire::Op>(99));
                   },
                   "rank 1, action 2: op 99 is not known"},
        BadMessage{[](wire::Schedule& s) { At(s, 0, 0).clear_stage(); },
                   "rank 0, action 0: has no stage"},
        BadMessage{[](wire::Schedule& s) { At(s, 0, 0).clear_microbatch(); },
                   "rank 0, action 0: has no microbatch"},
        BadMessage{[](wire::Schedule& s) { At(s, 0, 0).set_microbatch(-1); },
                   "microbatch is -1"},
        BadMessage{[](wire::Schedule& s) { At(s, 0, 0).set_peer(1); },
                   "has a peer, which its op does not use"},
        BadMessage{[](wire::Schedule& s) { At(s, 0, 9).set_version(1); },
                   "rank 0, action 9: has a version"},
        BadMessage{[](wire::Schedule& s) { At(s, 0, 1).clear_edge(); },
                   "has no edge"},
        BadMessage{[](wire::Schedule& s) { At(s, 0, 1).set_edge(2); },
                   "rank 0, action 1: edge 2 of 2 does not exist"}));

INSTANTIATE_TEST_SUITE_P(
    Extents, BadMessageTest,
    ::testing::Values(
        BadMessage{
            [](wire::Schedule& s) { At(s, 0, 0).set_num_microbatches(3); },
            "rank 0, action 0: num_microbatches is 3, want 2 at an F"},
        BadMessage{
            [](wire::Schedule& s) { At(s, 0, 4).set_num_microbatches(2); },
            "rank 0, action 4: num_microbatches is 2, want 2 at an F"},
        BadMessage{[](wire::Schedule& s) { At(s, 0, 0).set_half(0); },
                   "rank 0, action 0: half is 0, want"},
        BadMessage{[](wire::Schedule& s) { At(s, 0, 4).set_half(2); },
                   "rank 0, action 4: half is 2, want"},
        BadMessage{[](wire::Schedule& s) { At(s, 1, 4).set_half(1); },
                   "rank 1, action 4: half is 1, want"},
        BadMessage{
            [](wire::Schedule& s) { At(s, 0, 1).set_overlaps_next(true); },
            "rank 0, action 1: overlaps the next, which only F"},
        BadMessage{[](wire::Schedule& s) { At(s, 0, 0).set_version(1L << 31); },
                   "version is 2147483648, want at most 2147483647"}));

wire::VersionRule Rule(int microbatches, int delay) {
  wire::VersionRule rule;
  rule.set_microbatches_per_update(microbatches);
  rule.set_delay(delay);
  return rule;
}

INSTANTIATE_TEST_SUITE_P(
    Policies, BadMessageTest,
    ::testing::Values(
        BadMessage{[](wire::Schedule& s) {
                     s.set_policy(static_cast<wire::WeightPolicy>(9));
                   },
                   "policy 9 is not known"},
        BadMessage{[](wire::Schedule& s) {
                     s.set_accumulation(
                         static_cast<wire::AccumulationOrder>(9));
                   },
                   "accumulation 9 is not known"},
        BadMessage{[](wire::Schedule& s) { *s.add_versions() = Rule(1, 1); },
                   "has 1 version rules, want 0 (none for a flush)"},
        BadMessage{
            [](wire::Schedule& s) { s.set_policy(wire::WEIGHT_POLICY_STASH); },
            "has 0 version rules, want 3 (one for each stage)"},
        BadMessage{[](wire::Schedule& s) {
                     s.set_policy(wire::WEIGHT_POLICY_STASH);
                     for (int i = 0; i < 3; ++i) *s.add_versions() = Rule(i, 0);
                   },
                   "version rule 0/0 is out of range, want at least 1/0"},
        BadMessage{[](wire::Schedule& s) { s.add_period(); },
                   "has 2 ranks, 1 in the period and 0 in the epilogue"},
        BadMessage{[](wire::Schedule& s) {
                     s.set_policy(wire::WEIGHT_POLICY_STASH);
                     for (int i = 0; i < 3; ++i) *s.add_versions() = Rule(1, 0);
                     for (int i = 0; i < 2; ++i) s.add_period();
                     s.add_epilogue();
                   },
                   "has 2 ranks, 2 in the period and 1 in the epilogue"},
        BadMessage{[](wire::Schedule& s) {
                     s.set_policy(wire::WEIGHT_POLICY_STASH);
                     for (int i = 0; i < 3; ++i) *s.add_versions() = Rule(1, 0);
                     for (int i = 0; i < 2; ++i) s.add_period();
                     for (int i = 0; i < 2; ++i) s.add_epilogue();
                     s.mutable_period(1)->add_actions();
                   },
                   "period, rank 1, action 0: op 0 is not known"}));

}  // namespace
}  // namespace penstock
