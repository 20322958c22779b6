#include "stage_server/checkpoint/shard_files.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "base/crc32c.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/safetensors/header.h"

namespace penstock {
namespace {

constexpr size_t kPieceBytes = size_t{4} << 20;

using Entries = absl::Span<const EngineSnapshot::Entry>;

bool SameFile(const StateTensor& a, const StateTensor& b) {
  return a.layer == b.layer && a.kind == b.kind;
}

// Of the entries of one layer and kind.
absl::StatusOr<SnapshotFile> FileOf(Entries entries) {
  SafetensorsHeader header;
  // By which the Python package `transformers` knows whose tensors they are.
  header.metadata["format"] = "pt";
  for (const EngineSnapshot::Entry& entry : entries) {
    header.tensors.push_back(
        {entry.tensor.name, entry.tensor.type, entry.tensor.shape});
  }
  SnapshotFile result;
  PENSTOCK_ASSIGN_OR_RETURN(result.header, EncodeHeader(header));
  const StateTensor& first = entries.front().tensor;
  ShardFile& file = result.file;
  file.set_name(ShardFileName(first.layer, first.layer_name, first.kind));
  file.set_layer(first.layer);
  file.set_layer_name(first.layer_name);
  file.set_kind(first.kind);
  auto end = static_cast<int64_t>(result.header.size());
  for (const EngineSnapshot::Entry& entry : entries) {
    ShardTensor& tensor = *file.add_tensors();
    tensor.set_name(entry.tensor.name);
    tensor.set_type(std::string(StoredTypeName(entry.tensor.type)));
    tensor.mutable_shape()->Assign(entry.tensor.shape.begin(),
                                   entry.tensor.shape.end());
    tensor.set_offset_bytes(end);
    tensor.set_size_bytes(static_cast<int64_t>(entry.bytes.size()));
    end += tensor.size_bytes();
  }
  file.set_size_bytes(end);
  result.data = {entries.front().bytes.data(),
                 static_cast<size_t>(end) - result.header.size()};
  return result;
}

absl::string_view Text(absl::Span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Appends all of `bytes`; their checksum.
absl::StatusOr<uint32_t> AppendAll(
    absl::string_view bytes, ShardUpload& upload,
    const std::function<absl::Status()>& interrupted, uint32_t* of_file) {
  uint32_t checksum = 0;
  while (!bytes.empty()) {
    PENSTOCK_RETURN_IF_ERROR(interrupted());
    const absl::string_view piece = bytes.substr(0, kPieceBytes);
    bytes.remove_prefix(piece.size());
    checksum = Crc32c(piece, checksum);
    *of_file = Crc32c(piece, *of_file);
    PENSTOCK_RETURN_IF_ERROR(upload.Append(piece));
  }
  return checksum;
}

absl::StatusOr<ShardFile> Write(
    const SnapshotFile& file, const CheckpointId& checkpoint, ShardStore& store,
    const std::function<absl::Status()>& interrupted) {
  ShardFile stored = file.file;
  PENSTOCK_ASSIGN_OR_RETURN(
      const std::unique_ptr<ShardUpload> upload,
      store.Begin(checkpoint, stored.name(), stored.size_bytes()));
  uint32_t of_file = 0;
  PENSTOCK_RETURN_IF_ERROR(
      AppendAll(file.header, *upload, interrupted, &of_file).status());
  size_t begin = 0;
  for (ShardTensor& tensor : *stored.mutable_tensors()) {
    const auto size = static_cast<size_t>(tensor.size_bytes());
    PENSTOCK_ASSIGN_OR_RETURN(const uint32_t checksum,
                              AppendAll(Text(file.data.subspan(begin, size)),
                                        *upload, interrupted, &of_file));
    tensor.set_crc32c(checksum);
    begin += size;
  }
  PENSTOCK_ASSIGN_OR_RETURN(const StoredFile result, upload->Finish());
  stored.set_crc32c(of_file);
  if (result.crc32c == of_file && result.size_bytes == stored.size_bytes()) {
    return stored;
  }
  return absl::DataLossError(absl::StrFormat(
      "%d bytes with checksum %08x were sent, the store has %d with %08x",
      stored.size_bytes(), of_file, result.size_bytes, result.crc32c));
}

}  // namespace

absl::StatusOr<std::vector<SnapshotFile>> FilesOf(
    const EngineSnapshot& snapshot) {
  std::vector<SnapshotFile> files;
  const Entries entries = snapshot.tensors;
  for (size_t begin = 0, end = 0; begin < entries.size(); begin = end) {
    while (end < entries.size() &&
           SameFile(entries[end].tensor, entries[begin].tensor)) {
      ++end;
    }
    PENSTOCK_ASSIGN_OR_RETURN(SnapshotFile file,
                              FileOf(entries.subspan(begin, end - begin)));
    files.push_back(std::move(file));
  }
  return files;
}

absl::StatusOr<ShardFile> WriteFile(
    const SnapshotFile& file, const CheckpointId& checkpoint, ShardStore& store,
    const std::function<absl::Status()>& interrupted) {
  absl::StatusOr<ShardFile> stored =
      Write(file, checkpoint, store, interrupted);
  if (stored.ok()) return stored;
  return WithContext(stored.status(),
                     absl::StrCat("storing ", file.file.name()));
}

absl::StatusOr<std::vector<ShardFile>> WriteFiles(
    const EngineSnapshot& snapshot, const CheckpointId& checkpoint,
    ShardStore& store, const std::function<absl::Status()>& interrupted) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<SnapshotFile> files,
                            FilesOf(snapshot));
  std::vector<ShardFile> stored;
  for (const SnapshotFile& file : files) {
    PENSTOCK_RETURN_IF_ERROR(interrupted());
    PENSTOCK_ASSIGN_OR_RETURN(stored.emplace_back(),
                              WriteFile(file, checkpoint, store, interrupted));
  }
  return stored;
}

}  // namespace penstock
