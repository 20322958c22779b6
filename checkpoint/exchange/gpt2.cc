#include "checkpoint/exchange/gpt2.h"

#include <cctype>
#include <cstring>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "checkpoint/exchange/export_folder.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/manifest/manifest.h"
#include "checkpoint/safetensors/header.h"
#include "nlohmann/json.hpp"

namespace penstock {
namespace {

constexpr char kWeightsFile[] = "model.safetensors";
constexpr char kConfigFile[] = "config.json";
// models/layers: LayerNorm's.
constexpr double kNormEpsilon = 1e-5;

// One group of parameters: "<ours>.weight" and, if there is one, ".bias".
struct Row {
  const char* ours;
  const char* theirs;
  bool is_transposed;
};
constexpr Row kModelRows[] = {
    {"embed.token", "transformer.wte", false},
    {"embed.position", "transformer.wpe", false},
    {"final_norm", "transformer.ln_f", false},
    {"head", "lm_head", false},
};
// After "h<i>." and "transformer.h.<i>.".
constexpr Row kBlockRows[] = {
    {"attn.norm", "ln_1", false},
    {"attn.qkv", "attn.c_attn", true},
    {"attn.projection", "attn.c_proj", true},
    {"mlp.norm", "ln_2", false},
    {"mlp.up", "mlp.c_fc", true},
    {"mlp.down", "mlp.c_proj", true},
};

// "h12." off the front; its digits.
std::optional<std::string> ConsumeBlock(absl::string_view& name) {
  absl::string_view rest = name;
  if (!absl::ConsumePrefix(&rest, "h")) return std::nullopt;
  size_t digits = 0;
  while (digits < rest.size() &&
         std::isdigit(static_cast<unsigned char>(rest[digits]))) {
    ++digits;
  }
  if (digits == 0 || digits == rest.size() || rest[digits] != '.') {
    return std::nullopt;
  }
  name = rest.substr(digits + 1);
  return std::string(rest.substr(0, digits));
}

template <size_t count>
std::optional<ForeignTensor> Find(const Row (&rows)[count],
                                  const std::string& prefix,
                                  absl::string_view group, bool is_weight) {
  for (const Row& row : rows) {
    if (group != row.ours) continue;
    return ForeignTensor{
        absl::StrCat(prefix, row.theirs, is_weight ? ".weight" : ".bias"),
        row.is_transposed && is_weight};
  }
  return std::nullopt;
}

// A tensor on its way.
struct Move {
  const ShardFile* file = nullptr;
  const ShardTensor* tensor = nullptr;
  ForeignTensor there;
};

absl::StatusOr<std::vector<Move>> PlanMoves(
    const CheckpointManifest& manifest) {
  std::vector<Move> moves;
  for (const ShardFile& file : manifest.files()) {
    if (file.kind() != ShardFile::WEIGHTS) continue;
    for (const ShardTensor& tensor : file.tensors()) {
      std::optional<ForeignTensor> there = Gpt2Tensor(tensor.name());
      if (!there.has_value() ||
          tensor.type() != StoredTypeName(StoredType::kFloat32) ||
          (there->is_transposed && tensor.shape_size() != 2)) {
        return absl::FailedPreconditionError(absl::StrCat(
            "the checkpoint of ", Describe(manifest.id()), " is of no GPT-2: ",
            "\"", tensor.name(), "\" has no place in one; leave --format out"));
      }
      moves.push_back({&file, &tensor, *std::move(there)});
    }
  }
  return moves;
}

absl::StatusOr<std::string> HeaderOf(const std::vector<Move>& moves) {
  SafetensorsHeader header;
  // Without it `transformers` refuses the file.
  header.metadata["format"] = "pt";
  for (const Move& move : moves) {
    const auto& shape = move.tensor->shape();
    StoredTensor& tensor = header.tensors.emplace_back();
    tensor.name = move.there.name;
    tensor.shape.assign(shape.begin(), shape.end());
    if (move.there.is_transposed) std::swap(tensor.shape[0], tensor.shape[1]);
  }
  return EncodeHeader(header);
}

absl::StatusOr<std::string> ConfigOf(const std::vector<Move>& moves,
                                     const CheckpointId& id, int64_t heads) {
  nlohmann::ordered_json config = {
      {"architectures", nlohmann::ordered_json::array({"GPT2LMHeadModel"})},
      {"model_type", "gpt2"},
      {"activation_function", "gelu_new"},
      {"layer_norm_epsilon", kNormEpsilon},
      {"n_head", heads},
      {"n_inner", nullptr},
      {"bos_token_id", nullptr},
      {"eos_token_id", nullptr},
      {"torch_dtype", "float32"},
      {"tie_word_embeddings", true}};
  std::set<absl::string_view> blocks;
  for (const Move& move : moves) {
    const ShardTensor& tensor = *move.tensor;
    if (tensor.name() == "embed.token.weight" && tensor.shape_size() == 2) {
      config["vocab_size"] = tensor.shape(0);
      config["n_embd"] = tensor.shape(1);
    } else if (tensor.name() == "embed.position.weight") {
      config["n_positions"] = tensor.shape(0);
    } else if (tensor.name() == "head.weight") {
      config["tie_word_embeddings"] = false;
    } else if (absl::EndsWith(tensor.name(), ".attn.norm.weight")) {
      blocks.insert(move.there.name);
    }
  }
  config["n_layer"] = blocks.size();
  if (config.contains("n_embd") && config.contains("n_positions")) {
    return config.dump(2) + "\n";
  }
  return absl::FailedPreconditionError(
      absl::StrCat("the checkpoint of ", Describe(id),
                   " is of no GPT-2: it has no embed.token.weight or no "
                   "embed.position.weight; leave --format out"));
}

absl::StatusOr<std::string> ReadTensor(const ShardStore& store,
                                       const CheckpointId& id,
                                       const Move& move) {
  const ShardTensor& tensor = *move.tensor;
  PENSTOCK_ASSIGN_OR_RETURN(std::string bytes, store.Read(id, move.file->name(),
                                                          tensor.offset_bytes(),
                                                          tensor.size_bytes()));
  if (Crc32c(bytes, 0) != tensor.crc32c()) {
    return absl::DataLossError(absl::StrCat(
        move.file->name(), " of the checkpoint of ", Describe(id), ": the ",
        "checksum of \"", tensor.name(), "\" is not the manifest's"));
  }
  if (!move.there.is_transposed) return bytes;
  return TransposedBytes(bytes, tensor.shape(1),
                         StoredTypeBytes(StoredType::kFloat32));
}

}  // namespace

std::optional<ForeignTensor> Gpt2Tensor(absl::string_view parameter) {
  absl::string_view group = parameter;
  const bool is_weight = absl::ConsumeSuffix(&group, ".weight");
  if (!is_weight && !absl::ConsumeSuffix(&group, ".bias")) return std::nullopt;
  if (const auto block = ConsumeBlock(group)) {
    return Find(kBlockRows, absl::StrCat("transformer.h.", *block, "."), group,
                is_weight);
  }
  return Find(kModelRows, "", group, is_weight);
}

std::string TransposedBytes(absl::string_view bytes, int64_t columns,
                            int64_t element_bytes) {
  std::string turned(bytes.size(), '\0');
  if (bytes.empty()) return turned;
  const int64_t rows =
      static_cast<int64_t>(bytes.size()) / (columns * element_bytes);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      std::memcpy(turned.data() + (column * rows + row) * element_bytes,
                  bytes.data() + (row * columns + column) * element_bytes,
                  element_bytes);
    }
  }
  return turned;
}

absl::Status ExportGpt2(const ShardStore& store,
                        const CheckpointManifest& manifest, int64_t heads,
                        FileSystem& files, const std::string& folder,
                        const std::function<bool(int64_t, int64_t)>& report) {
  PENSTOCK_RETURN_IF_ERROR(ValidateManifest(manifest));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<Move> moves, PlanMoves(manifest));
  PENSTOCK_ASSIGN_OR_RETURN(const std::string config,
                            ConfigOf(moves, manifest.id(), heads));
  PENSTOCK_RETURN_IF_ERROR(PrepareExportFolder(files, folder));
  PENSTOCK_ASSIGN_OR_RETURN(const std::string start, HeaderOf(moves));
  int64_t total_bytes = 0;
  for (const Move& move : moves) total_bytes += move.tensor->size_bytes();
  PENSTOCK_ASSIGN_OR_RETURN(
      const std::unique_ptr<WritableFile> file,
      files.Create(absl::StrCat(folder, "/", kWeightsFile)));
  PENSTOCK_RETURN_IF_ERROR(file->Append(start));
  int64_t done_bytes = 0;
  for (const Move& move : moves) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::string bytes,
                              ReadTensor(store, manifest.id(), move));
    PENSTOCK_RETURN_IF_ERROR(file->Append(bytes));
    done_bytes += static_cast<int64_t>(bytes.size());
    if (report && !report(done_bytes, total_bytes)) {
      return absl::CancelledError(
          absl::StrCat("copied ", done_bytes, " of ", total_bytes, " bytes"));
    }
  }
  PENSTOCK_RETURN_IF_ERROR(file->Sync());
  return PublishFile(files, absl::StrCat(folder, "/", kConfigFile), config);
}

}  // namespace penstock
