#include "stage_server/engine/test_plan.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "schedule/ir/schedule_proto.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

constexpr int kHidden = 16;
constexpr int kSequence = 8;
constexpr int kVocabulary = 16;

constexpr char kTwoRanks[] = R"(penstock-schedule 1
name by_hand
microbatches 2
placement r0 r1
edge activation final_norm 0>1
edge tied_weight embed.token.weight 0>1
r0: 0F0 0SF0[final_norm>r1] 0F1 0SF1[final_norm>r1] 0RB0[final_norm<r1] 0B0 0RB1[final_norm<r1] 0B1 0RB*[embed.token.weight<r1] N 0U 0SF*[embed.token.weight>r1]
r1: 1RF0[final_norm<r0] 1F0 1B0 1SB0[final_norm>r0] 1RF1[final_norm<r0] 1F1 1B1 1SB1[final_norm>r0] 1SB*[embed.token.weight>r0] N 1U 1RF*[embed.token.weight<r0]
)";

constexpr char kOneRank[] = R"(penstock-schedule 1
name by_hand
microbatches 2
placement r0 r0
edge activation final_norm 0>1
edge tied_weight embed.token.weight 0>1
r0: 0F0 1F0 1B0 0B0 0F1 1F1 1B1 0B1 N 0U 1U
)";

}  // namespace

Plan TwoRankPlan(const std::string& token_path) {
  Plan plan;
  Job* const job = plan.mutable_job();
  job->mutable_model()->set_preset("gpt-nano");
  auto& overrides = *job->mutable_model()->mutable_overrides();
  overrides["layers"] = "1";
  overrides["hidden"] = absl::StrCat(kHidden);
  overrides["heads"] = "2";
  overrides["vocabulary"] = absl::StrCat(kVocabulary);
  overrides["positions"] = absl::StrCat(kSequence);
  overrides["tied"] = "true";
  job->mutable_data()->set_tokens(token_path);
  job->mutable_data()->set_sequence_length(kSequence);
  job->set_batch_size(2);
  job->set_steps(10);
  job->mutable_optimizer()->set_kind("sgd");
  job->mutable_optimizer()->set_learning_rate(0.1);
  job->mutable_learning_rate_schedule()->set_kind("constant");
  job->mutable_schedule()->set_microbatches(2);
  job->set_seed(3);
  job->set_dtype("float32");
  job->set_threads(1);
  job->set_step_timeout_seconds(30);
  StagePlan* const body = plan.add_stages();
  for (const char* name : {"embed", "h0.attn", "h0.mlp", "final_norm"}) {
    body->add_layers(name);
  }
  StagePlan* const head = plan.add_stages();
  for (const char* name : {"head", "loss"}) head->add_layers(name);
  TensorSpec* const activation = plan.add_edge_tensors();
  activation->set_dtype(DTYPE_FLOAT32);
  for (const int size : {1, kSequence, kHidden}) activation->add_shape(size);
  TensorSpec* const tied = plan.add_edge_tensors();
  tied->set_dtype(DTYPE_FLOAT32);
  for (const int size : {kVocabulary, kHidden}) tied->add_shape(size);
  plan.set_receive_lookahead(2);
  return WithSchedule(plan, kTwoRanks);
}

std::string TwoRankScheduleText() { return kTwoRanks; }

Plan OneRankPlan(const std::string& token_path) {
  return WithSchedule(TwoRankPlan(token_path), kOneRank);
}

Plan WithSchedule(Plan plan, const std::string& text) {
  const absl::StatusOr<Schedule> schedule = ParseSchedule(text);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  if (!schedule.ok()) std::abort();
  *plan.mutable_schedule() = ToProto(*schedule);
  return plan;
}

std::string WriteTokens(const std::string& name) {
  std::string tokens;
  for (int i = 0; i < 2000; ++i) {
    tokens.push_back(static_cast<char>(i * i % kVocabulary));
    tokens.push_back('\0');
  }
  const std::string path = absl::StrCat(::testing::TempDir(), "/", name);
  EXPECT_TRUE(WriteFileAtomically(path, tokens).ok());
  return path;
}

}  // namespace penstock
