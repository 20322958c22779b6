#include "tests/fuzz/checkpoint_properties.h"

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/manifest/manifest.h"
#include "checkpoint/safetensors/header.h"

namespace penstock {
namespace {

absl::Status Broken(absl::string_view what) {
  return absl::InternalError(what);
}

// DATA_LOSS or UNIMPLEMENTED, in one line that is not endless.
absl::Status CheckRefusal(const absl::Status& status) {
  if (!absl::IsDataLoss(status) && !absl::IsUnimplemented(status)) {
    return Broken(absl::StrCat("refused with ", status.ToString()));
  }
  return status.message().empty() ? Broken("refused without a word")
                                  : absl::OkStatus();
}

}  // namespace

absl::Status CheckShardBytes(absl::string_view bytes, bool* accepted) {
  if (accepted != nullptr) *accepted = false;
  const auto file_bytes = static_cast<int64_t>(bytes.size());
  if (file_bytes < kHeaderLengthBytes) return absl::OkStatus();
  const absl::StatusOr<int64_t> length =
      ParseHeaderLength(bytes.substr(0, kHeaderLengthBytes), file_bytes);
  if (!length.ok()) return CheckRefusal(length.status());
  if (*length > file_bytes - kHeaderLengthBytes) {
    return Broken("a header is longer than its file");
  }
  const int64_t data_bytes = file_bytes - kHeaderLengthBytes - *length;
  const absl::StatusOr<SafetensorsHeader> header =
      ParseHeader(bytes.substr(kHeaderLengthBytes, *length), data_bytes);
  if (!header.ok()) return CheckRefusal(header.status());
  if (header->data_bytes() != data_bytes) {
    return Broken("the tensors are not the file's bytes");
  }
  const absl::StatusOr<std::string> text = EncodeHeader(*header);
  if (!text.ok()) {
    return Broken(absl::StrCat("what was read is not written: ",
                               text.status().ToString()));
  }
  const auto again = ParseHeader(text->substr(kHeaderLengthBytes), data_bytes);
  if (!again.ok() || !(*again == *header)) {
    return Broken("a header does not come back as it was written");
  }
  if (accepted != nullptr) *accepted = true;
  return absl::OkStatus();
}

absl::Status CheckManifestText(absl::string_view text, bool* accepted) {
  if (accepted != nullptr) *accepted = false;
  const absl::StatusOr<CheckpointManifest> manifest = ParseManifest(text);
  if (!manifest.ok()) return CheckRefusal(manifest.status());
  for (const ShardFile& file : manifest->files()) {
    if (!ParseShardFileName(file.name()).ok()) {
      return Broken(absl::StrCat("a name leads elsewhere: ", file.name()));
    }
    for (const ShardTensor& tensor : file.tensors()) {
      if (tensor.offset_bytes() < kHeaderLengthBytes ||
          tensor.size_bytes() < 0 ||
          tensor.size_bytes() > file.size_bytes() - tensor.offset_bytes()) {
        return Broken("a tensor is not within its file");
      }
    }
  }
  if (TotalBytes(*manifest) < 0) return Broken("more bytes than 64 bits count");
  EncodeWeightIndex(*manifest);
  const absl::StatusOr<std::string> written = EncodeManifest(*manifest);
  if (!written.ok()) {
    return Broken(absl::StrCat("what was read is not written: ",
                               written.status().ToString()));
  }
  const absl::StatusOr<CheckpointManifest> again = ParseManifest(*written);
  if (!again.ok()) {
    return Broken(absl::StrCat("what was written is not read: ",
                               again.status().ToString()));
  }
  if (*EncodeManifest(*again) != *written) {
    return Broken("a manifest does not come back as it was written");
  }
  if (accepted != nullptr) *accepted = true;
  return absl::OkStatus();
}

}  // namespace penstock
