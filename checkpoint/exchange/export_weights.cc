#include "checkpoint/exchange/export_weights.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "checkpoint/exchange/export_folder.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/manifest/manifest.h"

namespace penstock {
namespace {

constexpr int64_t kPieceBytes = int64_t{4} << 20;

}  // namespace

absl::Status ExportWeights(
    const ShardStore& store, const CheckpointManifest& manifest,
    FileSystem& files, const std::string& folder,
    const std::function<bool(int64_t, int64_t)>& report) {
  PENSTOCK_RETURN_IF_ERROR(ValidateManifest(manifest));
  PENSTOCK_RETURN_IF_ERROR(PrepareExportFolder(files, folder));
  int64_t total_bytes = 0;
  for (const ShardFile& shard : manifest.files()) {
    if (shard.kind() == ShardFile::WEIGHTS) total_bytes += shard.size_bytes();
  }
  int64_t done_bytes = 0;
  for (const ShardFile& shard : manifest.files()) {
    if (shard.kind() != ShardFile::WEIGHTS) continue;
    PENSTOCK_ASSIGN_OR_RETURN(
        const std::unique_ptr<WritableFile> copy,
        files.Create(absl::StrCat(folder, "/", shard.name())));
    uint32_t crc = 0;
    for (int64_t offset = 0; offset < shard.size_bytes();) {
      const int64_t size = std::min(kPieceBytes, shard.size_bytes() - offset);
      PENSTOCK_ASSIGN_OR_RETURN(
          const std::string piece,
          store.Read(manifest.id(), shard.name(), offset, size));
      PENSTOCK_RETURN_IF_ERROR(copy->Append(piece));
      crc = Crc32c(piece, crc);
      offset += size;
      done_bytes += size;
      if (report && !report(done_bytes, total_bytes)) {
        return absl::CancelledError(
            absl::StrCat("copied ", done_bytes, " of ", total_bytes, " bytes"));
      }
    }
    if (crc != shard.crc32c()) {
      return absl::DataLossError(absl::StrCat(
          shard.name(), " of the checkpoint of ", Describe(manifest.id()),
          ": its checksum is not the manifest's"));
    }
    PENSTOCK_RETURN_IF_ERROR(copy->Sync());
  }
  return PublishFile(files, absl::StrCat(folder, "/", kWeightIndexFile),
                     EncodeWeightIndex(manifest));
}

}  // namespace penstock
