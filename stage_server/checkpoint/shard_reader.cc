#include "stage_server/checkpoint/shard_reader.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/safetensors/header.h"
#include "checkpoint/shards/corruption.h"

namespace penstock {
namespace {

constexpr int64_t kPieceBytes = int64_t{4} << 20;
// Differences that a message names.
constexpr size_t kMaxNamed = 8;

// A layer by its name, and what of it.
using FileKey = std::pair<std::string, ShardFile::Kind>;

struct Found {
  const ShardFile* file = nullptr;
  std::map<std::string, const ShardTensor*> tensors;
};
using FoundFiles = std::map<FileKey, Found>;

absl::string_view NameOf(ShardFile::Kind kind) {
  switch (kind) {
    case ShardFile::OPTIMIZER:
      return "optimizer state";
    case ShardFile::OLDER_VERSIONS:
      return "older weight versions";
    default:
      return "weights";
  }
}

template <typename Shape>
std::string TypeAndShape(absl::string_view type, const Shape& shape) {
  return absl::StrCat(type, " [", absl::StrJoin(shape, ", "), "]");
}

FileKey KeyOf(const StateTensor& tensor) {
  return {tensor.layer_name, tensor.kind};
}

FoundFiles Index(const RestorePoint& point) {
  FoundFiles files;
  for (const ShardFile& file : point.files()) {
    Found& found = files[{file.layer_name(), file.kind()}];
    found.file = &file;
    for (const ShardTensor& tensor : file.tensors()) {
      found.tensors[tensor.name()] = &tensor;
    }
  }
  return files;
}

// What keeps the tensor from being read, or nothing.
std::string DifferenceOf(const StateTensor& want, const Found& found) {
  const auto tensor = found.tensors.find(want.name);
  if (tensor == found.tensors.end()) {
    return absl::StrCat("\"", want.name, "\" is missing");
  }
  const ShardTensor& got = *tensor->second;
  const std::string has = TypeAndShape(got.type(), got.shape());
  const std::string wanted =
      TypeAndShape(StoredTypeName(want.type), want.shape);
  if (has == wanted) return "";
  return absl::StrCat("\"", want.name, "\" is ", has, ", the model has ",
                      wanted);
}

// How model and checkpoint differ, layer by layer; nothing where they do not.
std::vector<std::string> DifferencesOf(
    absl::Span<const StateSlot> slots,
    absl::Span<const std::string> layer_names, const FoundFiles& files) {
  std::vector<std::string> differences;
  std::set<FileKey> missing;
  std::map<FileKey, std::set<std::string>> wanted;
  for (const StateSlot& slot : slots) {
    const FileKey key = KeyOf(slot.tensor);
    const auto found = files.find(key);
    if (found == files.end()) {
      if (missing.insert(key).second) {
        differences.push_back(absl::StrCat("it has no ", NameOf(key.second),
                                           " of layer \"", key.first, "\""));
      }
      continue;
    }
    if (!slot.is_borrowed) wanted[key].insert(slot.tensor.name);
    std::string difference = DifferenceOf(slot.tensor, found->second);
    if (!difference.empty()) differences.push_back(std::move(difference));
  }
  for (const auto& [key, names] : wanted) {
    for (const auto& [name, tensor] : files.at(key).tensors) {
      if (names.contains(name)) continue;
      differences.push_back(
          absl::StrCat("\"", name, "\" is nothing of the model's"));
    }
  }
  for (const auto& [key, found] : files) {
    if (key.second != ShardFile::WEIGHTS) continue;
    if (std::find(layer_names.begin(), layer_names.end(), key.first) ==
        layer_names.end()) {
      differences.push_back(
          absl::StrCat("layer \"", key.first, "\" is not in the model"));
    }
  }
  return differences;
}

}  // namespace

absl::Status ShardReader::Fill(absl::Span<const StateSlot> slots,
                               absl::Span<const std::string> layer_names) {
  const FoundFiles files = Index(point_);
  std::vector<std::string> differences =
      DifferencesOf(slots, layer_names, files);
  if (!differences.empty()) {
    const size_t more =
        differences.size() - std::min(differences.size(), kMaxNamed);
    differences.resize(differences.size() - more);
    // A state in memory is the job's own: what it lacks is in another part.
    if (point_.has_memory()) {
      return absl::DataLossError(absl::StrCat(
          kLostMemory, Describe(point_.checkpoint()), ", in ",
          point_.memory().parts_size(),
          " parts, is not all there: ", absl::StrJoin(differences, "; "),
          more > 0 ? absl::StrCat("; and ", more, " more") : ""));
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "the job's model or optimizer is not that of the checkpoint of ",
        Describe(point_.checkpoint()), ": ", absl::StrJoin(differences, "; "),
        more > 0 ? absl::StrCat("; and ", more, " more") : ""));
  }
  for (const StateSlot& slot : slots) {
    const Found& found = files.at(KeyOf(slot.tensor));
    PENSTOCK_RETURN_IF_ERROR(
        FillOne(*found.file, *found.tensors.at(slot.tensor.name), slot.into));
  }
  return absl::OkStatus();
}

absl::Status ShardReader::FillOne(const ShardFile& file,
                                  const ShardTensor& tensor,
                                  absl::Span<std::byte> into) const {
  const std::string where =
      absl::StrCat(Describe(point_.checkpoint()), ", file ", file.name(),
                   ", tensor \"", tensor.name(), "\": ");
  const bool of_memory = point_.has_memory();
  const auto corrupt = [&](absl::string_view what) {
    return absl::DataLossError(absl::StrCat(
        of_memory ? kLostMemory : kCorruptCheckpoint, where, what));
  };
  const auto size = static_cast<int64_t>(into.size());
  if (tensor.size_bytes() != size) {
    return corrupt(absl::StrCat("the manifest gives it ", tensor.size_bytes(),
                                " bytes, its shape takes ", size));
  }
  uint32_t checksum = 0;
  for (int64_t done = 0; done < size;) {
    const int64_t piece = std::min(kPieceBytes, size - done);
    const absl::StatusOr<std::string> bytes = store_.Read(
        point_.checkpoint(), file.name(), tensor.offset_bytes() + done, piece);
    if (absl::IsDataLoss(bytes.status()) || absl::IsNotFound(bytes.status()) ||
        absl::IsOutOfRange(bytes.status()) ||
        (of_memory && !bytes.ok() && !absl::IsCancelled(bytes.status()))) {
      return corrupt(bytes.status().message());
    }
    if (!bytes.ok()) {
      return absl::Status(bytes.status().code(),
                          absl::StrCat("reading the checkpoint of ", where,
                                       bytes.status().message()));
    }
    if (static_cast<int64_t>(bytes->size()) != piece) {
      return corrupt(absl::StrCat(bytes->size(), " bytes came, want ", piece));
    }
    std::memcpy(into.data() + done, bytes->data(), bytes->size());
    checksum = Crc32c(*bytes, checksum);
    done += piece;
  }
  if (checksum == tensor.crc32c()) return absl::OkStatus();
  return corrupt(absl::StrFormat("its checksum is %08x, the manifest has %08x",
                                 checksum, tensor.crc32c()));
}

}  // namespace penstock
