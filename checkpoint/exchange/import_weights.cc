#include "checkpoint/exchange/import_weights.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "checkpoint/exchange/gpt2.h"
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

StoredType TypeInStore(StoredType type) {
  return type == StoredType::kInt64 ? type : StoredType::kFloat32;
}

// Where a tensor that is wanted comes from.
struct Pick {
  const Source* source = nullptr;
  bool is_transposed = false;

  // As the store has it.
  StoredType type() const { return TypeInStore(source->tensor.type); }
  int64_t size_bytes() const {
    return static_cast<int64_t>(source->bytes.size()) /
           StoredTypeBytes(source->tensor.type) * StoredTypeBytes(type());
  }
};
// By the name that is wanted.
using Picks = std::map<std::string, Pick>;

absl::StatusOr<Pick> PickTensor(const Sources& sources, WeightNames names,
                                const ExpectedLayer::Tensor& wanted) {
  ForeignTensor foreign{wanted.name, false};
  if (names == WeightNames::kGpt2) {
    std::optional<ForeignTensor> gpt2 = Gpt2Tensor(wanted.name);
    if (!gpt2.has_value()) {
      return absl::FailedPreconditionError(
          absl::StrCat("\"", wanted.name, "\" is in no GPT-2"));
    }
    foreign = *std::move(gpt2);
  }
  auto found = sources.tensors.find(foreign.name);
  if (found == sources.tensors.end() && names == WeightNames::kGpt2) {
    found = sources.tensors.find(
        std::string(absl::StripPrefix(foreign.name, "transformer.")));
  }
  if (found == sources.tensors.end()) {
    return absl::FailedPreconditionError(
        absl::StrCat("\"", foreign.name, "\" is missing"));
  }
  std::vector<int64_t> shape = wanted.shape;
  if (foreign.is_transposed) std::reverse(shape.begin(), shape.end());
  const Source& source = found->second;
  if (source.tensor.shape == shape) return Pick{&source, foreign.is_transposed};
  return absl::FailedPreconditionError(absl::StrCat(
      "\"", found->first, "\" has shape ", ShapeText(source.tensor.shape),
      ", wanted ", ShapeText(shape)));
}

absl::StatusOr<Picks> PickAll(const Sources& sources, WeightNames names,
                              const std::vector<ExpectedLayer>& layers,
                              const std::string& path) {
  Picks picks;
  std::vector<std::string> differences;
  for (const ExpectedLayer& layer : layers) {
    for (const ExpectedLayer::Tensor& wanted : layer.tensors) {
      const absl::StatusOr<Pick> pick = PickTensor(sources, names, wanted);
      if (pick.ok()) {
        picks[wanted.name] = *pick;
      } else {
        differences.emplace_back(pick.status().message());
      }
    }
  }
  if (differences.empty()) return picks;
  const size_t num_shown = std::min(differences.size(), kMaxDifferencesShown);
  const size_t num_more = differences.size() - num_shown;
  differences.resize(num_shown);
  return absl::FailedPreconditionError(absl::StrCat(
      path, ": ", absl::StrJoin(differences, "; "),
      num_more > 0 ? absl::StrCat("; and ", num_more, " more") : ""));
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

// One file on its way into the store.
class LayerSender {
 public:
  // `picks` has what `layer` wants; both must outlive it.
  LayerSender(const ExpectedLayer& layer, const Picks& picks)
      : layer_(layer), picks_(picks) {}

  // Sends it, and says what it is. `sent` is told of bytes on their way; false
  // ends the work.
  absl::StatusOr<ShardFile> Send(const CheckpointId& checkpoint,
                                 ShardStore& store,
                                 const std::function<bool(int64_t)>& sent) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::string start, Describe());
    PENSTOCK_ASSIGN_OR_RETURN(
        const auto upload,
        store.Begin(checkpoint, file_.name(), file_.size_bytes()));
    PENSTOCK_RETURN_IF_ERROR(upload->Append(start));
    for (ShardTensor& row : *file_.mutable_tensors()) {
      PENSTOCK_RETURN_IF_ERROR(SendTensor(*upload, row, sent));
    }
    PENSTOCK_ASSIGN_OR_RETURN(const StoredFile stored, upload->Finish());
    file_.set_crc32c(stored.crc32c);
    return file_;
  }

 private:
  // Fills `file_`, but for checksums; what the file begins with.
  absl::StatusOr<std::string> Describe() {
    SafetensorsHeader header;
    for (const ExpectedLayer::Tensor& wanted : layer_.tensors) {
      header.tensors.push_back(
          {wanted.name, picks_.at(wanted.name).type(), wanted.shape});
    }
    PENSTOCK_ASSIGN_OR_RETURN(const std::string start, EncodeHeader(header));
    file_.set_layer(layer_.layer);
    file_.set_layer_name(layer_.name);
    file_.set_kind(ShardFile::WEIGHTS);
    file_.set_name(ShardFileName(layer_.layer, layer_.name, file_.kind()));
    int64_t end = static_cast<int64_t>(start.size());
    for (const StoredTensor& tensor : header.tensors) {
      ShardTensor& row = *file_.add_tensors();
      row.set_name(tensor.name);
      row.set_type(std::string(StoredTypeName(tensor.type)));
      row.mutable_shape()->Add(tensor.shape.begin(), tensor.shape.end());
      row.set_offset_bytes(end);
      row.set_size_bytes(picks_.at(tensor.name).size_bytes());
      end += row.size_bytes();
    }
    file_.set_size_bytes(end);
    return start;
  }

  absl::Status SendTensor(ShardUpload& upload, ShardTensor& row,
                          const std::function<bool(int64_t)>& sent) {
    const Pick& pick = picks_.at(row.name());
    absl::string_view bytes = pick.source->bytes;
    const StoredType type = pick.source->tensor.type;
    std::string turned;
    if (pick.is_transposed) {
      turned = TransposedBytes(bytes, pick.source->tensor.shape[1],
                               StoredTypeBytes(type));
      bytes = turned;
    }
    uint32_t crc = 0;
    for (size_t at = 0; at < bytes.size(); at += kPieceBytes) {
      const std::string piece = Widened(bytes.substr(at, kPieceBytes), type);
      crc = Crc32c(piece, crc);
      PENSTOCK_RETURN_IF_ERROR(upload.Append(piece));
      if (!sent(static_cast<int64_t>(piece.size()))) {
        return absl::CancelledError("the import was cut short");
      }
    }
    row.set_crc32c(crc);
    return absl::OkStatus();
  }

  const ExpectedLayer& layer_;
  const Picks& picks_;
  ShardFile file_;
};

}  // namespace

absl::StatusOr<std::vector<ShardFile>> ImportWeights(
    const std::string& path, const std::vector<ExpectedLayer>& layers,
    const CheckpointId& checkpoint, ShardStore& store, WeightNames names,
    const std::function<bool(int64_t, int64_t)>& report) {
  PENSTOCK_ASSIGN_OR_RETURN(const Sources sources, FindSources(path));
  PENSTOCK_ASSIGN_OR_RETURN(const Picks picks,
                            PickAll(sources, names, layers, path));
  int64_t total_bytes = 0;
  for (const auto& [name, pick] : picks) total_bytes += pick.size_bytes();
  int64_t done_bytes = 0;
  const auto sent = [&](int64_t bytes) {
    done_bytes += bytes;
    return !report || report(done_bytes, total_bytes);
  };
  std::vector<ShardFile> files;
  for (const ExpectedLayer& layer : layers) {
    PENSTOCK_ASSIGN_OR_RETURN(
        ShardFile file,
        LayerSender(layer, picks).Send(checkpoint, store, sent));
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace penstock
