// Engines that run lists which never drain, against the same microbatches and
// versions one after the other.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "schedule/ir/schedule_proto.h"
#include "schedule/ir/text_format.h"
#include "stage_server/engine/device.h"
#include "stage_server/engine/engine.h"
#include "stage_server/engine/test_plan.h"
#include "stage_server/transport/in_process/in_process_transport.h"
#include "stage_server/transport/ucx/ucx_transport.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr int kSteps = 6;

constexpr char kStash[] = R"(penstock-schedule 1
name pipedream
microbatches 2
policy stash
placement r0 r1
versions 1/1 1/0
edge activation final_norm 0>1
prologue
r0: 0F0@0 0SF0[x>r1] 0F1@0 0SF1[x>r1] 0RB0[x<r1] 0B0@0 0U@1 0F2@1 0SF2[x>r1] 0RB1[x<r1] 0B1@0 0U@2
r1: 1RF0[x<r0] 1F0@0 1B0@0 1SB0[x>r0] 1U@1 1RF1[x<r0] 1F1@1 1B1@1 1SB1[x>r0] 1U@2
period
r0: 0F3@2 0SF3[x>r1] 0RB2[x<r1] 0B2@1 0U@3 0F4@3 0SF4[x>r1] 0RB3[x<r1] 0B3@2 0U@4
r1: 1RF2[x<r0] 1F2@2 1B2@2 1SB2[x>r0] 1U@3 1RF3[x<r0] 1F3@3 1B3@3 1SB3[x>r0] 1U@4
epilogue
r0: 0F3@2 0SF3[x>r1] 0RB2[x<r1] 0B2@1 0U@3 0RB3[x<r1] 0B3@2 0U@4
r1: 1RF2[x<r0] 1F2@2 1B2@2 1SB2[x>r0] 1U@3 1RF3[x<r0] 1F3@3 1B3@3 1SB3[x>r0] 1U@4
)";

// Stage 0 recomputes.
constexpr char kDoubleBuffer[] = R"(penstock-schedule 1
name pipedream_2bw
microbatches 2
policy double_buffer
placement r0 r1
versions 2/1 2/1
edge activation final_norm 0>1
prologue
r0: 0F0@0 0SF0[x>r1] 0F1@0 0SF1[x>r1] 0R0@0 0RB0[x<r1] 0B0@0 0F2@0 0SF2[x>r1] 0R1@0 0RB1[x<r1] 0B1@0 0U@1
r1: 1RF0[x<r0] 1F0@0 1B0@0 1SB0[x>r0] 1RF1[x<r0] 1F1@0 1B1@0 1SB1[x>r0] 1U@1
period
r0: 0F3@0 0SF3[x>r1] 0R2@0 0RB2[x<r1] 0B2@0 0F4@1 0SF4[x>r1] 0R3@0 0RB3[x<r1] 0B3@0 0U@2
r1: 1RF2[x<r0] 1F2@0 1B2@0 1SB2[x>r0] 1RF3[x<r0] 1F3@0 1B3@0 1SB3[x>r0] 1U@2
epilogue
r0: 0F3@0 0SF3[x>r1] 0R2@0 0RB2[x<r1] 0B2@0 0R3@0 0RB3[x<r1] 0B3@0 0U@2
r1: 1RF2[x<r0] 1F2@0 1B2@0 1SB2[x>r0] 1RF3[x<r0] 1F3@0 1B3@0 1SB3[x>r0] 1U@2
)";

constexpr char kGrouped[] = R"(penstock-schedule 1
name wpipe
microbatches 2
policy grouped
placement r0 r1 r0 r1
versions 2/1 2/1 2/0 2/0
edge activation embed 0>1
edge activation h0.attn 1>2
edge activation final_norm 2>3
prologue
r0: 0F0@0 0SF0[e>r1] 0F1@0 0SF1[e>r1] 2RF0[a<r1] 2F0@0 2SF0[x>r1] 2RF1[a<r1] 2F1@0 2SF1[x>r1] 2RB0[x<r1] 2B0@0 2SB0[a>r1] 0F2@0 0SF2[e>r1] 2RB1[x<r1] 2B1@0 2SB1[a>r1] 2U@1 0F3@0 0SF3[e>r1] 0RB0[e<r1] 0B0@0 2RF2[a<r1] 2F2@1 2SF2[x>r1] 0RB1[e<r1] 0B1@0 0U@1
r1: 1RF0[e<r0] 1F0@0 1SF0[a>r0] 1RF1[e<r0] 1F1@0 1SF1[a>r0] 3RF0[x<r0] 3F0@0 3B0@0 3SB0[x>r0] 3RF1[x<r0] 3F1@0 3B1@0 3SB1[x>r0] 3U@1 1RF2[e<r0] 1F2@0 1SF2[a>r0] 1RB0[a<r0] 1B0@0 1SB0[e>r0] 1RF3[e<r0] 1F3@0 1SF3[a>r0] 1RB1[a<r0] 1B1@0 1SB1[e>r0] 1U@1
period
r0: 2RF3[a<r1] 2F3@1 2SF3[x>r1] 2RB2[x<r1] 2B2@1 2SB2[a>r1] 0F4@1 0SF4[e>r1] 2RB3[x<r1] 2B3@1 2SB3[a>r1] 2U@2 0F5@1 0SF5[e>r1] 0RB2[e<r1] 0B2@0 2RF4[a<r1] 2F4@2 2SF4[x>r1] 0RB3[e<r1] 0B3@0 0U@2
r1: 3RF2[x<r0] 3F2@1 3B2@1 3SB2[x>r0] 3RF3[x<r0] 3F3@1 3B3@1 3SB3[x>r0] 3U@2 1RF4[e<r0] 1F4@1 1SF4[a>r0] 1RB2[a<r0] 1B2@0 1SB2[e>r0] 1RF5[e<r0] 1F5@1 1SF5[a>r0] 1RB3[a<r0] 1B3@0 1SB3[e>r0] 1U@2
epilogue
r0: 2RF3[a<r1] 2F3@1 2SF3[x>r1] 2RB2[x<r1] 2B2@1 2SB2[a>r1] 2RB3[x<r1] 2B3@1 2SB3[a>r1] 2U@2 0RB2[e<r1] 0B2@0 0RB3[e<r1] 0B3@0 0U@2
r1: 3RF2[x<r0] 3F2@1 3B2@1 3SB2[x>r0] 3RF3[x<r0] 3F3@1 3B3@1 3SB3[x>r0] 3U@2 1RB2[a<r0] 1B2@0 1SB2[e>r0] 1RB3[a<r0] 1B3@0 1SB3[e>r0] 1U@2
)";

std::string Spelled(const std::string& text) {
  return absl::StrReplaceAll(
      text, {{"[x", "[final_norm"}, {"[e", "[embed"}, {"[a", "[h0.attn"}});
}

// A GPT of one block, untied, cut where the schedule's edges are.
Plan PlanOf(const std::string& text, const std::string& tokens) {
  Plan plan = TwoRankPlan(tokens);
  Job* const job = plan.mutable_job();
  (*job->mutable_model()->mutable_overrides())["tied"] = "false";
  (*job->mutable_model()->mutable_overrides())["dropout"] = "0.1";
  job->set_steps(kSteps);
  job->mutable_optimizer()->set_momentum(0.5);
  job->mutable_optimizer()->set_clip_norm(0.5);
  job->mutable_learning_rate_schedule()->set_kind("cosine");
  job->mutable_learning_rate_schedule()->set_warmup_steps(2);
  plan.mutable_edge_tensors()->DeleteSubrange(1, 1);
  plan = WithSchedule(plan, Spelled(text));
  if (plan.schedule().placement_size() == 2) return plan;
  plan.clear_stages();
  for (const std::vector<const char*>& layers :
       {std::vector<const char*>{"embed"},
        {"h0.attn"},
        {"h0.mlp", "final_norm"},
        {"head", "loss"}}) {
    StagePlan* const stage = plan.add_stages();
    for (const char* name : layers) stage->add_layers(name);
  }
  while (plan.edge_tensors_size() < 3) {
    *plan.add_edge_tensors() = plan.edge_tensors(0);
  }
  return plan;
}

// The schedule's microbatches through all stages one after the other, each with
// the version that its rule says: no two are ever in flight.
class OneByOne {
 public:
  explicit OneByOne(const Schedule& schedule) : schedule_(schedule) {
    for (RankLists* lists :
         {&schedule_.ranks, &schedule_.period, &schedule_.epilogue}) {
      lists->assign(schedule.ranks.size(), {});
    }
  }

  Schedule Make() {
    int prologue = 0;
    for (const VersionRule& rule : schedule_.versions) {
      prologue = std::max(prologue, rule.delay * rule.microbatches_per_update);
    }
    const int m = schedule_.num_microbatches;
    prologue = (prologue + m - 1) / m * m;
    for (int b = 0; b < prologue + m; ++b) {
      Add(b, b < prologue ? schedule_.ranks : schedule_.period);
    }
    return schedule_;
  }

 private:
  std::vector<Action>& ListOf(StageId stage, RankLists& lists) {
    return lists[schedule_.placement[stage.value()][0].value()];
  }

  // From the stage at one end of an edge to that at the other.
  void Send(Op send, Op receive, int edge, int b, RankLists& lists) {
    const Edge& over = schedule_.edges[edge];
    const bool forward = send == Op::kSendForward;
    const StageId from = forward ? over.from : over.to;
    const StageId to = forward ? over.to : over.from;
    ListOf(from, lists)
        .push_back(Communicate(send, from, MicrobatchId(b), EdgeId(edge),
                               schedule_.placement[to.value()][0]));
    ListOf(to, lists).push_back(
        Communicate(receive, to, MicrobatchId(b), EdgeId(edge),
                    schedule_.placement[from.value()][0]));
  }

  // A chain: edge i joins stages i and i + 1.
  void Add(int b, RankLists& lists) {
    const int num_stages = schedule_.num_stages();
    for (int s = 0; s < num_stages; ++s) {
      AddCompute(Forward(StageId(s), MicrobatchId(b)), lists);
      if (s + 1 == num_stages) break;
      Send(Op::kSendForward, Op::kReceiveForward, s, b, lists);
    }
    for (int s = num_stages - 1; s >= 0; --s) {
      AddCompute(Backward(StageId(s), MicrobatchId(b)), lists);
      if (s > 0) Send(Op::kSendBackward, Op::kReceiveBackward, s - 1, b, lists);
      const int per_update = schedule_.versions[s].microbatches_per_update;
      if ((b + 1) % per_update != 0) continue;
      Action update = Update(StageId(s));
      update.version = (b + 1) / per_update;
      ListOf(StageId(s), lists).push_back(update);
    }
  }

  void AddCompute(Action action, RankLists& lists) {
    const VersionRule& rule = schedule_.versions[action.stage.value()];
    action.version =
        std::max(0, action.microbatch.value() / rule.microbatches_per_update -
                        rule.delay);
    ListOf(action.stage, lists).push_back(action);
  }

  Schedule schedule_;
};

struct Training {
  absl::Status status;
  std::vector<double> losses;
  // Index is the rank.
  std::vector<std::vector<StepResult>> results;
  std::map<std::string, std::string> digests;
  std::vector<EngineUse> uses;
};

// Two ranks, one thread each.
class TwoRanks {
 public:
  using MakeEndpoint =
      std::function<absl::StatusOr<std::unique_ptr<TransportEndpoint>>()>;

  explicit TwoRanks(MakeEndpoint make_endpoint)
      : make_endpoint_(std::move(make_endpoint)), engines_(2) {
    run_.results.resize(2);
    run_.uses.resize(2);
  }

  Training Train(const Plan& plan) {
    std::vector<std::thread> threads;
    for (int rank = 0; rank < 2; ++rank) {
      threads.emplace_back([&, rank] {
        Finish(RunRank(plan, rank));
        // Where they were made.
        engines_[rank].reset();
        endpoints_[rank].reset();
      });
    }
    for (std::thread& thread : threads) thread.join();
    return run_;
  }

 private:
  // Returns when both have come; the first failure ends both.
  void Finish(const absl::Status& status) {
    MutexLock lock(&mutex_);
    ++num_done_;
    if (!status.ok() && run_.status.ok()) {
      run_.status = status;
      for (const auto& engine : engines_) {
        if (engine != nullptr) engine->Cancel(status);
      }
    }
    changed_.SignalAll();
    while (num_done_ < 2) changed_.Wait(&mutex_);
  }

  absl::StatusOr<std::unique_ptr<Transport>> Connect(
      const Plan& plan, int rank, TransportEndpoint& endpoint) {
    ConnectRequest request;
    request.rank = RankId(rank);
    request.epoch_secret = "secret";
    request.channels = ChannelsOf(plan);
    request.deadline = absl::Now() + absl::Seconds(60);
    PENSTOCK_ASSIGN_OR_RETURN(const TransportAddress own, endpoint.Address());
    {
      MutexLock lock(&mutex_);
      addresses_[rank] = own;
      changed_.SignalAll();
      while (addresses_.size() < 2 && run_.status.ok()) changed_.Wait(&mutex_);
      if (!run_.status.ok()) return run_.status;
      for (const auto& [of, address] : addresses_) {
        request.peers.push_back(address);
      }
    }
    return endpoint.Connect(request);
  }

  absl::Status RunRank(const Plan& plan, int rank) {
    PENSTOCK_ASSIGN_OR_RETURN(endpoints_[rank], make_endpoint_());
    PENSTOCK_ASSIGN_OR_RETURN(auto transport,
                              Connect(plan, rank, *endpoints_[rank]));
    PENSTOCK_ASSIGN_OR_RETURN(devices_[rank], MakeDevice("cpu"));
    PENSTOCK_ASSIGN_OR_RETURN(
        auto engine, Engine::Load(plan, RankId(rank), *devices_[rank]));
    engine->Attach(std::move(transport));
    Engine& own = *engine;
    {
      MutexLock lock(&mutex_);
      engines_[rank] = std::move(engine);
      if (!run_.status.ok()) own.Cancel(run_.status);
    }
    std::vector<StepResult> results;
    for (int step = 0; step < kSteps; ++step) {
      PENSTOCK_ASSIGN_OR_RETURN(results.emplace_back(), own.RunStep());
    }
    MutexLock lock(&mutex_);
    run_.uses[rank] = own.Use();
    for (const StepResult& result : results) {
      if (result.loss.has_value()) run_.losses.push_back(*result.loss);
    }
    run_.results[rank] = std::move(results);
    for (const LayerDigestResult& digest : own.Digests()) {
      run_.digests[digest.name] = digest.sha256;
    }
    return absl::OkStatus();
  }

  const MakeEndpoint make_endpoint_;
  std::unique_ptr<Device> devices_[2];
  std::unique_ptr<TransportEndpoint> endpoints_[2];
  Mutex mutex_;
  CondVar changed_;
  int num_done_ = 0;
  std::map<int, TransportAddress> addresses_;
  std::vector<std::unique_ptr<Engine>> engines_;
  Training run_;
};

Training TrainInProcess(const Plan& plan) {
  const std::unique_ptr<InProcessFabric> fabric = InProcessFabric::Make();
  return TwoRanks([&] { return fabric->MakeEndpoint(); }).Train(plan);
}

Training TrainOverUcx(const Plan& plan) {
  UcxOptions options;
  options.spin = absl::ZeroDuration();
  return TwoRanks([&] { return MakeUcxEndpoint(options); }).Train(plan);
}

class ContinuousEngineTest : public ::testing::TestWithParam<const char*> {
 protected:
  Plan MakePlan(const std::string& optimizer) {
    Plan plan = PlanOf(GetParam(), WriteTokens("continuous.bin"));
    OptimizerSpec* const spec = plan.mutable_job()->mutable_optimizer();
    spec->set_kind(optimizer);
    spec->set_beta1(0.9);
    spec->set_beta2(0.95);
    spec->set_epsilon(1e-8);
    return plan;
  }
};

TEST_P(ContinuousEngineTest, HasTheBitsOfItsMicrobatchesOneByOne) {
  for (const std::string optimizer : {"sgd", "adamw"}) {
    Plan plan = MakePlan(optimizer);
    const Training got = TrainInProcess(plan);
    ASSERT_TRUE(got.status.ok()) << got.status;
    EXPECT_EQ(got.losses.size(), size_t{kSteps});
    const Training ucx = TrainOverUcx(plan);
    ASSERT_TRUE(ucx.status.ok()) << ucx.status;
    EXPECT_EQ(ucx.losses, got.losses);
    EXPECT_TRUE(ucx.digests == got.digests);
    *plan.mutable_schedule() =
        ToProto(OneByOne(*FromProto(plan.schedule())).Make());
    const Training want = TrainInProcess(plan);
    ASSERT_TRUE(want.status.ok()) << want.status;
    EXPECT_EQ(got.losses, want.losses);
    EXPECT_EQ(got.digests.size(), 5u);
    EXPECT_TRUE(got.digests == want.digests);
  }
}

TEST_P(ContinuousEngineTest, AnEvaluationDrainsAndChangesNoBit) {
  Plan plan = MakePlan("adamw");
  const Training undrained = TrainInProcess(plan);
  ASSERT_TRUE(undrained.status.ok()) << undrained.status;
  EvaluationSpec* const spec = plan.mutable_job()->mutable_evaluation();
  spec->set_every_steps(3);
  spec->set_tokens(WriteTokens("continuous_held_out.bin"));
  spec->set_microbatches(3);
  const Training got = TrainInProcess(plan);
  ASSERT_TRUE(got.status.ok()) << got.status;
  EXPECT_EQ(got.losses, undrained.losses);
  EXPECT_TRUE(got.digests == undrained.digests);
  *plan.mutable_schedule() =
      ToProto(OneByOne(*FromProto(plan.schedule())).Make());
  const Training want = TrainInProcess(plan);
  ASSERT_TRUE(want.status.ok()) << want.status;
  for (int i = 0; i < kSteps; ++i) {
    EXPECT_FALSE(got.results[0][i].evaluation_loss.has_value());
    const std::optional<double> loss = got.results[1][i].evaluation_loss;
    EXPECT_EQ(loss.has_value(), i == 2 || i == 5);
    EXPECT_EQ(loss, want.results[1][i].evaluation_loss);
  }
  // With other weights.
  EXPECT_NE(got.results[1][5].evaluation_loss,
            got.results[1][2].evaluation_loss);
}

TEST_P(ContinuousEngineTest, EveryRankReportsEveryStepInItsOrder) {
  const Training run = TrainInProcess(MakePlan("sgd"));
  ASSERT_TRUE(run.status.ok()) << run.status;
  for (const std::vector<StepResult>& results : run.results) {
    ASSERT_EQ(results.size(), size_t{kSteps});
    int traces = 0;
    for (int i = 0; i < kSteps; ++i) {
      EXPECT_EQ(results[i].step, i + 1);
      EXPECT_FALSE(results[i].gradient_norm.has_value());
      EXPECT_GT(results[i].busy_nanos, 0);
      EXPECT_LE(results[i].busy_nanos, results[i].step_nanos);
      if (!results[i].trace.has_value()) continue;
      ++traces;
      EXPECT_EQ(results[i].trace->step(), i + 1);
    }
    // Those of the period: neither the first step nor the last.
    EXPECT_EQ(traces, kSteps - 2);
  }
  for (const StepResult& result : run.results[1]) {
    EXPECT_TRUE(result.loss.has_value());
    EXPECT_EQ(result.tokens, 16);
  }
}

TEST_P(ContinuousEngineTest, WeightsOfAllVersionsAreCounted) {
  const Plan plan = MakePlan("sgd");
  const Schedule schedule = *FromProto(plan.schedule());
  const Training run = TrainInProcess(plan);
  ASSERT_TRUE(run.status.ok()) << run.status;
  for (int rank = 0; rank < 2; ++rank) {
    const MemoryUse& memory = run.uses[rank].memory;
    int64_t most = 0;
    for (int stage = 0; stage < schedule.num_stages(); ++stage) {
      if (schedule.placement[stage][0] != RankId(rank)) continue;
      most = std::max<int64_t>(most, schedule.versions[stage].delay + 1);
    }
    // Gradients and moments are as large as one version.
    EXPECT_EQ(memory.gradient_bytes(), memory.optimizer_bytes());
    EXPECT_GT(memory.weight_bytes(), (most - 1) * memory.gradient_bytes());
    EXPECT_LE(memory.weight_bytes(), most * memory.gradient_bytes());
    EXPECT_GT(memory.activation_bytes(), 0);
  }
}

TEST_P(ContinuousEngineTest, ANumberThatIsNotFiniteFailsTheStepThatMeetsIt) {
  Plan plan = MakePlan("sgd");
  plan.mutable_job()->mutable_optimizer()->set_learning_rate(1e38);
  plan.mutable_job()->mutable_optimizer()->set_clip_norm(0);
  const Training run = TrainInProcess(plan);
  EXPECT_EQ(run.status.code(), absl::StatusCode::kFailedPrecondition)
      << run.status;
  EXPECT_THAT(std::string(run.status.message()), HasSubstr("step "));
}

INSTANTIATE_TEST_SUITE_P(Schedules, ContinuousEngineTest,
                         ::testing::Values(kStash, kDoubleBuffer, kGrouped),
                         [](const auto& info) {
                           return std::string(info.param == kStash ? "Stash"
                                              : info.param == kDoubleBuffer
                                                  ? "DoubleBuffer"
                                                  : "Grouped");
                         });

absl::Status LoadStatus(const Plan& plan) {
  const std::unique_ptr<Device> device = *MakeDevice("cpu");
  return Engine::Load(plan, RankId(0), *device).status();
}

TEST(ContinuousLoadTest, SaysWhatCannotNeverDrain) {
  const std::string tokens = WriteTokens("continuous_load.bin");
  const Plan plan = PlanOf(kDoubleBuffer, tokens);
  EXPECT_TRUE(LoadStatus(plan).ok()) << LoadStatus(plan);
  const auto message = [](const Plan& wrong) {
    const absl::Status status = LoadStatus(wrong);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  };
  Plan wrong = plan;
  wrong.mutable_job()->set_dtype("float16");
  wrong.mutable_edge_tensors(0)->set_dtype(DTYPE_FLOAT16);
  EXPECT_THAT(message(wrong), HasSubstr("want bfloat16 or float32"));
  wrong = plan;
  wrong.mutable_job()->set_steps(1);
  EXPECT_THAT(message(wrong), HasSubstr("takes at least 2 steps"));
  wrong = plan;
  wrong.mutable_job()->mutable_wire()->set_compress("auto");
  EXPECT_THAT(message(wrong), HasSubstr("want none, bf16, fp16 or fp8_block"));
  wrong = plan;
  (*wrong.mutable_job()->mutable_model()->mutable_overrides())["tied"] = "true";
  EXPECT_NE(message(wrong), "");
  wrong = WithSchedule(
      plan, absl::StrReplaceAll(Spelled(kDoubleBuffer), {{"0R1@0 ", ""}}));
  EXPECT_THAT(message(wrong), HasSubstr("stage 0 recomputes some"));
  wrong = WithSchedule(
      plan, absl::StrReplaceAll(Spelled(kDoubleBuffer), {{"0F4@1", "0F4@0"}}));
  EXPECT_THAT(message(wrong), HasSubstr("weight_version"));
}

}  // namespace
}  // namespace penstock
