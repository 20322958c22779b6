#include "coordinator/core/job_check.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/suggest.h"
#include "coordinator/core/emulation.h"

namespace penstock {
namespace {

// As many divisors as help to choose.
constexpr size_t kShownDivisors = 12;
constexpr size_t kMaxNameLength = 63;
// Each different one is a set of shapes on every stage server.
constexpr int kMostLengths = 256;

absl::Status AtLeast(absl::string_view key, int64_t minimum, int64_t value) {
  if (value >= minimum) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(key, " must be at least ", minimum, ", got ", value));
}

// Also refuses what is not a number.
absl::Status InRange(absl::string_view key, double value, double minimum,
                     double below) {
  if (std::isfinite(value) && value >= minimum && value < below) {
    return absl::OkStatus();
  }
  const std::string upper =
      std::isfinite(below) ? absl::StrCat(" and less than ", below) : "";
  return absl::InvalidArgumentError(
      absl::StrCat(key, " must be at least ", minimum, upper, ", got ", value));
}

absl::Status OneOf(absl::string_view key, const std::string& value,
                   const std::vector<std::string>& choices) {
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(key, ": \"", value, "\" is none of ",
                   absl::StrJoin(choices, ", "), DidYouMean(value, choices)));
}

// Names stand in logs, folders and look-ups.
absl::Status CheckName(const std::string& name) {
  const bool fits =
      !name.empty() && name.size() <= kMaxNameLength &&
      std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return std::isalnum(c) || c == '.' || c == '_' || c == '-';
      });
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "name: \"", name, "\" must have 1 to 63 letters, digits and . _ -"));
}

absl::Status CheckMicrobatches(int batch, int microbatches) {
  if (batch % microbatches == 0) return absl::OkStatus();
  std::vector<int> divisors;
  for (int m = 1; m <= batch && divisors.size() < kShownDivisors; ++m) {
    if (batch % m == 0) divisors.push_back(m);
  }
  const int below = batch / microbatches * microbatches;
  const std::string nearest =
      below > 0 ? absl::StrCat(below, " or ", below + microbatches)
                : absl::StrCat(microbatches);
  return absl::InvalidArgumentError(absl::StrCat(
      "batch_size ", batch, " is not a multiple of schedule.microbatches ",
      microbatches, "; microbatches could be ", absl::StrJoin(divisors, ", "),
      ", or batch_size ", nearest));
}

absl::Status CheckOptimizer(const OptimizerSpec& optimizer) {
  PENSTOCK_RETURN_IF_ERROR(
      OneOf("optimizer.kind", optimizer.kind(), {"sgd", "adamw"}));
  const double any = HUGE_VAL;
  PENSTOCK_RETURN_IF_ERROR(
      InRange("optimizer.learning_rate", optimizer.learning_rate(), 0, any));
  PENSTOCK_RETURN_IF_ERROR(
      InRange("optimizer.momentum", optimizer.momentum(), 0, 1));
  PENSTOCK_RETURN_IF_ERROR(InRange("optimizer.beta1", optimizer.beta1(), 0, 1));
  PENSTOCK_RETURN_IF_ERROR(InRange("optimizer.beta2", optimizer.beta2(), 0, 1));
  PENSTOCK_RETURN_IF_ERROR(
      InRange("optimizer.epsilon", optimizer.epsilon(), 0, any));
  PENSTOCK_RETURN_IF_ERROR(
      InRange("optimizer.weight_decay", optimizer.weight_decay(), 0, any));
  return InRange("optimizer.clip_norm", optimizer.clip_norm(), 0, any);
}

absl::Status CheckLearningRate(const LearningRateSchedule& schedule) {
  PENSTOCK_RETURN_IF_ERROR(OneOf("learning_rate_schedule.kind", schedule.kind(),
                                 {"constant", "step", "cosine", "polynomial"}));
  PENSTOCK_RETURN_IF_ERROR(AtLeast("learning_rate_schedule.warmup_steps", 0,
                                   schedule.warmup_steps()));
  PENSTOCK_RETURN_IF_ERROR(
      AtLeast("learning_rate_schedule.decay_steps", 0, schedule.decay_steps()));
  if (schedule.kind() == "step") {
    return AtLeast("learning_rate_schedule.step_size", 1, schedule.step_size());
  }
  return absl::OkStatus();
}

absl::Status CheckWire(const Job& job) {
  const std::string& compress = job.wire().compress();
  if (compress.empty()) return absl::OkStatus();
  PENSTOCK_RETURN_IF_ERROR(
      OneOf("wire.compress", compress,
            {"none", "bf16", "fp16", "fp8_block", "auto"}));
  if (compress == "none" || !job.has_emulate()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "wire.compress is ", compress,
      ", want none with `emulate`: emulated "
      "devices have no numbers to round; give smaller `tensors` in the "
      "profile"));
}

// That the data is tokens is checked where the model is known.
absl::Status CheckSequenceLengths(const Job& job) {
  const auto& lengths = job.data().sequence_lengths();
  if (lengths.empty()) return absl::OkStatus();
  if (lengths.size() > kMostLengths) {
    return absl::InvalidArgumentError(
        absl::StrCat("data.sequence_lengths has ", lengths.size(),
                     " entries, want at most ", kMostLengths));
  }
  for (const int length : lengths) {
    PENSTOCK_RETURN_IF_ERROR(AtLeast("data.sequence_lengths", 1, length));
  }
  const int longest = *std::max_element(lengths.begin(), lengths.end());
  if (longest != job.data().sequence_length()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "data.sequence_length is ", job.data().sequence_length(),
        ", and the longest of data.sequence_lengths is ", longest,
        "; want both equal, or leave data.sequence_length out of the job "
        "file"));
  }
  if (!job.wire().error_feedback()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "wire.error_feedback: with data.sequence_lengths what is left of one "
      "step's gradient has another shape than the next step's; leave one of "
      "them out");
}

absl::Status CheckLossScale(const LossScaleSpec& spec) {
  const double any = HUGE_VAL;
  if (!(spec.minimum() > 0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "loss_scale.minimum must be more than 0, got ", spec.minimum()));
  }
  PENSTOCK_RETURN_IF_ERROR(
      InRange("loss_scale.minimum", spec.minimum(), 0, any));
  PENSTOCK_RETURN_IF_ERROR(
      InRange("loss_scale.initial", spec.initial(), spec.minimum(), any));
  PENSTOCK_RETURN_IF_ERROR(
      AtLeast("loss_scale.growth_interval", 1, spec.growth_interval()));
  PENSTOCK_RETURN_IF_ERROR(InRange("loss_scale.growth", spec.growth(), 1, any));
  if (!(spec.backoff() > 0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "loss_scale.backoff must be more than 0, got ", spec.backoff()));
  }
  return InRange("loss_scale.backoff", spec.backoff(), 0, 1);
}

absl::Status CheckEvaluation(const Job& job) {
  const EvaluationSpec& spec = job.evaluation();
  PENSTOCK_RETURN_IF_ERROR(
      AtLeast("evaluation.every_steps", 0, spec.every_steps()));
  if (spec.every_steps() == 0) return absl::OkStatus();
  PENSTOCK_RETURN_IF_ERROR(
      AtLeast("evaluation.microbatches", 1, spec.microbatches()));
  if (job.has_emulate()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "evaluation.every_steps is ", spec.every_steps(),
        ", want 0 with `emulate`: emulated devices compute no loss"));
  }
  const bool from_file = !job.data().tokens().empty();
  if (from_file != spec.tokens().empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      from_file
          ? "evaluation.tokens is missing: a job that reads data.tokens is "
            "evaluated on another token file; make one with `penstock data "
            "prepare`"
          : "evaluation.tokens is given, and the job's data is made up; leave "
            "it out, and held-out data is made up too");
}

absl::Status CheckCheckpoint(const Job& job) {
  if (!job.has_checkpoint()) return absl::OkStatus();
  const CheckpointSpec& spec = job.checkpoint();
  PENSTOCK_RETURN_IF_ERROR(
      AtLeast("checkpoint.every_steps", 0, spec.every_steps()));
  PENSTOCK_RETURN_IF_ERROR(
      InRange("checkpoint.every_seconds", spec.every_seconds(), 0, HUGE_VAL));
  PENSTOCK_RETURN_IF_ERROR(
      AtLeast("checkpoint.keep_last", 1, spec.keep_last()));
  PENSTOCK_RETURN_IF_ERROR(
      AtLeast("checkpoint.keep_every", 0, spec.keep_every()));
  PENSTOCK_RETURN_IF_ERROR(
      AtLeast("checkpoint.memory_every_steps", 0, spec.memory_every_steps()));
  return AtLeast("checkpoint.keep_best", 0, spec.keep_best());
}

absl::Status CheckStart(const Job& job) {
  const StartSpec& start = job.start();
  const bool resumes = !start.resume().empty() && start.resume() != "never";
  if (!start.resume().empty()) {
    PENSTOCK_RETURN_IF_ERROR(
        OneOf("start.resume", start.resume(), {"never", "auto", "require"}));
  }
  if (resumes && !start.from().empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "start.from is ", start.from(), " and start.resume is ", start.resume(),
        "; a job either begins a new training with the ",
        "weights of a checkpoint or goes on with one; leave one of them out"));
  }
  return absl::OkStatus();
}

absl::Status CheckRestart(const RestartSpec& spec) {
  PENSTOCK_RETURN_IF_ERROR(AtLeast("restart.limit", 0, spec.limit()));
  if (spec.backoff_seconds() >= 0 && std::isfinite(spec.backoff_seconds())) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("restart.backoff_seconds must be 0 or more, got ",
                   spec.backoff_seconds()));
}

// What speaks against a job with another number of stages too, which `bound`
// allows.
absl::Status CheckOtherSize(const char* bound, int stages, const Job& job) {
  const PartitionSpec& partition = job.partition();
  const std::string refusal = absl::StrCat(bound, " is ", stages, ", and ");
  if (job.restart().limit() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        refusal, "restart.limit is 0: the job is never started again; leave ",
        "one of them out"));
  }
  const char* fixed = nullptr;
  if (partition.explicit_layers_size() > 0) fixed = "partition.layers";
  if (!job.schedule().text().empty()) fixed = "schedule.file";
  if (fixed == nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(refusal, fixed, " is for partition.stages ",
                   partition.stages(), " alone; leave one of them out"));
}

absl::Status CheckElastic(const Job& job) {
  const int least = job.elastic().min_stages();
  const int most = job.elastic().max_stages();
  const int stages = job.partition().stages();
  PENSTOCK_RETURN_IF_ERROR(AtLeast("elastic.min_stages", 0, least));
  PENSTOCK_RETURN_IF_ERROR(AtLeast("elastic.max_stages", 0, most));
  if (least > stages) {
    return absl::InvalidArgumentError(absl::StrCat(
        "elastic.min_stages is ", least, ", and partition.stages is ", stages,
        "; it is the least of stages, so at most that"));
  }
  if (most != 0 && most < stages) {
    return absl::InvalidArgumentError(absl::StrCat(
        "elastic.max_stages is ", most, ", and partition.stages is ", stages,
        "; it is the most of stages, so at least that"));
  }
  if (least != 0) {
    PENSTOCK_RETURN_IF_ERROR(CheckOtherSize("elastic.min_stages", least, job));
  }
  if (most != 0) {
    PENSTOCK_RETURN_IF_ERROR(CheckOtherSize("elastic.max_stages", most, job));
  }
  if (job.elastic().grow() && (least == 0 || least == stages) &&
      (most == 0 || most == stages)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "elastic.grow is true, and the job can have no other number of stages "
        "than partition.stages, ",
        stages, "; give elastic.min_stages or elastic.max_stages too"));
  }
  return absl::OkStatus();
}

absl::Status CheckPriority(int priority) {
  constexpr int kMost = 1000;
  if (priority >= -kMost && priority <= kMost) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "priority must be from ", -kMost, " to ", kMost, ", got ", priority));
}

absl::Status CheckReplicas(const Job& job) {
  const PartitionSpec& partition = job.partition();
  bool has_some = false;
  for (const int count : partition.replicas()) {
    PENSTOCK_RETURN_IF_ERROR(AtLeast("partition.replicas", 1, count));
    has_some = has_some || count > 1;
  }
  if (has_some && !job.schedule().text().empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "partition.replicas is ", absl::StrJoin(partition.replicas(), ","),
        ", and schedule.file says which ranks run what; leave "
        "replicas out, or name the ranks of a stage in the file"));
  }
  if (partition.rank_order().empty()) return absl::OkStatus();
  return OneOf("partition.rank_order", partition.rank_order(),
               {kPipelineMajor, kDataMajor});
}

}  // namespace

std::string NoSuch(absl::string_view what, absl::string_view name,
                   const std::vector<std::string>& names) {
  const std::string suggestion = DidYouMean(name, names);
  return absl::StrCat(
      "no ", what, " \"", name, "\"",
      suggestion.empty()
          ? absl::StrCat("; there are ", absl::StrJoin(names, ", "))
          : suggestion);
}

absl::Status CheckJob(const Job& job) {
  PENSTOCK_RETURN_IF_ERROR(CheckName(job.name()));
  PENSTOCK_RETURN_IF_ERROR(CheckWire(job));
  PENSTOCK_RETURN_IF_ERROR(AtLeast("batch_size", 1, job.batch_size()));
  PENSTOCK_RETURN_IF_ERROR(AtLeast("steps", 1, job.steps()));
  if (job.has_emulate()) {
    PENSTOCK_RETURN_IF_ERROR(CheckEmulation(job));
  } else {
    PENSTOCK_RETURN_IF_ERROR(
        AtLeast("data.sequence_length", 1, job.data().sequence_length()));
    PENSTOCK_RETURN_IF_ERROR(CheckSequenceLengths(job));
  }
  PENSTOCK_RETURN_IF_ERROR(
      AtLeast("schedule.microbatches", 1, job.schedule().microbatches()));
  PENSTOCK_RETURN_IF_ERROR(
      CheckMicrobatches(job.batch_size(), job.schedule().microbatches()));
  PENSTOCK_RETURN_IF_ERROR(
      AtLeast("partition.stages", 1, job.partition().stages()));
  PENSTOCK_RETURN_IF_ERROR(
      AtLeast("partition.ranks", 0, job.partition().ranks()));
  PENSTOCK_RETURN_IF_ERROR(CheckReplicas(job));
  PENSTOCK_RETURN_IF_ERROR(CheckEvaluation(job));
  PENSTOCK_RETURN_IF_ERROR(CheckCheckpoint(job));
  PENSTOCK_RETURN_IF_ERROR(CheckStart(job));
  PENSTOCK_RETURN_IF_ERROR(CheckRestart(job.restart()));
  PENSTOCK_RETURN_IF_ERROR(CheckElastic(job));
  PENSTOCK_RETURN_IF_ERROR(CheckPriority(job.priority()));
  PENSTOCK_RETURN_IF_ERROR(AtLeast("threads", 0, job.threads()));
  if (!(job.step_timeout_seconds() > 0) ||
      !std::isfinite(job.step_timeout_seconds())) {
    return absl::InvalidArgumentError(
        absl::StrCat("step_timeout_seconds must be more than 0, got ",
                     job.step_timeout_seconds()));
  }
  PENSTOCK_RETURN_IF_ERROR(
      OneOf("dtype", job.dtype(), {kFloat32, kBfloat16, kFloat16}));
  if (job.dtype() == kFloat16) {
    PENSTOCK_RETURN_IF_ERROR(CheckLossScale(job.loss_scale()));
  }
  PENSTOCK_RETURN_IF_ERROR(CheckOptimizer(job.optimizer()));
  return CheckLearningRate(job.learning_rate_schedule());
}

}  // namespace penstock
