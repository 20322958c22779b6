#include "client/job_file/key_table.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "schedule/generators/weight_policies.h"

namespace penstock {
namespace {

void AddModelKeys(std::vector<JobKey>& keys) {
  keys.push_back({.path = "name",
                  .default_value = "",
                  .default_words = "the job file's name",
                  .example = "first-run",
                  .doc = "What lists and run folders call the job. Letters, "
                         "digits, `.`, `_` and `-`, at most 63."});
  keys.push_back({.path = "model.preset",
                  .default_value = "",
                  .default_words = "**required** without `emulate`",
                  .example = "gpt-nano",
                  .doc = "A model of the zoo, see below."});
  keys.push_back({.path = "model.overrides",
                  .type = KeyType::kNameMap,
                  .default_value = "{}",
                  .example = "{layers: 6, dropout: 0.1}",
                  .doc = "Numbers of the preset to change, by name; an unknown "
                         "name is refused with the names there are."});
  keys.push_back({.path = "data.kind",
                  .default_value = "",
                  .default_words = "what the model reads",
                  .choices = {"tokens", "images", "pairs", "translation"},
                  .example = "tokens",
                  .doc = "What the samples are: `tokens` of a file, or "
                         "`images`, `pairs` (images and captions) or "
                         "`translation`, which stage servers make up from "
                         "`seed`, each for itself. It must be what the model "
                         "reads."});
  keys.push_back({.path = "data.tokens",
                  .type = KeyType::kPath,
                  .default_value = "",
                  .default_words = "**required** for `tokens`",
                  .example = "../data/text.bin",
                  .doc = "Token file made by `penstock data prepare`, as the "
                         "stage servers see it. A relative path counts from "
                         "the job file's folder; in `--set` from the working "
                         "folder."});
  keys.push_back({.path = "data.sequence_length",
                  .type = KeyType::kInteger,
                  .default_value = "",
                  .default_words = "the preset's",
                  .unit = "tokens",
                  .minimum = 1,
                  .below = 1 << 20,
                  .example = "128",
                  .doc = "Length of one sample; images have none."});
  keys.push_back({.path = "data.sequence_lengths",
                  .type = KeyType::kCounts,
                  .default_value = "",
                  .default_words = "`data.sequence_length` in every step",
                  .unit = "tokens",
                  .minimum = 1,
                  .below = 1 << 20,
                  .example = "[64, 128, 256]",
                  .doc = "Of `tokens`: lengths that steps have, see [below]"
                         "(#steps-of-several-lengths); the longest is "
                         "`data.sequence_length`."});
  keys.push_back(
      {.path = "emulate",
       .type = KeyType::kPath,
       .default_value = "",
       .default_words = "none: `model` is trained",
       .example = "profile.json",
       .doc = "A profile (the JSON of proto/profile.proto). Instead of "
              "a model, devices are kept busy for its times, with processes, "
              "messages and schedule real: more ranks than there are cores "
              "can be timed so. `batch_size` is then "
              "`schedule.microbatches`, and that four times the stages, unless "
              "given.",
       .field = "emulate.model"});
}

void AddTrainingKeys(std::vector<JobKey>& keys) {
  keys.push_back({.path = "batch_size",
                  .type = KeyType::kInteger,
                  .default_value = "8",
                  .unit = "samples",
                  .minimum = 1,
                  .below = 1 << 24,
                  .example = "32",
                  .doc = "Samples of a step; a multiple of "
                         "`schedule.microbatches`."});
  keys.push_back({.path = "steps",
                  .type = KeyType::kInteger,
                  .unit = "steps",
                  .minimum = 1,
                  .below = 1e15,
                  .example = "200",
                  .doc = "Steps to make; then the job has succeeded. A step is "
                         "one update, except with `weights.policy` `stash` and "
                         "`vertical`, where each of its microbatches is one."});
  keys.push_back({.path = "seed",
                  .type = KeyType::kInteger,
                  .default_value = "0",
                  .minimum = 0,
                  .example = "1234",
                  .doc = "Of initial weights, dropout and the order of "
                         "samples. The same seed gives the same bits at any "
                         "number of stages."});
  keys.push_back({.path = "dtype",
                  .default_value = "float32",
                  .choices = {"float32", "bfloat16", "float16"},
                  .example = "bfloat16",
                  .doc = "Of weights and activations; `bfloat16` and `float16` "
                         "keep float32 master weights, and `float16` scales "
                         "the loss."});
  keys.push_back({.path = "threads",
                  .type = KeyType::kInteger,
                  .default_value = "1",
                  .unit = "threads per rank",
                  .minimum = 1,
                  .below = 4096,
                  .zero_word = "auto",
                  .example = "2",
                  .doc = "Part of the numerics. `auto` uses the cores and "
                         "gives bit-equality between machines up."});
  keys.push_back({.path = "priority",
                  .type = KeyType::kInteger,
                  .default_value = "0",
                  .minimum = -1000,
                  .below = 1001,
                  .example = "10",
                  .doc = "Of jobs that wait for stage servers those with a "
                         "higher one get them first, older ones before newer "
                         "ones of the same. A job that runs is not interrupted "
                         "for another."});
  keys.push_back({.path = "step_timeout_seconds",
                  .type = KeyType::kNumber,
                  .default_value = "300",
                  .unit = "seconds",
                  .minimum = 0,
                  .above_minimum = true,
                  .example = "60",
                  .doc = "A receive or agreement between ranks that takes "
                         "longer fails the job."});
}

void AddOptimizerKeys(std::vector<JobKey>& keys) {
  const auto number = [&keys](std::string path, std::string default_value,
                              std::string example, std::string doc,
                              std::optional<double> below = std::nullopt) {
    keys.push_back({.path = std::move(path),
                    .type = KeyType::kNumber,
                    .default_value = std::move(default_value),
                    .minimum = 0,
                    .below = below,
                    .example = std::move(example),
                    .doc = std::move(doc)});
  };
  keys.push_back({.path = "optimizer.kind",
                  .default_value = "adamw",
                  .choices = {"sgd", "adamw"},
                  .example = "sgd",
                  .doc = "Which update rule."});
  number("optimizer.learning_rate", "0.001", "3e-4",
         "Base rate; `learning_rate_schedule` scales it.");
  number("optimizer.momentum", "0.9", "0.95", "Of `sgd`.", 1);
  number("optimizer.beta1", "0.9", "0.85", "Of `adamw`: first moment.", 1);
  number("optimizer.beta2", "0.999", "0.95", "Of `adamw`: second moment.", 1);
  number("optimizer.epsilon", "1e-8", "1e-6",
         "Of `adamw`: added to the denominator.");
  number("optimizer.weight_decay", "0", "0.1",
         "Decoupled for `adamw`, L2 for `sgd`.");
  number("optimizer.clip_norm", "0", "1.0",
         "The gradient's global norm is scaled down to this; 0 leaves it "
         "alone. Without a flush see `weights.clip`.");
}

void AddLearningRateKeys(std::vector<JobKey>& keys) {
  keys.push_back({.path = "learning_rate_schedule.kind",
                  .default_value = "constant",
                  .choices = {"constant", "step", "cosine", "polynomial"},
                  .example = "cosine",
                  .doc = "How the rate changes after the warm-up."});
  keys.push_back({.path = "learning_rate_schedule.warmup_steps",
                  .type = KeyType::kInteger,
                  .default_value = "0",
                  .unit = "updates",
                  .minimum = 0,
                  .example = "20",
                  .doc = "The rate rises linearly from 0 over so many."});
  keys.push_back({.path = "learning_rate_schedule.decay_steps",
                  .type = KeyType::kInteger,
                  .default_value = "0",
                  .unit = "updates",
                  .minimum = 0,
                  .example = "150",
                  .doc = "Where `cosine` and `polynomial` end; 0 means with "
                         "the job's last update."});
  keys.push_back({.path = "learning_rate_schedule.final_fraction",
                  .type = KeyType::kNumber,
                  .default_value = "0.1",
                  .minimum = 0,
                  .example = "0",
                  .doc = "Fraction of the base rate that `cosine` and "
                         "`polynomial` end at."});
  keys.push_back({.path = "learning_rate_schedule.power",
                  .type = KeyType::kNumber,
                  .default_value = "1",
                  .minimum = 0,
                  .above_minimum = true,
                  .example = "2",
                  .doc = "Of `polynomial`; 1 is linear."});
  keys.push_back({.path = "learning_rate_schedule.step_size",
                  .type = KeyType::kInteger,
                  .default_value = "100",
                  .unit = "updates",
                  .minimum = 1,
                  .example = "50",
                  .doc = "Of `step`: the rate is multiplied by `gamma` every "
                         "so many."});
  keys.push_back({.path = "learning_rate_schedule.gamma",
                  .type = KeyType::kNumber,
                  .default_value = "0.1",
                  .minimum = 0,
                  .example = "0.5",
                  .doc = "Of `step`."});
}

void AddLossScaleKeys(std::vector<JobKey>& keys) {
  const auto number = [&keys](std::string path, std::string default_value,
                              std::string example, std::string doc) {
    keys.push_back({.path = std::move(path),
                    .type = KeyType::kNumber,
                    .default_value = std::move(default_value),
                    .minimum = 0,
                    .above_minimum = true,
                    .example = std::move(example),
                    .doc = std::move(doc)});
  };
  number(
      "loss_scale.initial", "65536", "1024",
      "Of `float16`: the loss is multiplied by it, and gradients are divided "
      "by it again before clipping and update. A step with a gradient that "
      "is not finite is skipped. At least the minimum.");
  keys.push_back({.path = "loss_scale.growth_interval",
                  .type = KeyType::kInteger,
                  .default_value = "2000",
                  .unit = "updates",
                  .minimum = 1,
                  .example = "500",
                  .doc = "After so many without a skip the scale grows."});
  number("loss_scale.growth", "2", "4",
         "By what it is then multiplied; at least 1. Powers of two keep the "
         "gradients' bits.");
  number("loss_scale.backoff", "0.5", "0.25",
         "By what a skip multiplies it; less than 1.");
  number("loss_scale.minimum", "1", "0.125",
         "It is never less. A gradient that is not finite even so fails the "
         "job.");
}

void AddEvaluationKeys(std::vector<JobKey>& keys) {
  keys.push_back({.path = "evaluation.every_steps",
                  .type = KeyType::kInteger,
                  .default_value = "0",
                  .unit = "steps",
                  .minimum = 0,
                  .example = "100",
                  .doc = "After every so many steps the loss on held-out data "
                         "is computed with the newest weights, forward only, "
                         "without dropout; `penstock describe` tells the best "
                         "one. It changes no bit of the training. Where "
                         "`weights.policy` never flushes, the pipeline is "
                         "drained for it and filled again. 0: never."});
  keys.push_back({.path = "evaluation.tokens",
                  .type = KeyType::kPath,
                  .default_value = "",
                  .default_words = "**required** to evaluate on `tokens`",
                  .example = "../data/held_out.bin",
                  .doc = "Token file with the held-out data, as `data.tokens`. "
                         "Data that is made up is drawn with another seed "
                         "instead."});
  keys.push_back({.path = "evaluation.microbatches",
                  .type = KeyType::kInteger,
                  .default_value = "8",
                  .unit = "microbatches",
                  .minimum = 1,
                  .example = "32",
                  .doc = "Of each evaluation, always the same ones, as large "
                         "as those of the training."});
}

void AddScheduleKeys(std::vector<JobKey>& keys) {
  keys.push_back({.path = "schedule.name",
                  .default_value = "",
                  .default_words = "`one_f_one_b`, or that of `weights.policy`",
                  .example = "gpipe",
                  .doc = "The pipeline schedule's generator; one of `penstock "
                         "schedule list`."});
  keys.push_back({.path = "schedule.microbatches",
                  .type = KeyType::kInteger,
                  .default_value = "4",
                  .unit = "microbatches",
                  .minimum = 1,
                  .below = 1 << 16,
                  .example = "8",
                  .doc = "Pieces that a batch is cut into; must divide "
                         "`batch_size`."});
  keys.push_back({.path = "schedule.parameters",
                  .type = KeyType::kNameMap,
                  .default_value = "{}",
                  .example = "{order: lifo}",
                  .doc = "Parameters of the generator, by name."});
  keys.push_back({.path = "schedule.recompute",
                  .default_value = "never",
                  .example = "always",
                  .doc =
                      "Whose forwards run again right before their backward, "
                      "which saves memory: `never`, `except_last` "
                      "microbatch, `always`, or stages like `0,2`. The bits "
                      "stay the same."});
  keys.push_back({.path = "schedule.file",
                  .type = KeyType::kPath,
                  .default_value = "",
                  .default_words = "none: `schedule.name` is made",
                  .example = "mine.txt",
                  .doc = "A schedule of your own instead, in the format of "
                         "[schedule_format.md](schedule_format.md): "
                         "compute actions; the rest is added to them, and "
                         "edges are those of the model. Stages and ranks not "
                         "given are those of the file. See `penstock schedule "
                         "export` and `verify`."});
}

void AddWeightsKeys(std::vector<JobKey>& keys) {
  keys.push_back({.path = "weights.policy",
                  .default_value = "",
                  .default_words = "that of the schedule",
                  .choices = WeightPolicies(),
                  .example = "double_buffer",
                  .doc = "Which version of the weights a microbatch reads, and "
                         "when they change: see "
                         "[weight_versions.md](weight_versions.md). Alone it "
                         "chooses the schedule: `stash` is `pipedream`, "
                         "`vertical` `pipedream_vertical`, `double_buffer` "
                         "`pipedream_2bw` and `grouped` `wpipe`. With all but "
                         "`flush` ranks run on from step to step, and steps "
                         "overlap."});
  keys.push_back({.path = "weights.clip",
                  .default_value = "",
                  .default_words = "`per_stage`, unless the policy is `flush`",
                  .choices = {"per_stage"},
                  .example = "per_stage",
                  .doc = "What `optimizer.clip_norm` is about where ranks do "
                         "not wait for each other: `per_stage`, each stage "
                         "scales its own gradient by its own norm. A flush has "
                         "the norm of the whole gradient."});
}

void AddPartitionKeys(std::vector<JobKey>& keys) {
  keys.push_back({.path = "partition.stages",
                  .type = KeyType::kInteger,
                  .default_value = "",
                  .default_words = "as many as `partition.layers`, else 1",
                  .unit = "stages",
                  .minimum = 1,
                  .below = 1 << 16,
                  .example = "2",
                  .doc = "Stages that the model is cut into. `--stages` sets "
                         "it. With `partition.ranks` alone, as many as the "
                         "schedule wants for these."});
  keys.push_back({.path = "partition.ranks",
                  .type = KeyType::kInteger,
                  .default_value = "",
                  .default_words = "as many as the schedule puts the stages on",
                  .unit = "ranks",
                  .minimum = 1,
                  .below = 1 << 16,
                  .example = "2",
                  .doc =
                      "Of one pipeline: stage servers without replicas. Each "
                      "runs stages / ranks stages. Schedules with one stage "
                      "on a rank have as many ranks as stages."});
  keys.push_back(
      {.path = "partition.replicas",
       .type = KeyType::kCounts,
       .default_value = "1",
       .unit = "stage servers",
       .minimum = 1,
       .below = 1 << 16,
       .example = "[2, 1]",
       .doc =
           "How many stage servers do what one rank does and "
           "share its microbatches, b going to replica b mod R: "
           "one number for the whole pipeline, or one for each "
           "of its ranks, whose stages all have so many. At most "
           "as many as microbatches. See "
           "[schedules.md](schedules.md#replicas-branches-data-parallelism)."});
  keys.push_back({.path = "partition.rank_order",
                  .default_value = "pipeline_major",
                  .choices = {"pipeline_major", "data_major"},
                  .example = "data_major",
                  .doc = "How the ranks of replicas are numbered: one whole "
                         "pipeline after the other, or the replicas of each "
                         "rank side by side, which they are anyway where "
                         "their numbers differ. Servers take ranks host by "
                         "host."});
  keys.push_back(
      {.path = "partition.layers",
       .type = KeyType::kLayers,
       .default_value = "[]",
       .default_words = "split evenly by parameter count",
       .example = "[[embed, h0.attn, h0.mlp], [final_norm, head, loss]]",
       .doc = "The layers of each stage, by name, in graph order.",
       .field = "partition.explicit_layers"});
}

void AddWireKeys(std::vector<JobKey>& keys) {
  keys.push_back(
      {.path = "wire.compress",
       .default_value = "none",
       .choices = {"none", "bf16", "fp16", "fp8_block", "auto"},
       .example = "bf16",
       .doc =
           "A smaller type for activations and their gradients on the way "
           "between ranks, where the link is slow: `bf16`, `fp16` (with a "
           "scale) or `fp8_block` (one byte, with a scale for each 128 "
           "numbers). `auto` takes the next smaller type on edges whose "
           "link holds their receiver up, as measured. Memory, tied "
           "weights and sums keep their type. All but `none` change the bits; "
           "`auto` does so from run to run."});
  keys.push_back({.path = "wire.error_feedback",
                  .default_value = "false",
                  .choices = {"false", "true"},
                  .example = "true",
                  .doc = "What a compressed gradient loses is added to the "
                         "next one of its edge. Costs float32 memory for one "
                         "gradient of each edge."});
}

void AddCheckpointKeys(std::vector<JobKey>& keys) {
  keys.push_back({.path = "checkpoint.every_steps",
                  .type = KeyType::kInteger,
                  .default_value = "500",
                  .unit = "steps",
                  .minimum = 0,
                  .below = 1e15,
                  .example = "100",
                  .doc = "A checkpoint is made at the multiples of so many "
                         "steps. Where the store is too slow for that, some "
                         "are passed over, and `penstock describe` says how "
                         "many. 0: not by steps. The last step always has "
                         "one. With `emulate` there are checkpoints only if "
                         "one of these keys is given."});
  keys.push_back({.path = "checkpoint.every_seconds",
                  .type = KeyType::kNumber,
                  .default_value = "300",
                  .unit = "seconds",
                  .minimum = 0,
                  .below = 1e9,
                  .example = "60",
                  .doc = "A checkpoint is also made so long after the one "
                         "before. 0: not by time."});
  keys.push_back({.path = "checkpoint.keep_last",
                  .type = KeyType::kInteger,
                  .default_value = "2",
                  .unit = "checkpoints",
                  .minimum = 1,
                  .below = 1 << 20,
                  .example = "5",
                  .doc = "The newest so many stay. A checkpoint stays if any "
                         "of the `keep` keys, or a pin (`penstock ckpt pin`), "
                         "says so."});
  keys.push_back({.path = "checkpoint.keep_every",
                  .type = KeyType::kInteger,
                  .default_value = "0",
                  .unit = "steps",
                  .minimum = 0,
                  .below = 1e15,
                  .example = "10000",
                  .doc = "Those of multiples of so many steps stay. 0: none "
                         "for that."});
  keys.push_back({.path = "checkpoint.keep_best",
                  .type = KeyType::kInteger,
                  .default_value = "0",
                  .unit = "checkpoints",
                  .minimum = 0,
                  .below = 1 << 20,
                  .example = "1",
                  .doc = "The so many with the least loss on held-out data "
                         "(`evaluation.every_steps`) stay."});
}

void AddMemoryKeys(std::vector<JobKey>& keys) {
  keys.push_back({.path = "checkpoint.memory_every_steps",
                  .type = KeyType::kInteger,
                  .default_value = "0",
                  .unit = "steps",
                  .minimum = 0,
                  .below = 1e15,
                  .example = "1",
                  .doc = "Each stage server keeps the job's state after the "
                         "multiples of so many steps in its memory, and a copy "
                         "in that of one on another host, so that a lost "
                         "server costs at most so many steps. Doubled where "
                         "that takes more than a hundredth of the time. 0: "
                         "it does not."});
}

void AddStartKeys(std::vector<JobKey>& keys) {
  keys.push_back({.path = "start.resume",
                  .default_value = "never",
                  .choices = {"never", "auto", "require"},
                  .example = "auto",
                  .doc = "`auto`: go on from the newest checkpoint of the "
                         "newest job of the same name that has one, at any "
                         "number of stages. `require`: and refuse the job if "
                         "there is none. `never`: begin with initial "
                         "weights."});
  keys.push_back({.path = "start.from",
                  .default_value = "",
                  .default_words = "initial weights",
                  .example = "gpt-nano@500",
                  .doc = "Begin a new training, at step 0 and with an empty "
                         "optimizer, with the weights of a checkpoint: "
                         "`<job>@<step>`, or `<job>` for its newest."});
  keys.push_back({.path = "start.allow_other_data",
                  .default_value = "false",
                  .choices = {"false", "true"},
                  .example = "true",
                  .doc = "Go on although the data is not what the checkpoint "
                         "was trained on."});
  keys.push_back({.path = "start.allow_other_numerics",
                  .default_value = "false",
                  .choices = {"false", "true"},
                  .example = "true",
                  .doc = "Go on although results may have other bits than "
                         "where the checkpoint was made: another libtorch, "
                         "CPU or number of `threads`."});
}

void AddRestartKeys(std::vector<JobKey>& keys) {
  keys.push_back({.path = "restart.limit",
                  .type = KeyType::kInteger,
                  .default_value = "5",
                  .unit = "restarts",
                  .minimum = 0,
                  .below = 1 << 20,
                  .example = "20",
                  .doc = "A job that loses a stage server starts again from "
                         "its newest checkpoint, so many times in a row at "
                         "most without a step between them that it had not "
                         "made before; then it fails. Servers that are told "
                         "to stop do not count. 0: the first loss fails it."});
  keys.push_back({.path = "restart.backoff_seconds",
                  .type = KeyType::kNumber,
                  .default_value = "1",
                  .unit = "seconds",
                  .minimum = 0,
                  .below = 1e9,
                  .example = "5",
                  .doc = "Waited before the second restart in a row; twice as "
                         "long before each one after it, a minute at most."});
  keys.push_back({.path = "elastic.min_stages",
                  .type = KeyType::kInteger,
                  .default_value = "0",
                  .unit = "stages",
                  .minimum = 0,
                  .below = 1 << 20,
                  .example = "2",
                  .doc = "A job that starts again and finds too few idle stage "
                         "servers for `partition.stages` goes on with as many "
                         "stages as they can run, but not with fewer than "
                         "these. It has the same bits. Only with "
                         "`weights.policy` `flush`, and without "
                         "`partition.layers` and `schedule.file`. 0: it waits "
                         "for servers."});
  keys.push_back({.path = "elastic.max_stages",
                  .type = KeyType::kInteger,
                  .default_value = "0",
                  .unit = "stages",
                  .minimum = 0,
                  .below = 1 << 20,
                  .example = "8",
                  .doc = "A job that starts again goes on with as many stages "
                         "as idle stage servers can run, but not with more "
                         "than these. The rest as `elastic.min_stages`. 0: as "
                         "`partition.stages` says."});
  keys.push_back({.path = "elastic.grow",
                  .default_value = "false",
                  .choices = {"false", "true"},
                  .example = "true",
                  .doc = "A running job that could have more stages with the "
                         "stage servers that are idle starts again with them "
                         "when its next checkpoint is complete, unless another "
                         "job waits for servers. Does not count for "
                         "`restart.limit`."});
}

std::vector<JobKey> MakeJobKeys() {
  std::vector<JobKey> keys;
  AddModelKeys(keys);
  AddTrainingKeys(keys);
  AddOptimizerKeys(keys);
  AddLearningRateKeys(keys);
  AddLossScaleKeys(keys);
  AddEvaluationKeys(keys);
  AddScheduleKeys(keys);
  AddWeightsKeys(keys);
  AddPartitionKeys(keys);
  AddWireKeys(keys);
  AddCheckpointKeys(keys);
  AddMemoryKeys(keys);
  AddStartKeys(keys);
  AddRestartKeys(keys);
  for (JobKey& key : keys) {
    if (key.field.empty()) key.field = key.path;
  }
  return keys;
}

// "a", "a or b", "a, b or c".
std::string JoinChoices(const std::vector<std::string>& choices) {
  if (choices.size() < 2) return absl::StrJoin(choices, "");
  return absl::StrCat(absl::StrJoin(choices.begin(), choices.end() - 1, ", "),
                      " or ", choices.back());
}

std::string Plain(double number) { return absl::StrCat(number); }

}  // namespace

const std::vector<JobKey>& JobKeys() {
  static const auto* const keys = new std::vector<JobKey>(MakeJobKeys());
  return *keys;
}

const JobKey* FindJobKey(absl::string_view path) {
  for (const JobKey& key : JobKeys()) {
    if (key.path == path) return &key;
  }
  return nullptr;
}

bool IsJobSection(absl::string_view path) {
  const std::string prefix = absl::StrCat(path, ".");
  for (const JobKey& key : JobKeys()) {
    if (absl::StartsWith(key.path, prefix)) return true;
  }
  return false;
}

std::vector<std::string> NamesInSection(absl::string_view section) {
  const std::string prefix = section.empty() ? "" : absl::StrCat(section, ".");
  std::vector<std::string> names;
  for (const JobKey& key : JobKeys()) {
    if (!absl::StartsWith(key.path, prefix)) continue;
    const std::string rest = key.path.substr(prefix.size());
    const std::string name = rest.substr(0, rest.find('.'));
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      names.push_back(name);
    }
  }
  return names;
}

std::string RangeWords(const JobKey& key) {
  if (!key.choices.empty()) return JoinChoices(key.choices);
  const std::string zero =
      key.zero_word.empty() ? "" : absl::StrCat(", or ", key.zero_word);
  if (!key.minimum.has_value()) return "";
  if (key.above_minimum) {
    return absl::StrCat("more than ", Plain(*key.minimum), zero);
  }
  // Bounds that only keep a number in its field are noise to a reader.
  if (key.below.has_value() && *key.below <= 4096) {
    return absl::StrCat("at least ", Plain(*key.minimum), " and less than ",
                        Plain(*key.below), zero);
  }
  return absl::StrCat("at least ", Plain(*key.minimum), zero);
}

std::string TypeName(KeyType type) {
  switch (type) {
    case KeyType::kText:
      return "text";
    case KeyType::kPath:
      return "path";
    case KeyType::kInteger:
      return "integer";
    case KeyType::kNumber:
      return "number";
    case KeyType::kNameMap:
      return "mapping";
    case KeyType::kCounts:
      return "integer or list";
    case KeyType::kLayers:
      return "list of lists";
  }
  return "";
}

std::string Wanted(const JobKey& key) {
  std::string words;
  switch (key.type) {
    case KeyType::kText:
      words = key.choices.empty() ? "a text" : "";
      break;
    case KeyType::kPath:
      words = "a path";
      break;
    case KeyType::kInteger:
      words = "an integer";
      break;
    case KeyType::kNumber:
      words = "a number";
      break;
    case KeyType::kNameMap:
      words = "a mapping of names to values, like {layers: 6}";
      break;
    case KeyType::kCounts:
      words = absl::StrCat("an integer, or a list of some like ", key.example,
                           ", each");
      break;
    case KeyType::kLayers:
      words =
          "a list of stages, each a list of layer names, like "
          "[[embed, h0], [h1, head]]";
      break;
  }
  const std::string range = RangeWords(key);
  if (!range.empty()) {
    const absl::string_view join =
        words.empty() ? "" : (key.above_minimum ? " " : " of ");
    words = absl::StrCat(words, join, range);
  }
  if (!key.unit.empty()) absl::StrAppend(&words, " (", key.unit, ")");
  return words;
}

}  // namespace penstock
