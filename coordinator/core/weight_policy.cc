#include "coordinator/core/weight_policy.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "coordinator/core/job_check.h"
#include "schedule/generators/weight_policies.h"
#include "schedule/ir/run_length.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

constexpr char kFlush[] = "flush";
constexpr char kVertical[] = "vertical";
constexpr char kDoubleBuffer[] = "double_buffer";
constexpr char kPerStage[] = "per_stage";

absl::StatusOr<std::string> PolicyOfFile(const std::string& text,
                                         const std::string& asked) {
  const absl::StatusOr<Schedule> given = ParseSchedule(text);
  if (!given.ok()) return WithContext(given.status(), "schedule.file");
  const std::string policy(ToString(given->policy));
  if (asked.empty()) return policy;
  PENSTOCK_RETURN_IF_ERROR(ScheduleOfPolicy(asked).status());
  PENSTOCK_RETURN_IF_ERROR(CheckPolicyPair(given->name, policy, asked));
  return policy;
}

absl::Status CheckClip(const Job& job) {
  const std::string& clip = job.weights().clip();
  if (clip.empty()) return absl::OkStatus();
  if (job.weights().policy() == kFlush) {
    return absl::InvalidArgumentError(
        absl::StrCat("weights.clip is ", clip,
                     ", and weights.policy flush clips by the "
                     "norm of the whole gradient; leave weights.clip out"));
  }
  if (clip == kPerStage) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("weights.clip: \"", clip, "\", want ", kPerStage));
}

// "weights.policy stash (schedule pipedream)"
std::string PolicyText(const Job& job) {
  const ScheduleSpec& schedule = job.schedule();
  return absl::StrCat("weights.policy ", job.weights().policy(), " (schedule ",
                      schedule.text().empty() ? schedule.name() : "of a file",
                      ")");
}

absl::Status CheckReplicas(const Job& job) {
  const auto& counts = job.partition().replicas();
  if (job.weights().policy() != kVertical ||
      std::all_of(counts.begin(), counts.end(),
                  [](int count) { return count == 1; })) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "partition.replicas is ", absl::StrJoin(counts, ","), ", and ",
      PolicyText(job),
      " fixes the weights that a microbatch reads as it enters, which replicas "
      "would have to wait for each other for; leave partition.replicas out, or "
      "take weights.policy stash or double_buffer"));
}

absl::Status CheckTied(const Job& job, const std::vector<Edge>& edges) {
  // All stages read one version for a microbatch.
  const std::string& policy = job.weights().policy();
  if (policy == kVertical || policy == kDoubleBuffer) return absl::OkStatus();
  for (const Edge& edge : edges) {
    if (edge.kind != EdgeKind::kTiedWeight) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "partition: \"", edge.tensor, "\" belongs to stage ", edge.from.value(),
        " and is used in stage ", edge.to.value(), ", which with ",
        PolicyText(job),
        " read other versions of it; put owner and user into one stage with "
        "partition.layers, give the model weights that are not tied, or take "
        "weights.policy double_buffer, vertical or flush"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Job> WithWeightPolicy(Job job) {
  WeightsSpec& weights = *job.mutable_weights();
  ScheduleSpec& spec = *job.mutable_schedule();
  if (spec.text().empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(const PolicyChoice choice,
                              CompletePolicy({spec.name(), weights.policy()}));
    spec.set_name(choice.schedule);
    weights.set_policy(choice.policy);
  } else {
    PENSTOCK_ASSIGN_OR_RETURN(const std::string policy,
                              PolicyOfFile(spec.text(), weights.policy()));
    weights.set_policy(policy);
  }
  if (weights.clip().empty() && weights.policy() != kFlush) {
    weights.set_clip(kPerStage);
  }
  return job;
}

absl::Status CheckWeightPolicy(const Job& job, const std::vector<Edge>& edges) {
  PENSTOCK_RETURN_IF_ERROR(CheckClip(job));
  if (job.weights().policy() == kFlush) return absl::OkStatus();
  if (job.dtype() == kFloat16) {
    return absl::InvalidArgumentError(absl::StrCat(
        "dtype is float16, and with ", PolicyText(job),
        " ranks do not meet at an update, so they cannot agree on a loss scale "
        "or skip one together; want bfloat16 or float32, or a schedule that "
        "flushes"));
  }
  if (job.wire().compress() == "auto") {
    return absl::InvalidArgumentError(absl::StrCat(
        "wire.compress is auto, and with ", PolicyText(job),
        " no step ends on all ranks at once, where they could agree on another "
        "type; want none, bf16, fp16 or fp8_block"));
  }
  PENSTOCK_RETURN_IF_ERROR(CheckReplicas(job));
  return CheckTied(job, edges);
}

absl::Status CheckRunLength(const Job& job, const Schedule& schedule) {
  if (!schedule.is_continuous()) return absl::OkStatus();
  PENSTOCK_RETURN_IF_ERROR(
      WithContext(PeriodsOfRun(schedule, job.steps()).status(), "steps"));
  const int64_t every = job.evaluation().every_steps();
  if (every == 0) return absl::OkStatus();
  for (const int64_t steps :
       {std::min(every, job.steps()), job.steps() % every}) {
    if (steps == 0) continue;
    PENSTOCK_RETURN_IF_ERROR(WithContext(
        PeriodsOfRun(schedule, steps).status(),
        absl::StrCat("evaluation.every_steps is ", every,
                     ", and an evaluation drains the pipeline, which leaves ",
                     steps, " of the ", job.steps(),
                     " steps between two drains")));
  }
  return absl::OkStatus();
}

}  // namespace penstock
