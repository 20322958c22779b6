#include "coordinator/core/plan_builder.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/sha256.h"
#include "coordinator/core/job_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/schedule_proto.h"
#include "schedule/ir/text_format.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

BuiltPlan Build(const Job& job) {
  absl::StatusOr<BuiltPlan> built = BuildPlan(job);
  EXPECT_TRUE(built.ok()) << built.status();
  return built.value_or(BuiltPlan());
}

std::string Refusal(const Job& job) {
  const absl::Status status = BuildPlan(job).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

void SetTied(Job& job, bool tied) {
  (*job.mutable_model()->mutable_overrides())["tied"] = tied ? "true" : "false";
}

// Gives stage `stage` the layers of a space-separated list.
void AddStage(Job& job, const std::string& layers) {
  StageLayers* stage = job.mutable_partition()->add_explicit_layers();
  for (const absl::string_view layer : absl::StrSplit(layers, ' ')) {
    stage->add_layers(std::string(layer));
  }
}

TEST(BuildPlanTest, EveryLayerIsInOneStageInModelOrder) {
  const BuiltPlan built = Build(SmallJob());
  std::vector<std::string> layers;
  for (const StagePlan& stage : built.plan.stages()) {
    layers.insert(layers.end(), stage.layers().begin(), stage.layers().end());
  }
  EXPECT_THAT(layers, ElementsAre("embed", "h0.attn", "h0.mlp", "h1.attn",
                                  "h1.mlp", "final_norm", "head", "loss"));
  ASSERT_EQ(built.plan.stages_size(), 2);
  EXPECT_GT(built.plan.stages(0).parameter_count(), 0);
  EXPECT_EQ(built.parameter_layers.back(), 6) << "the loss owns nothing";
}

TEST(BuildPlanTest, ScheduleIsSoundAndItsHashIsOfItsText) {
  for (const char* name : {"naive", "gpipe", "one_f_one_b"}) {
    Job job = SmallJob();
    job.mutable_schedule()->set_name(name);
    const BuiltPlan built = Build(job);
    const absl::StatusOr<Schedule> schedule = FromProto(built.plan.schedule());
    ASSERT_TRUE(schedule.ok()) << schedule.status();
    EXPECT_THAT(Verify(*schedule), IsEmpty()) << name;
    EXPECT_EQ(built.plan.schedule_hash(),
              Sha256HexOf(PrintSchedule(*schedule)));
    EXPECT_THAT(built.grid, HasSubstr("0F0"));
  }
}

// What the plan's edges carry: "<tensor> <from>><to>".
std::vector<std::string> EdgesOf(const Job& job) {
  const absl::StatusOr<Schedule> schedule =
      FromProto(Build(job).plan.schedule());
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  std::vector<std::string> edges;
  for (const Edge& edge : schedule->edges) {
    edges.push_back(absl::StrCat(edge.tensor, " ", edge.from.value(), ">",
                                 edge.to.value()));
  }
  return edges;
}

Job JobWithoutFile(const std::string& preset, const std::string& kind) {
  Job job = SmallJob();
  job.mutable_model()->set_preset(preset);
  job.mutable_model()->clear_overrides();
  job.mutable_data()->clear_tokens();
  job.mutable_data()->set_kind(kind);
  job.mutable_data()->set_sequence_length(kind == "images" ? 1 : 6);
  return job;
}

TEST(BuildPlanTest, ASkipGoesStraightToTheStageThatTakesIt) {
  Job job = JobWithoutFile("unet", "images");
  job.mutable_partition()->set_stages(4);
  AddStage(job, "down0.conv down0.norm down0.relu down0.pool");
  AddStage(job, "down1.conv down1.norm down1.relu down1.pool");
  AddStage(job,
           "bottom.conv bottom.norm bottom.relu up1.upsample up1.concat "
           "up1.conv up1.norm up1.relu");
  AddStage(job, "up0.upsample up0.concat up0.conv up0.norm up0.relu head loss");
  EXPECT_THAT(EdgesOf(job),
              ElementsAre("down0.pool 0>1", "down1.pool 1>2", "down1.relu 1>2",
                          "up1.relu 2>3", "down0.relu 0>3"));
}

TEST(BuildPlanTest, BranchesOfDifferentStagesAreNotJoined) {
  Job job = JobWithoutFile("two-tower", "pairs");
  job.mutable_partition()->set_stages(3);
  std::string image;
  for (const char* part : {"image.c0", "image.c1", "image.c2"}) {
    absl::StrAppend(&image, part, ".conv ", part, ".norm ", part, ".relu ");
  }
  AddStage(job, image + "image.flat image.projection image.unit");
  AddStage(job,
           "text.embed text.h0.attn text.h0.mlp text.norm text.mean "
           "text.projection text.unit");
  AddStage(job, "loss");
  EXPECT_THAT(EdgesOf(job), ElementsAre("image.unit 0>2", "text.unit 1>2"));
}

TEST(BuildPlanTest, DataThatTheModelDoesNotReadIsRefused) {
  EXPECT_THAT(Refusal(JobWithoutFile("unet", "pairs")),
              HasSubstr("model unet reads data of kind images, not pairs"));
}

TEST(BuildPlanTest, LengthsOfStepsAreOfTokens) {
  Job images = JobWithoutFile("unet", "images");
  images.mutable_data()->add_sequence_lengths(1);
  EXPECT_THAT(Refusal(images),
              HasSubstr("data.sequence_lengths: model unet reads images, and "
                        "only tokens have steps of several lengths"));
  Job tokens = SmallJob();
  tokens.mutable_partition()->set_stages(2);
  const BuiltPlan plain = Build(tokens);
  tokens.mutable_data()->add_sequence_lengths(4);
  tokens.mutable_data()->add_sequence_lengths(16);
  const BuiltPlan lengths = Build(tokens);
  // Everything is made for the longest.
  EXPECT_EQ(lengths.plan.edge_tensors(0).ShortDebugString(),
            plain.plan.edge_tensors(0).ShortDebugString());
  EXPECT_EQ(lengths.plan.predicted_memory(0).peak_bytes(),
            plain.plan.predicted_memory(0).peak_bytes());
}

TEST(BuildPlanTest, RanksFollowFromTheSchedulesStagesOnEach) {
  Job job = SmallJob();
  job.mutable_partition()->set_stages(4);
  EXPECT_EQ(Build(job).plan.schedule().ranks_size(), 4);
  job.mutable_schedule()->set_name("interleaved");
  EXPECT_EQ(Build(job).plan.schedule().ranks_size(), 2);
  job.mutable_partition()->set_ranks(1);
  const BuiltPlan one = Build(job);
  EXPECT_EQ(one.plan.schedule().ranks_size(), 1);
  EXPECT_EQ(one.plan.stages_size(), 4);
}

std::vector<int> RanksOf(const BuiltPlan& built, int stage) {
  const auto& ranks = built.plan.schedule().placement(stage).ranks();
  return {ranks.begin(), ranks.end()};
}

TEST(BuildPlanTest, ReplicasMultiplyTheRanks) {
  Job job = SmallJob();
  PartitionSpec& partition = *job.mutable_partition();
  partition.add_replicas(2);
  EXPECT_EQ(Build(job).plan.schedule().ranks_size(), 4);
  EXPECT_THAT(RanksOf(Build(job), 1), ElementsAre(1, 3));
  partition.set_rank_order("data_major");
  EXPECT_THAT(RanksOf(Build(job), 1), ElementsAre(2, 3));
  partition.add_replicas(1);
  EXPECT_EQ(Build(job).plan.schedule().ranks_size(), 3);
  EXPECT_THAT(RanksOf(Build(job), 0), ElementsAre(0, 1));
  EXPECT_THAT(RanksOf(Build(job), 1), ElementsAre(2));
}

TEST(BuildPlanTest, ReplicasNeedNotDivideTheMicrobatches) {
  Job job = SmallJob();
  job.mutable_partition()->add_replicas(3);
  const absl::StatusOr<Schedule> schedule =
      FromProto(Build(job).plan.schedule());
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_THAT(Verify(*schedule), IsEmpty());
}

TEST(BuildPlanTest, ReplicasThatCannotBeAreRefused) {
  Job job = SmallJob();
  PartitionSpec& partition = *job.mutable_partition();
  partition.mutable_replicas()->Add(0);
  EXPECT_THAT(Refusal(job), HasSubstr("partition.replicas must be at least 1"));
  partition.set_replicas(0, 5);
  EXPECT_THAT(Refusal(job),
              HasSubstr("replicas 5: a replica would have no microbatch, of 4; "
                        "want at most 4"));
  partition.set_replicas(0, 2);
  partition.add_replicas(1);
  partition.add_replicas(1);
  EXPECT_THAT(Refusal(job),
              HasSubstr("replicas 2,1,1 are 3 numbers, want one, or one for "
                        "each of the 2 ranks of a pipeline"));
  partition.mutable_replicas()->Truncate(1);
  partition.set_rank_order("stage_major");
  EXPECT_THAT(Refusal(job),
              HasSubstr("partition.rank_order: \"stage_major\" is "
                        "none of pipeline_major, data_major"));
}

TEST(BuildPlanTest, StagesThatDoNotFitTheRanksAreRefused) {
  Job job = SmallJob();
  job.mutable_schedule()->set_name("zbv");
  job.mutable_partition()->set_stages(3);
  EXPECT_THAT(Refusal(job), HasSubstr("schedule zbv has 2 stages on one rank "
                                      "and never 3"));
  job.mutable_partition()->set_ranks(2);
  EXPECT_THAT(Refusal(job), HasSubstr("got 3 stages on 2 ranks; the nearest "
                                      "are 4 stages"));
  job.mutable_partition()->set_ranks(-1);
  EXPECT_THAT(Refusal(job), HasSubstr("partition.ranks must be at least 0"));
}

TEST(BuildPlanTest, RecomputeIsInTheLists) {
  Job job = SmallJob();
  EXPECT_THAT(Build(job).grid, Not(HasSubstr("0R0")));
  job.mutable_schedule()->set_recompute("0");
  EXPECT_THAT(Build(job).grid, HasSubstr("0R0"));
  EXPECT_THAT(Build(job).grid, Not(HasSubstr("1R0")));
  job.mutable_schedule()->set_recompute("sometimes");
  EXPECT_THAT(Refusal(job), HasSubstr("sometimes"));
}

TEST(BuildPlanTest, EdgesCarryTheShapeOfOneMicrobatch) {
  Job job = SmallJob();
  SetTied(job, false);
  const BuiltPlan built = Build(job);
  ASSERT_EQ(built.plan.edge_tensors_size(), 1);
  const TensorSpec& spec = built.plan.edge_tensors(0);
  EXPECT_EQ(spec.dtype(), DTYPE_FLOAT32);
  ASSERT_EQ(spec.shape_size(), 3);
  EXPECT_EQ(spec.shape(0), 2) << "8 samples in 4 microbatches";
  EXPECT_EQ(spec.shape(1), 16);
}

TEST(BuildPlanTest, ActivationsHaveTheJobsType) {
  Job job = SmallJob();
  SetTied(job, false);
  job.set_dtype("bfloat16");
  EXPECT_EQ(Build(job).plan.edge_tensors(0).dtype(), DTYPE_BFLOAT16);
}

TEST(BuildPlanTest, Float16IsOfTheEdgesAndNeedsALossScale) {
  Job job = SmallJob();
  SetTied(job, false);
  job.set_dtype("float16");
  EXPECT_THAT(Refusal(job),
              HasSubstr("loss_scale.minimum must be more than 0, got 0"));
  LossScaleSpec& scale = *job.mutable_loss_scale();
  scale.set_minimum(1);
  scale.set_growth_interval(100);
  scale.set_growth(2);
  scale.set_backoff(0.5);
  EXPECT_THAT(Refusal(job),
              HasSubstr("loss_scale.initial must be at least 1, got 0"));
  scale.set_initial(1024);
  EXPECT_EQ(Build(job).plan.edge_tensors(0).dtype(), DTYPE_FLOAT16);
  scale.set_backoff(1);
  EXPECT_THAT(Refusal(job), HasSubstr("loss_scale.backoff must be"));
}

TEST(BuildPlanTest, AnEvaluationNeedsDataThatIsHeldOut) {
  Job job = SmallJob();
  EvaluationSpec& evaluation = *job.mutable_evaluation();
  evaluation.set_every_steps(-1);
  EXPECT_THAT(Refusal(job),
              HasSubstr("evaluation.every_steps must be at least 0, got -1"));
  evaluation.set_every_steps(5);
  EXPECT_THAT(Refusal(job),
              HasSubstr("evaluation.microbatches must be at least 1, got 0"));
  evaluation.set_microbatches(2);
  EXPECT_THAT(Refusal(job), HasSubstr("evaluation.tokens is missing"));
  evaluation.set_tokens("/data/held_out.bin");
  EXPECT_EQ(Build(job).plan.job().evaluation().microbatches(), 2);
  job.mutable_data()->clear_tokens();
  EXPECT_THAT(Refusal(job), HasSubstr("evaluation.tokens is given"));
}

TEST(BuildPlanTest, TiedWeightThatCrossesStagesGetsAnEdge) {
  Job job = SmallJob();
  SetTied(job, true);
  const BuiltPlan built = Build(job);
  ASSERT_EQ(built.plan.schedule().edges_size(), 2);
  const wire::Edge& edge = built.plan.schedule().edges(1);
  EXPECT_EQ(edge.kind(), wire::EDGE_KIND_TIED_WEIGHT);
  EXPECT_EQ(edge.tensor(), "embed.token.weight");
  EXPECT_EQ(edge.from_stage(), 0);
  EXPECT_EQ(edge.to_stage(), 1);
  EXPECT_EQ(built.plan.edge_tensors(1).dtype(), DTYPE_FLOAT32);
  EXPECT_EQ(built.plan.edge_tensors(1).shape_size(), 2);
}

TEST(BuildPlanTest, TiedWeightInsideAStageNeedsNone) {
  Job job = SmallJob();
  SetTied(job, true);
  job.mutable_partition()->set_stages(1);
  EXPECT_EQ(Build(job).plan.schedule().edges_size(), 0);
}

TEST(BuildPlanTest, EqualJobsGiveEqualPlans) {
  EXPECT_EQ(Build(SmallJob()).plan.schedule_hash(),
            Build(SmallJob()).plan.schedule_hash());
}

TEST(BuildPlanTest, TheShapeIsTheScheduleAndTheLayersOfItsStages) {
  const Plan even = Build(SmallJob()).plan;
  EXPECT_EQ(Build(SmallJob()).plan.shape_hash(), even.shape_hash());
  Job same = SmallJob();
  for (const StagePlan& stage : even.stages()) {
    AddStage(same, absl::StrJoin(stage.layers(), " "));
  }
  EXPECT_EQ(Build(same).plan.shape_hash(), even.shape_hash());
  Job uneven = SmallJob();
  AddStage(uneven, "embed");
  AddStage(uneven, "h0.attn h0.mlp h1.attn h1.mlp final_norm head loss");
  const Plan other = Build(uneven).plan;
  EXPECT_NE(other.shape_hash(), even.shape_hash());
  Job gpipe = SmallJob();
  gpipe.mutable_schedule()->set_name("gpipe");
  EXPECT_NE(Build(gpipe).plan.shape_hash(), even.shape_hash());
}

TEST(BuildPlanTest, ExplicitPartitionIsTaken) {
  Job job = SmallJob();
  AddStage(job, "embed");
  AddStage(job, "h0.attn h0.mlp h1.attn h1.mlp final_norm head loss");
  const BuiltPlan built = Build(job);
  EXPECT_THAT(built.plan.stages(0).layers(), ElementsAre("embed"));
}

TEST(BuildPlanTest, PartitionWithAMissingLayerIsRefused) {
  Job job = SmallJob();
  AddStage(job, "embed h0.attn");
  AddStage(job, "h1.attn h1.mlp final_norm head loss");
  EXPECT_THAT(Refusal(job), HasSubstr("partition: in no stage: h0.mlp"));
}

TEST(BuildPlanTest, PartitionWithALayerTwiceIsRefused) {
  Job job = SmallJob();
  AddStage(job, "embed h0.attn h0.mlp");
  AddStage(job, "h0.mlp h1.attn h1.mlp final_norm head loss");
  EXPECT_THAT(Refusal(job), HasSubstr("\"h0.mlp\" is in stage 0 and again in"));
}

TEST(BuildPlanTest, PartitionWithAnUnknownLayerIsRefusedWithASuggestion) {
  Job job = SmallJob();
  AddStage(job, "embd");
  AddStage(job, "h0.attn");
  EXPECT_THAT(Refusal(job), HasSubstr("did you mean \"embed\"?"));
}

TEST(BuildPlanTest, PartitionAgainstTheModelsOrderIsRefused) {
  Job job = SmallJob();
  AddStage(job, "h0.attn h0.mlp h1.attn h1.mlp final_norm head loss");
  AddStage(job, "embed");
  EXPECT_THAT(Refusal(job), HasSubstr("of the later stage 1"));
}

TEST(BuildPlanTest, PartitionOfAnotherCountOfStagesIsRefused) {
  Job job = SmallJob();
  AddStage(job, "embed");
  EXPECT_THAT(Refusal(job), HasSubstr("names 1 stages, and stages says 2"));
}

TEST(BuildPlanTest, StageWithoutLayersIsRefused) {
  Job job = SmallJob();
  AddStage(job, "embed");
  job.mutable_partition()->add_explicit_layers();
  EXPECT_THAT(Refusal(job), HasSubstr("stage 1 has no layers"));
}

TEST(BuildPlanTest, MoreStagesThanLayersIsRefused) {
  Job job = SmallJob();
  job.mutable_partition()->set_stages(9);
  EXPECT_THAT(Refusal(job), HasSubstr("9 stages, but model gpt-nano has only 8 "
                                      "layers"));
}

TEST(BuildPlanTest, UnknownModelAndScheduleAreRefusedWithASuggestion) {
  Job job = SmallJob();
  job.mutable_model()->set_preset("gpt-nan");
  EXPECT_THAT(Refusal(job), HasSubstr("did you mean \"gpt-nano\"?"));
  job = SmallJob();
  job.mutable_schedule()->set_name("gpip");
  EXPECT_THAT(Refusal(job), HasSubstr("did you mean \"gpipe\"?"));
}

// A job with a schedule of its own: one_f_one_b, changed.
Job JobWithFile(void (*change)(Schedule&)) {
  Job job = SmallJob();
  Schedule schedule =
      Generate("one_f_one_b",
               {.num_ranks = 2, .num_stages = 2, .num_microbatches = 4})
          .value();
  change(schedule);
  job.mutable_schedule()->clear_name();
  job.mutable_schedule()->set_file("mine.txt");
  job.mutable_schedule()->set_text(PrintSchedule(schedule));
  return job;
}

TEST(BuildPlanTest, AScheduleOfOnesOwnGivesThePlanOfTheBuiltInOne) {
  const BuiltPlan built = Build(SmallJob());
  const BuiltPlan own = Build(JobWithFile([](Schedule&) {}));
  EXPECT_EQ(own.plan.schedule().SerializeAsString(),
            built.plan.schedule().SerializeAsString());
  EXPECT_EQ(own.plan.schedule_hash(), built.plan.schedule_hash());
  EXPECT_EQ(own.grid, built.grid);
}

TEST(BuildPlanTest, AScheduleOfOnesOwnSaysItselfWhichRanksThereAre) {
  Job job = JobWithFile([](Schedule&) {});
  job.mutable_partition()->add_replicas(2);
  EXPECT_THAT(Refusal(job),
              HasSubstr("partition.replicas is 2, and schedule.file says which "
                        "ranks run what; leave replicas out"));
}

TEST(BuildPlanTest, AScheduleOfOnesOwnMayHaveAnOrderThatNoGeneratorMakes) {
  const BuiltPlan own = Build(JobWithFile([](Schedule& schedule) {
    schedule.accumulation = AccumulationOrder::kAsListed;
    std::swap(schedule.ranks[0][0], schedule.ranks[0][1]);
    std::swap(schedule.ranks[0][2], schedule.ranks[0][4]);
    std::swap(schedule.ranks[1][0], schedule.ranks[1][2]);
    std::swap(schedule.ranks[1][1], schedule.ranks[1][3]);
  }));
  EXPECT_THAT(own.grid, HasSubstr("   0  0F1   .\n"));
}

TEST(BuildPlanTest, AnUnsoundScheduleOfOnesOwnIsShownWithItsMistake) {
  EXPECT_THAT(Refusal(JobWithFile([](Schedule& schedule) {
                std::swap(schedule.ranks[1][0], schedule.ranks[1][1]);
              })),
              AllOf(HasSubstr("schedule.file: "), HasSubstr(">1B0<")));
}

TEST(BuildPlanTest, CommunicationInAScheduleOfOnesOwnIsNamed) {
  EXPECT_THAT(Refusal(JobWithFile([](Schedule& schedule) {
                schedule.ranks[1].push_back({.op = Op::kAgreeNorm});
              })),
              HasSubstr("r1 action 8: N is not a compute action"));
}

TEST(BuildPlanTest, AScheduleOfOnesOwnHasToFitTheJob) {
  EXPECT_THAT(Refusal(JobWithFile(
                  [](Schedule& schedule) { schedule.num_microbatches = 5; })),
              HasSubstr("has 5 microbatches, and schedule.microbatches says "
                        "4; make them equal"));
  Job job = JobWithFile([](Schedule&) {});
  job.mutable_partition()->set_stages(3);
  EXPECT_THAT(Refusal(job),
              HasSubstr("has 2 stages, and partition.stages says 3"));
  job.mutable_partition()->set_stages(2);
  job.mutable_partition()->set_ranks(1);
  EXPECT_THAT(Refusal(job),
              HasSubstr("has 2 ranks, and partition.ranks says 1"));
  job.mutable_schedule()->set_text("penstock-schedule 2\n");
  EXPECT_THAT(Refusal(job), HasSubstr("schedule.file: line 1, column "));
}

TEST(BuildPlanTest, AnEdgeLargerThanAChannelCarriesIsRefused) {
  Job job = SmallJob();
  job.set_batch_size(1 << 22);
  const std::string refusal = Refusal(job);
  EXPECT_THAT(refusal, HasSubstr("from stage 0 to stage 1, has "));
  EXPECT_THAT(refusal, HasSubstr("[1048576, 16, "));
  EXPECT_THAT(refusal, HasSubstr("use more than 4 microbatches"));
  job.mutable_partition()->set_stages(1);
  EXPECT_TRUE(BuildPlan(job).ok());
}

TEST(BuildPlanTest, EachRankHasWhatItIsExpectedToHold) {
  const auto built = BuildPlan(SmallJob());
  ASSERT_TRUE(built.ok()) << built.status();
  ASSERT_EQ(built->plan.predicted_memory_size(), 2);
  for (int rank = 0; rank < 2; ++rank) {
    const MemoryUse& use = built->plan.predicted_memory(rank);
    EXPECT_GE(use.weight_bytes(),
              4 * built->plan.stages(rank).parameter_count());
    EXPECT_GT(use.activation_bytes(), 0);
    EXPECT_EQ(use.weight_queue_bytes(), 0);
    EXPECT_GT(use.peak_bytes(), use.weight_bytes() + use.gradient_bytes());
  }
}

TEST(BuildPlanTest, APlanThatNoMessageHoldsIsRefused) {
  Job job = SmallJob();
  job.mutable_schedule()->set_microbatches(50'000);
  job.set_batch_size(50'000);
  EXPECT_THAT(Refusal(job), AllOf(HasSubstr("schedule: the plan has "),
                                  HasSubstr("fewer than 50000 microbatches")));
}

TEST(BuildPlanTest, OfALongGridTheBeginningIsThere) {
  Job job = SmallJob();
  job.mutable_schedule()->set_microbatches(15'000);
  job.set_batch_size(15'000);
  const BuiltPlan built = Build(job);
  EXPECT_LT(built.grid.size(), size_t{1} << 20);
  EXPECT_THAT(built.grid, HasSubstr("(cut here; "));
}

TEST(BuildPlanTest, UnknownOverrideIsRefused) {
  Job job = SmallJob();
  job.mutable_model()->mutable_overrides()->insert({"laiers", "3"});
  EXPECT_THAT(Refusal(job), HasSubstr("did you mean \"layers\"?"));
}

TEST(BuildPlanTest, SequenceLongerThanTheModelsPositionsIsRefused) {
  Job job = SmallJob();
  job.mutable_data()->set_sequence_length(1 << 19);
  EXPECT_THAT(Refusal(job), Not(IsEmpty()));
}

}  // namespace
}  // namespace penstock
