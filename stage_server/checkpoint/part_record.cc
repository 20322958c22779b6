#include "stage_server/checkpoint/part_record.h"

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "checkpoint/layout/layout.h"

namespace penstock {
namespace {

constexpr int kSizeBytes = 8;
constexpr int kBitsPerByte = 8;
// About 100 bytes a tensor.
constexpr uint64_t kMaxRecordBytes = uint64_t{64} << 20;

std::string EncodeSize(uint64_t size) {
  std::string bytes;
  for (int i = 0; i < kSizeBytes; ++i) {
    bytes.push_back(static_cast<char>(size >> (kBitsPerByte * i)));
  }
  return bytes;
}

uint64_t DecodeSize(absl::string_view bytes) {
  uint64_t size = 0;
  for (int i = 0; i < kSizeBytes; ++i) {
    size |= uint64_t{static_cast<unsigned char>(bytes[i])}
            << (kBitsPerByte * i);
  }
  return size;
}

}  // namespace

absl::Status WritePartRecord(const ShardReport& part, ShardStore& store) {
  const std::string record = part.SerializeAsString();
  const std::string content = EncodeSize(record.size()) + record;
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<ShardUpload> upload,
                            store.Begin(part.checkpoint(), kPartFile,
                                        static_cast<int64_t>(content.size())));
  PENSTOCK_RETURN_IF_ERROR(upload->Append(content));
  return upload->Finish().status();
}

absl::StatusOr<ShardReport> ReadPartRecord(const ShardStore& store,
                                           const CheckpointId& checkpoint) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string size,
                            store.Read(checkpoint, kPartFile, 0, kSizeBytes));
  const uint64_t record_bytes =
      size.size() == kSizeBytes ? DecodeSize(size) : kMaxRecordBytes + 1;
  if (record_bytes > kMaxRecordBytes) {
    return absl::DataLossError(absl::StrCat(kPartFile, " says that it has ",
                                            record_bytes,
                                            " bytes, which no part has"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::string record,
                            store.Read(checkpoint, kPartFile, kSizeBytes,
                                       static_cast<int64_t>(record_bytes)));
  ShardReport part;
  if (!part.ParseFromString(record)) {
    return absl::DataLossError(absl::StrCat(kPartFile, " is no record"));
  }
  const CheckpointId& id = part.checkpoint();
  if (id.job_id() != checkpoint.job_id() || id.step() != checkpoint.step() ||
      id.epoch() != checkpoint.epoch()) {
    return absl::DataLossError(
        absl::StrCat(kPartFile, " is of ", Describe(id)));
  }
  return part;
}

}  // namespace penstock
