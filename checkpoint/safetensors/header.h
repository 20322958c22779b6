#ifndef PENSTOCK_CHECKPOINT_SAFETENSORS_HEADER_H_
#define PENSTOCK_CHECKPOINT_SAFETENSORS_HEADER_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock {

// Files of named tensors in the format of the Python package `safetensors`: 8
// bytes, little-endian, the length of a JSON header; the header; the tensors'
// bytes, each contiguous and little-endian, one after the other. (Format:
// https://huggingface.co/docs/safetensors)

// The types that Penstock writes and reads, by the format's own names.
enum class StoredType { kFloat32, kFloat16, kBFloat16, kInt64 };

// "F32"
absl::string_view StoredTypeName(StoredType type);
int64_t StoredTypeBytes(StoredType type);

struct StoredTensor {
  std::string name;
  StoredType type = StoredType::kFloat32;
  // Empty for a scalar.
  std::vector<int64_t> shape;
  // Bytes, counted from the first after the header.
  int64_t begin = 0;
  int64_t end = 0;

  friend bool operator==(const StoredTensor&, const StoredTensor&) = default;
};

struct SafetensorsHeader {
  // In the order of their bytes.
  std::vector<StoredTensor> tensors;
  // "__metadata__": free text by key.
  std::map<std::string, std::string> metadata;

  // Of all tensors.
  int64_t data_bytes() const {
    return tensors.empty() ? 0 : tensors.back().end;
  }

  friend bool operator==(const SafetensorsHeader&,
                         const SafetensorsHeader&) = default;
};

// A longer header is refused, here as by the Python package.
inline constexpr int64_t kMaxHeaderBytes = 100'000'000;
// Of the length before the header.
inline constexpr int64_t kHeaderLengthBytes = 8;

// What a file begins with, its length first, padded with spaces so that the
// tensors begin at a multiple of 8 bytes. `begin` and `end` are not read: they
// follow from types and shapes, in the order given. The same bytes for the same
// header.
//   INVALID_ARGUMENT  a name twice, empty or not UTF-8; a negative size; more
//                     bytes than 64 bits count; a header beyond
//                     kMaxHeaderBytes.
absl::StatusOr<std::string> EncodeHeader(const SafetensorsHeader& header);

// The length of the header that begins with these 8 bytes.
//   DATA_LOSS  it is below 2, beyond kMaxHeaderBytes or beyond a file of
//              `file_bytes`.
absl::StatusOr<int64_t> ParseHeaderLength(absl::string_view eight_bytes,
                                          int64_t file_bytes);

// The JSON text of a header, of a file with `data_bytes` after it. Safe on any
// input: nothing is allocated beyond a small multiple of `json`.
//   DATA_LOSS      it is not JSON; not of the format; a name twice; a tensor
//                  whose bytes do not fit its type and shape; bytes that
//                  overlap, or that belong to no tensor, or are missing. Says
//                  which tensor, what it says and what it would have to be.
//   UNIMPLEMENTED  a type that is none of StoredType.
absl::StatusOr<SafetensorsHeader> ParseHeader(absl::string_view json,
                                              int64_t data_bytes);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_SAFETENSORS_HEADER_H_
