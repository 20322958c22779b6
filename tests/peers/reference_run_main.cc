// Trains a small GPT with the plain loop of tests/parity, once per optimizer,
// and writes what agree_with_torch.py and agree_with_pipelining.py need to do
// the same in PyTorch.
//
//   reference_run FOLDER
//
// makes FOLDER/adamw and FOLDER/sgd, each with reference.json, weights.f32 (the
// initial weights) and batches.i64 (tokens, with the last label: [steps,
// batch, sequence + 1]), and FOLDER/gradients with the same and gradients.f32
// (of the first step, where weights.f32 has the weight).

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "models/data/token_data.h"
#include "models/graph/layer_kinds.h"
#include "models/layers/init.h"
#include "models/zoo/zoo.h"
#include "tests/parity/reference_loop.h"

namespace penstock {
namespace {

constexpr int kSteps = 24;
constexpr int kBatch = 8;
constexpr int kMicrobatches = 4;
constexpr int kSequence = 32;
constexpr int kLayers = 2;
// Of the model that is cut into four stages.
constexpr int kPipelineLayers = 4;
constexpr int kHidden = 64;
constexpr int kHeads = 4;
constexpr int kVocabulary = 64;

// Skewed and with short repeats, so that the loss falls.
std::string Tokens() {
  std::string bytes;
  for (uint64_t i = 0; i < 20000; ++i) {
    const uint64_t draw = RandomKey(3, {i / 3});
    bytes.push_back(static_cast<char>(draw % (1 + draw / 64 % kVocabulary)));
    bytes.push_back('\0');
  }
  return bytes;
}

Job MakeJob(const std::string& optimizer, const std::string& tokens) {
  Job job;
  job.mutable_model()->set_preset("gpt-nano");
  auto& overrides = *job.mutable_model()->mutable_overrides();
  overrides["layers"] = absl::StrCat(kLayers);
  overrides["hidden"] = absl::StrCat(kHidden);
  overrides["heads"] = absl::StrCat(kHeads);
  overrides["vocabulary"] = absl::StrCat(kVocabulary);
  overrides["positions"] = absl::StrCat(kSequence);
  overrides["dropout"] = "0";
  overrides["tied"] = "true";
  job.mutable_data()->set_tokens(tokens);
  job.mutable_data()->set_sequence_length(kSequence);
  job.set_batch_size(kBatch);
  job.set_steps(kSteps);
  job.set_seed(5);
  job.set_dtype("float32");
  job.set_threads(1);
  job.mutable_schedule()->set_microbatches(kMicrobatches);
  job.mutable_learning_rate_schedule()->set_kind("constant");
  OptimizerSpec* const spec = job.mutable_optimizer();
  spec->set_kind(optimizer);
  spec->set_learning_rate(optimizer == "sgd" ? 0.05 : 0.001);
  spec->set_momentum(0.9);
  spec->set_beta1(0.9);
  spec->set_beta2(0.95);
  spec->set_epsilon(1e-8);
  spec->set_weight_decay(0.1);
  spec->set_clip_norm(1.0);
  return job;
}

absl::StatusOr<Graph> GraphOf(const Job& job) {
  return MakeModel(
      {job.model().preset(),
       {job.model().overrides().begin(), job.model().overrides().end()},
       kBatch / kMicrobatches,
       kSequence});
}

void Append(std::string& bytes, const at::Tensor& tensor) {
  bytes.append(static_cast<const char*>(tensor.const_data_ptr()),
               static_cast<size_t>(tensor.nbytes()));
}

nlohmann::json ModelJson(int layers) {
  return {{"layers", layers},
          {"hidden", kHidden},
          {"heads", kHeads},
          {"vocabulary", kVocabulary},
          {"positions", kSequence}};
}

absl::StatusOr<nlohmann::json> WriteWeights(const Job& job,
                                            const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const Graph graph, GraphOf(job));
  std::string bytes;
  nlohmann::json entries = nlohmann::json::array();
  for (const LayerSpec& layer : graph.layers) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<ParameterSpec> parameters,
                              ParametersOf(layer));
    for (const ParameterSpec& parameter : parameters) {
      const at::Tensor value = at::empty(parameter.shape, at::kFloat);
      PENSTOCK_RETURN_IF_ERROR(InitialValue(parameter, job.seed(), value));
      entries.push_back({{"name", parameter.name},
                         {"shape", parameter.shape},
                         {"offset", bytes.size() / sizeof(float)}});
      Append(bytes, value);
    }
  }
  PENSTOCK_RETURN_IF_ERROR(WriteFileAtomically(path, bytes));
  return entries;
}

absl::Status WriteBatches(const Job& job, const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(
      const TokenData data,
      TokenData::Open({job.data().tokens(), kVocabulary, kSequence, kBatch,
                       kBatch / kMicrobatches, job.seed()}));
  std::string bytes;
  for (int step = 0; step < kSteps; ++step) {
    for (int microbatch = 0; microbatch < kMicrobatches; ++microbatch) {
      PENSTOCK_ASSIGN_OR_RETURN(const at::Tensor tokens,
                                data.Tokens(step, microbatch));
      PENSTOCK_ASSIGN_OR_RETURN(const at::Tensor labels,
                                data.Labels(step, microbatch));
      for (int64_t row = 0; row < tokens.size(0); ++row) {
        Append(bytes, tokens[row]);
        Append(bytes, labels[row][kSequence - 1]);
      }
    }
  }
  return WriteFileAtomically(path, bytes);
}

// In the order of `entries`, which WriteWeights returned.
absl::Status WriteGradients(const Job& job, const nlohmann::json& entries,
                            const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const auto gradients, FirstGradients(job));
  std::string bytes;
  for (const nlohmann::json& entry : entries) {
    Append(bytes, gradients.at(entry["name"].get<std::string>()).contiguous());
  }
  return WriteFileAtomically(path, bytes);
}

absl::Status WriteForPipelines(const std::string& folder) {
  PENSTOCK_RETURN_IF_ERROR(MakeFolder(folder));
  const std::string tokens = absl::StrCat(folder, "/tokens.bin");
  PENSTOCK_RETURN_IF_ERROR(WriteFileAtomically(tokens, Tokens()));
  Job job = MakeJob("sgd", tokens);
  auto& overrides = *job.mutable_model()->mutable_overrides();
  overrides["layers"] = absl::StrCat(kPipelineLayers);
  overrides["tied"] = "false";
  PENSTOCK_ASSIGN_OR_RETURN(
      const nlohmann::json parameters,
      WriteWeights(job, absl::StrCat(folder, "/weights.f32")));
  PENSTOCK_RETURN_IF_ERROR(
      WriteBatches(job, absl::StrCat(folder, "/batches.i64")));
  PENSTOCK_RETURN_IF_ERROR(WriteGradients(
      job, parameters, absl::StrCat(folder, "/gradients.f32")));
  const nlohmann::json reference = {{"model", ModelJson(kPipelineLayers)},
                                    {"steps", kSteps},
                                    {"batch_size", kBatch},
                                    {"weights", "weights.f32"},
                                    {"gradients", "gradients.f32"},
                                    {"parameters", parameters},
                                    {"batches", "batches.i64"}};
  return WriteFileAtomically(absl::StrCat(folder, "/reference.json"),
                             reference.dump(2));
}

absl::Status Write(const std::string& optimizer, const std::string& folder) {
  PENSTOCK_RETURN_IF_ERROR(MakeFolder(folder));
  const std::string tokens = absl::StrCat(folder, "/tokens.bin");
  PENSTOCK_RETURN_IF_ERROR(WriteFileAtomically(tokens, Tokens()));
  const Job job = MakeJob(optimizer, tokens);
  PENSTOCK_ASSIGN_OR_RETURN(
      const nlohmann::json parameters,
      WriteWeights(job, absl::StrCat(folder, "/weights.f32")));
  PENSTOCK_RETURN_IF_ERROR(
      WriteBatches(job, absl::StrCat(folder, "/batches.i64")));
  PENSTOCK_ASSIGN_OR_RETURN(const TrainingRecord record,
                            TrainInOneLoop(job, kSteps));
  const OptimizerSpec& spec = job.optimizer();
  const nlohmann::json reference = {
      {"model", ModelJson(kLayers)},
      {"tied", true},
      {"steps", kSteps},
      {"batch_size", kBatch},
      {"optimizer",
       {{"kind", spec.kind()},
        {"learning_rate", spec.learning_rate()},
        {"momentum", spec.momentum()},
        {"beta1", spec.beta1()},
        {"beta2", spec.beta2()},
        {"epsilon", spec.epsilon()},
        {"weight_decay", spec.weight_decay()},
        {"clip_norm", spec.clip_norm()}}},
      {"weights", "weights.f32"},
      {"parameters", parameters},
      {"batches", "batches.i64"},
      {"losses", record.losses},
  };
  return WriteFileAtomically(absl::StrCat(folder, "/reference.json"),
                             reference.dump(2));
}

int Main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: reference_run FOLDER\n", stderr);
    return 2;
  }
  for (const char* optimizer : {"adamw", "sgd"}) {
    const absl::Status status =
        Write(optimizer, absl::StrCat(argv[1], "/", optimizer));
    if (status.ok()) continue;
    std::fprintf(stderr, "reference_run: %s\n", status.ToString().c_str());
    return 1;
  }
  const absl::Status status =
      WriteForPipelines(absl::StrCat(argv[1], "/gradients"));
  if (!status.ok()) {
    std::fprintf(stderr, "reference_run: %s\n", status.ToString().c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) { return penstock::Main(argc, argv); }
