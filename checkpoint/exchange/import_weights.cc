#include "checkpoint/exchange/import_weights.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "checkpoint/exchange/half_precision.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/safetensors/header.h"
#include "nlohmann/json.hpp"

namespace penstock {
namespace {

constexpr char kSingleFile[] = "model.safetensors";
constexpr size_t kPieceBytes = size_t{1} << 20;
constexpr size_t kMaxDifferencesShown = 10;

absl::Status Damaged(const std::string& path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(path, ": ", what));
}

// A tensor as it is in its file.
struct Source {
  StoredTensor tensor;
  absl::string_view bytes;
};

// Files and what is in them, by name.
struct Sources {
  std::vector<std::unique_ptr<MappedFile>> files;
  std::map<std::string, Source> tensors;
};

absl::Status AddFile(const std::string& path, Sources& sources) {
  PENSTOCK_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::Open(path));
  auto file = std::make_unique<MappedFile>(std::move(mapped));
  const absl::string_view bytes(
      reinterpret_cast<const char*>(file->bytes().data()),
      file->bytes().size());
  if (bytes.size() < static_cast<size_t>(kHeaderLengthBytes)) {
    return Damaged(path, "is too short for a header");
  }
  const absl::StatusOr<int64_t> length =
      ParseHeaderLength(bytes.substr(0, kHeaderLengthBytes), bytes.size());
  if (!length.ok()) return Damaged(path, length.status().message());
  const absl::string_view data = bytes.substr(kHeaderLengthBytes + *length);
  const absl::StatusOr<SafetensorsHeader> header =
      ParseHeader(bytes.substr(kHeaderLengthBytes, *length), data.size());
  if (!header.ok()) return Damaged(path, header.status().message());
  for (const StoredTensor& tensor : header->tensors) {
    const Source source = {
        tensor, data.substr(tensor.begin, tensor.end - tensor.begin)};
    if (!sources.tensors.emplace(tensor.name, source).second) {
      return Damaged(
          path, absl::StrCat("\"", tensor.name, "\" is in another file too"));
    }
  }
  sources.files.push_back(std::move(file));
  return absl::OkStatus();
}

// The files that an index names, each once.
absl::StatusOr<std::vector<std::string>> FilesOfIndex(const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  const nlohmann::json index =
      nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!index.is_object() || !index.contains("weight_map") ||
      !index["weight_map"].is_object()) {
    return Damaged(path, "has no \"weight_map\"");
  }
  std::vector<std::string> names;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    if (!file.is_string()) return Damaged(path, "names a file by no text");
    const auto name = file.get<std::string>();
    if (name.empty() || name == ".." || absl::StrContains(name, '/') ||
        absl::StrContains(name, '\0')) {
      return Damaged(path, absl::StrCat("names the file \"", name,
                                        "\", which is not beside it"));
    }
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

absl::StatusOr<Sources> FindSources(const std::string& path) {
  Sources sources;
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    PENSTOCK_RETURN_IF_ERROR(AddFile(path, sources));
    return sources;
  }
  const std::string index = absl::StrCat(path, "/", kWeightIndexFile);
  std::vector<std::string> names = {kSingleFile};
  if (std::filesystem::exists(index, error)) {
    PENSTOCK_ASSIGN_OR_RETURN(names, FilesOfIndex(index));
  }
  for (const std::string& name : names) {
    PENSTOCK_RETURN_IF_ERROR(AddFile(absl::StrCat(path, "/", name), sources));
  }
  return sources;
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

absl::Status CheckAllThere(const Sources& sources,
                           const std::vector<ExpectedLayer>& layers,
                           const std::string& path) {
  std::vector<std::string> differences;
  for (const ExpectedLayer& layer : layers) {
    for (const ExpectedLayer::Tensor& wanted : layer.tensors) {
      const auto it = sources.tensors.find(wanted.name);
      if (it == sources.tensors.end()) {
        differences.push_back(absl::StrCat("\"", wanted.name, "\" is missing"));
      } else if (it->second.tensor.shape != wanted.shape) {
        differences.push_back(absl::StrCat("\"", wanted.name, "\" has shape ",
                                           ShapeText(it->second.tensor.shape),
                                           ", wanted ",
                                           ShapeText(wanted.shape)));
      }
    }
  }
  if (differences.empty()) return absl::OkStatus();
  const size_t num_shown = std::min(differences.size(), kMaxDifferencesShown);
  const size_t num_more = differences.size() - num_shown;
  differences.resize(num_shown);
  return absl::FailedPreconditionError(absl::StrCat(
      path, ": ", absl::StrJoin(differences, "; "),
      num_more > 0 ? absl::StrCat("; and ", num_more, " more") : ""));
}

StoredType TypeInStore(StoredType type) {
  return type == StoredType::kInt64 ? type : StoredType::kFloat32;
}

// As the store has it.
std::string Widened(absl::string_view bytes, StoredType type) {
  if (TypeInStore(type) == type) return std::string(bytes);
  std::string wide(bytes.size() * 2, '\0');
  for (size_t i = 0; i < bytes.size() / 2; ++i) {
    uint16_t bits;
    std::memcpy(&bits, bytes.data() + 2 * i, sizeof(bits));
    const float value =
        type == StoredType::kFloat16 ? FloatOfHalf(bits) : FloatOfBFloat(bits);
    std::memcpy(wide.data() + 4 * i, &value, sizeof(value));
  }
  return wide;
}

// Sends one file, and says what it is.
absl::StatusOr<ShardFile> SendLayer(const ExpectedLayer& layer,
                                    const Sources& sources,
                                    const CheckpointId& checkpoint,
                                    ShardStore& store) {
  SafetensorsHeader header;
  for (const ExpectedLayer::Tensor& wanted : layer.tensors) {
    const StoredTensor& tensor = sources.tensors.at(wanted.name).tensor;
    header.tensors.push_back(
        {tensor.name, TypeInStore(tensor.type), tensor.shape});
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::string start, EncodeHeader(header));
  ShardFile file;
  file.set_layer(layer.layer);
  file.set_layer_name(layer.name);
  file.set_kind(ShardFile::WEIGHTS);
  file.set_name(ShardFileName(layer.layer, layer.name, file.kind()));
  int64_t end = start.size();
  for (const StoredTensor& tensor : header.tensors) {
    const Source& source = sources.tensors.at(tensor.name);
    ShardTensor& row = *file.add_tensors();
    row.set_name(tensor.name);
    row.set_type(std::string(StoredTypeName(tensor.type)));
    row.mutable_shape()->Add(tensor.shape.begin(), tensor.shape.end());
    row.set_offset_bytes(end);
    row.set_size_bytes(source.bytes.size() /
                       StoredTypeBytes(source.tensor.type) *
                       StoredTypeBytes(tensor.type));
    end += row.size_bytes();
  }
  file.set_size_bytes(end);
  PENSTOCK_ASSIGN_OR_RETURN(const auto upload,
                            store.Begin(checkpoint, file.name(), end));
  PENSTOCK_RETURN_IF_ERROR(upload->Append(start));
  for (ShardTensor& row : *file.mutable_tensors()) {
    const Source& source = sources.tensors.at(row.name());
    uint32_t crc = 0;
    for (size_t at = 0; at < source.bytes.size(); at += kPieceBytes) {
      const std::string piece =
          Widened(source.bytes.substr(at, kPieceBytes), source.tensor.type);
      crc = Crc32c(piece, crc);
      PENSTOCK_RETURN_IF_ERROR(upload->Append(piece));
    }
    row.set_crc32c(crc);
  }
  PENSTOCK_ASSIGN_OR_RETURN(const StoredFile stored, upload->Finish());
  file.set_crc32c(stored.crc32c);
  return file;
}

}  // namespace

absl::StatusOr<std::vector<ShardFile>> ImportWeights(
    const std::string& path, const std::vector<ExpectedLayer>& layers,
    const CheckpointId& checkpoint, ShardStore& store) {
  PENSTOCK_ASSIGN_OR_RETURN(const Sources sources, FindSources(path));
  PENSTOCK_RETURN_IF_ERROR(CheckAllThere(sources, layers, path));
  std::vector<ShardFile> files;
  for (const ExpectedLayer& layer : layers) {
    PENSTOCK_ASSIGN_OR_RETURN(ShardFile file,
                              SendLayer(layer, sources, checkpoint, store));
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace penstock
