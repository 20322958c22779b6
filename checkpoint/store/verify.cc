#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/manifest/manifest.h"
#include "checkpoint/safetensors/header.h"
#include "checkpoint/store/checkpoint_store.h"

namespace penstock {
namespace {

constexpr int64_t kPieceBytes = int64_t{4} << 20;

absl::Status Damaged(const std::string& path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(path, ": ", what));
}

// The checksums of one file's tensors and of all of it, from its bytes in
// order.
class FileChecksums {
 public:
  FileChecksums(const ShardFile& file, std::string path)
      : file_(file), path_(std::move(path)) {}

  absl::Status Take(absl::string_view bytes) {
    of_file_ = Crc32c(bytes, of_file_);
    const int64_t end = offset_ + static_cast<int64_t>(bytes.size());
    while (next_ < file_.tensors_size()) {
      const ShardTensor& tensor = file_.tensors(next_);
      const int64_t tensor_end = tensor.offset_bytes() + tensor.size_bytes();
      const int64_t from = std::max(offset_, tensor.offset_bytes());
      const int64_t to = std::min(end, tensor_end);
      if (from < to) {
        of_tensor_ =
            Crc32c(bytes.substr(from - offset_, to - from), of_tensor_);
      }
      if (tensor_end > end) break;
      PENSTOCK_RETURN_IF_ERROR(FinishTensor(tensor));
    }
    offset_ = end;
    return absl::OkStatus();
  }

  absl::Status Finish() const {
    if (of_file_ == file_.crc32c()) return absl::OkStatus();
    return Damaged(path_,
                   "its checksum is not the manifest's, outside of "
                   "tensors");
  }

 private:
  absl::Status FinishTensor(const ShardTensor& tensor) {
    if (of_tensor_ != tensor.crc32c()) {
      return Damaged(path_,
                     absl::StrCat("the checksum of tensor \"", tensor.name(),
                                  "\" is not the manifest's"));
    }
    of_tensor_ = 0;
    ++next_;
    return absl::OkStatus();
  }

  const ShardFile& file_;
  const std::string path_;
  // Bytes taken.
  int64_t offset_ = 0;
  uint32_t of_file_ = 0;
  uint32_t of_tensor_ = 0;
  // The tensor that ends next.
  int next_ = 0;
};

// DATA_LOSS if it is missing, no file, or too long.
absl::StatusOr<std::string> ReadCopy(const FileSystem& files,
                                     const std::string& path) {
  const absl::StatusOr<PathKind> kind = files.KindOf(path);
  if (absl::IsNotFound(kind.status())) return Damaged(path, "is missing");
  PENSTOCK_RETURN_IF_ERROR(kind.status());
  if (*kind != PathKind::kFile) {
    return Damaged(path, "is no file; links are not followed");
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file,
                            files.Open(path));
  if (file->size_bytes() > kMaxManifestBytes) {
    return Damaged(path, "is longer than a manifest may be");
  }
  return file->Read(0, file->size_bytes());
}

bool SameTensor(const StoredTensor& stored, int64_t data_offset,
                const ShardTensor& tensor) {
  return stored.name == tensor.name() &&
         StoredTypeName(stored.type) == tensor.type() &&
         std::equal(stored.shape.begin(), stored.shape.end(),
                    tensor.shape().begin(), tensor.shape().end()) &&
         data_offset + stored.begin == tensor.offset_bytes();
}

// That the file says of itself what the manifest says of it.
absl::Status CheckHeader(const ReadableFile& file, const ShardFile& shard,
                         const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string length_bytes,
                            file.Read(0, kHeaderLengthBytes));
  const absl::StatusOr<int64_t> length =
      ParseHeaderLength(length_bytes, file.size_bytes());
  if (!length.ok()) return Damaged(path, length.status().message());
  PENSTOCK_ASSIGN_OR_RETURN(const std::string json,
                            file.Read(kHeaderLengthBytes, *length));
  const int64_t data_offset = kHeaderLengthBytes + *length;
  const absl::StatusOr<SafetensorsHeader> header =
      ParseHeader(json, file.size_bytes() - data_offset);
  if (!header.ok()) return Damaged(path, header.status().message());
  if (header->tensors.size() != static_cast<size_t>(shard.tensors_size())) {
    return Damaged(
        path, absl::StrCat("has ", header->tensors.size(), " tensors, wanted ",
                           shard.tensors_size()));
  }
  for (int i = 0; i < shard.tensors_size(); ++i) {
    if (!SameTensor(header->tensors[i], data_offset, shard.tensors(i))) {
      return Damaged(
          path,
          absl::StrCat("has tensor \"", header->tensors[i].name,
                       "\" where the manifest has \"", shard.tensors(i).name(),
                       "\", or another type, shape or place"));
    }
  }
  return absl::OkStatus();
}

// The two files that only repeat what the manifest says, for other programs.
absl::Status CheckCopies(const FileSystem& files, const std::string& folder,
                         const CheckpointManifest& manifest) {
  const std::string state_path = absl::StrCat(folder, "/", kTrainStateFile);
  const absl::StatusOr<std::string> state_json = ReadCopy(files, state_path);
  if (!state_json.ok()) return state_json.status();
  const absl::StatusOr<TrainState> state = ParseTrainState(*state_json);
  if (!state.ok() ||
      state->SerializeAsString() != manifest.state().SerializeAsString()) {
    return Damaged(state_path, "does not say what the manifest says");
  }
  const std::string index_path = absl::StrCat(folder, "/", kWeightIndexFile);
  const absl::StatusOr<std::string> index = ReadCopy(files, index_path);
  if (!index.ok()) return index.status();
  if (*index != EncodeWeightIndex(manifest)) {
    return Damaged(index_path, "does not say what the manifest says");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckpointStore::Verify(
    const CheckpointId& id,
    const std::function<bool(const Progress&)>& report) const {
  PENSTOCK_ASSIGN_OR_RETURN(const CheckpointManifest manifest, Read(id));
  PENSTOCK_RETURN_IF_ERROR(
      CheckCopies(*files_, CheckpointPath(root_, id), manifest));
  Progress progress{0, TotalBytes(manifest)};
  for (const ShardFile& shard : manifest.files()) {
    const std::string path =
        absl::StrCat(CheckpointPath(root_, id), "/", shard.name());
    PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file,
                              files_->Open(path));
    PENSTOCK_RETURN_IF_ERROR(CheckHeader(*file, shard, path));
    FileChecksums checksums(shard, path);
    for (int64_t offset = 0; offset < shard.size_bytes();) {
      const int64_t size = std::min(kPieceBytes, shard.size_bytes() - offset);
      PENSTOCK_ASSIGN_OR_RETURN(const std::string piece,
                                file->Read(offset, size));
      PENSTOCK_RETURN_IF_ERROR(checksums.Take(piece));
      offset += size;
      progress.done_bytes += size;
      if (report && !report(progress)) {
        return absl::CancelledError(
            absl::StrCat("verified ", progress.done_bytes, " of ",
                         progress.total_bytes, " bytes"));
      }
    }
    PENSTOCK_RETURN_IF_ERROR(checksums.Finish());
  }
  return absl::OkStatus();
}

}  // namespace penstock
