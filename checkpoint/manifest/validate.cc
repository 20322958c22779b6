#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/manifest/manifest.h"
#include "checkpoint/safetensors/header.h"

namespace penstock {
namespace {

constexpr StoredType kTypes[] = {StoredType::kFloat32, StoredType::kFloat16,
                                 StoredType::kBFloat16, StoredType::kInt64};

// What has been seen of the files before the one that is looked at.
struct Seen {
  std::set<std::string> files;
  std::pair<int, int> layer_and_kind = {-1, 0};
  // By kind.
  std::map<int, std::set<std::string>> tensors;
};

absl::Status Damaged(absl::string_view where, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("manifest: ", where, ": ", what));
}

std::string Where(const ShardFile& file) {
  return absl::StrCat("file \"", absl::CHexEscape(file.name()), "\"");
}

std::string Where(const ShardFile& file, const ShardTensor& tensor) {
  return absl::StrCat(Where(file), ", tensor \"",
                      absl::CHexEscape(tensor.name()), "\"");
}

std::optional<StoredType> TypeOf(absl::string_view name) {
  for (const StoredType type : kTypes) {
    if (StoredTypeName(type) == name) return type;
  }
  return std::nullopt;
}

// Nothing when it is negative or more than 64 bits count.
std::optional<int64_t> BytesOf(const ShardTensor& tensor, StoredType type) {
  int64_t bytes = StoredTypeBytes(type);
  for (const int64_t size : tensor.shape()) {
    if (size < 0) return std::nullopt;
    if (__builtin_mul_overflow(bytes, size, &bytes)) return std::nullopt;
  }
  return bytes;
}

// `end` is where the tensor before it ends, and is moved on.
absl::Status ValidateTensor(const ShardFile& file, const ShardTensor& tensor,
                            Seen& seen, int64_t& end) {
  const std::string where = Where(file, tensor);
  if (tensor.name().empty()) return Damaged(where, "has no name");
  if (!seen.tensors[file.kind()].insert(tensor.name()).second) {
    return Damaged(where, "is there twice");
  }
  const std::optional<StoredType> type = TypeOf(tensor.type());
  if (!type.has_value()) {
    return absl::UnimplementedError(absl::StrCat(
        "manifest: ", where, ": type \"", absl::CHexEscape(tensor.type()),
        "\" is none of F32, F16, BF16, I64"));
  }
  const std::optional<int64_t> bytes = BytesOf(tensor, *type);
  if (!bytes.has_value()) return Damaged(where, "has no shape that can be");
  if (*bytes != tensor.size_bytes()) {
    return Damaged(where, absl::StrCat("its type and shape want ", *bytes,
                                       " bytes, got ", tensor.size_bytes()));
  }
  if (tensor.offset_bytes() < end) {
    return Damaged(
        where, absl::StrCat("begins at byte ", tensor.offset_bytes(),
                            ", wanted ", end, " or later: bytes ", "overlap"));
  }
  if (tensor.offset_bytes() > file.size_bytes() ||
      *bytes > file.size_bytes() - tensor.offset_bytes()) {
    return Damaged(where, absl::StrCat("ends beyond the file's ",
                                       file.size_bytes(), " bytes"));
  }
  end = tensor.offset_bytes() + *bytes;
  return absl::OkStatus();
}

absl::Status ValidateFile(const ShardFile& file, Seen& seen) {
  const std::string where = Where(file);
  const absl::StatusOr<ShardName> name = ParseShardFileName(file.name());
  if (!name.ok()) return Damaged(where, name.status().message());
  if (name->layer != file.layer() || name->kind != file.kind()) {
    return Damaged(
        where, absl::StrCat("is said to be of layer ", file.layer(), ", kind ",
                            file.kind(), "; its name says otherwise"));
  }
  if (!seen.files.insert(file.name()).second) {
    return Damaged(where, "is there twice");
  }
  const std::pair<int, int> place = {file.layer(), file.kind()};
  if (place == seen.layer_and_kind) {
    return Damaged(where, "is the second of its layer and kind");
  }
  if (place < seen.layer_and_kind) {
    return Damaged(where, "is not in the order of layers and kinds");
  }
  seen.layer_and_kind = place;
  if (file.size_bytes() < kHeaderLengthBytes) {
    return Damaged(where, absl::StrCat("has ", file.size_bytes(),
                                       " bytes, wanted a header"));
  }
  int64_t end = kHeaderLengthBytes;
  for (const ShardTensor& tensor : file.tensors()) {
    PENSTOCK_RETURN_IF_ERROR(ValidateTensor(file, tensor, seen, end));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateManifest(const CheckpointManifest& manifest) {
  if (manifest.format_version() > kCheckpointFormatVersion) {
    return absl::UnimplementedError(
        absl::StrCat("the checkpoint has format version ",
                     manifest.format_version(), ", this build reads up to ",
                     kCheckpointFormatVersion, "; use a newer Penstock"));
  }
  if (manifest.format_version() < 1) {
    return Damaged("format_version", absl::StrCat("wanted 1 or more, got ",
                                                  manifest.format_version()));
  }
  if (const absl::Status id = CheckCheckpointId(manifest.id()); !id.ok()) {
    return Damaged("id", id.message());
  }
  if (manifest.state().step() != manifest.id().step()) {
    return Damaged("state", absl::StrCat("is of step ", manifest.state().step(),
                                         ", wanted ", manifest.id().step()));
  }
  Seen seen;
  int64_t total = 0;
  for (const ShardFile& file : manifest.files()) {
    PENSTOCK_RETURN_IF_ERROR(ValidateFile(file, seen));
    if (__builtin_add_overflow(total, file.size_bytes(), &total)) {
      return Damaged(Where(file), "all files have more bytes than 64 bits say");
    }
  }
  return absl::OkStatus();
}

}  // namespace penstock
