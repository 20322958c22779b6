#include "checkpoint/safetensors/header.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "checkpoint/safetensors/header_events.h"
#include "nlohmann/json.hpp"

namespace penstock {
namespace {

constexpr int64_t kAlignment = 8;

struct TypeRow {
  StoredType type;
  absl::string_view name;
  int64_t bytes;
};
constexpr TypeRow kTypes[] = {{StoredType::kFloat32, "F32", 4},
                              {StoredType::kFloat16, "F16", 2},
                              {StoredType::kBFloat16, "BF16", 2},
                              {StoredType::kInt64, "I64", 8}};

const TypeRow& RowOf(StoredType type) {
  return *std::find_if(std::begin(kTypes), std::end(kTypes),
                       [&](const TypeRow& row) { return row.type == type; });
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

// Nothing where it does not fit 64 bits.
std::optional<int64_t> BytesOf(const StoredTensor& tensor) {
  int64_t bytes = StoredTypeBytes(tensor.type);
  for (const int64_t size : tensor.shape) {
    if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes)) {
      return std::nullopt;
    }
  }
  return bytes;
}

absl::Status CheckTensor(const StoredTensor& tensor) {
  const std::optional<int64_t> bytes = BytesOf(tensor);
  if (!bytes.has_value()) {
    return absl::DataLossError(absl::StrCat("tensor ", tensor.name, ": shape ",
                                            ShapeText(tensor.shape),
                                            " is beyond 64 bits of bytes"));
  }
  // Not end - begin, which may overflow.
  if (tensor.begin < 0 || tensor.end < tensor.begin ||
      tensor.end - tensor.begin != *bytes) {
    return absl::DataLossError(absl::StrCat(
        "tensor ", tensor.name, ": ", StoredTypeName(tensor.type), " ",
        ShapeText(tensor.shape), " takes ", *bytes, " bytes, data_offsets say ",
        tensor.begin, " to ", tensor.end));
  }
  return absl::OkStatus();
}

// Sorted by their bytes, of which each has one owner.
absl::Status CheckCover(const std::vector<StoredTensor>& tensors,
                        int64_t data_bytes) {
  int64_t end = 0;
  for (const StoredTensor& tensor : tensors) {
    if (tensor.begin != end) {
      return absl::DataLossError(absl::StrCat(
          "tensor ", tensor.name, " begins at byte ", tensor.begin,
          " of the data, want ", end,
          ", where the one before it ends: no byte may be of two tensors or "
          "of none"));
    }
    end = tensor.end;
  }
  if (end == data_bytes) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the tensors have ", end,
                                          " bytes, the file has ", data_bytes,
                                          " after its header"));
}

}  // namespace

absl::string_view StoredTypeName(StoredType type) { return RowOf(type).name; }

int64_t StoredTypeBytes(StoredType type) { return RowOf(type).bytes; }

std::optional<StoredType> StoredTypeOf(absl::string_view name) {
  for (const TypeRow& row : kTypes) {
    if (row.name == name) return row.type;
  }
  return std::nullopt;
}

absl::StatusOr<std::string> EncodeHeader(const SafetensorsHeader& header) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!header.metadata.empty()) json["__metadata__"] = header.metadata;
  int64_t end = 0;
  for (const StoredTensor& tensor : header.tensors) {
    if (tensor.name.empty() || json.contains(tensor.name)) {
      return absl::InvalidArgumentError(
          tensor.name.empty()
              ? "a tensor without a name"
              : absl::StrCat("two tensors of the name ", tensor.name));
    }
    const int64_t begin = end;
    const std::optional<int64_t> bytes = BytesOf(tensor);
    if (!bytes.has_value() || __builtin_add_overflow(begin, *bytes, &end)) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", tensor.name, ": shape ",
                       ShapeText(tensor.shape), " cannot be stored"));
    }
    json[tensor.name] = {{"dtype", StoredTypeName(tensor.type)},
                         {"shape", tensor.shape},
                         {"data_offsets", {begin, end}}};
  }
  std::string text;
  try {
    text = json.dump();
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("a name or metadata that is not UTF-8: ", error.what()));
  }
  const int64_t begun = kHeaderLengthBytes + static_cast<int64_t>(text.size());
  text.append((kAlignment - begun % kAlignment) % kAlignment, ' ');
  const uint64_t size = text.size();
  if (static_cast<int64_t>(size) > kMaxHeaderBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a header of ", size, " bytes, at most ", kMaxHeaderBytes,
                     " are allowed: use fewer tensors a file"));
  }
  std::string file_start(kHeaderLengthBytes, '\0');
  for (int i = 0; i < kHeaderLengthBytes; ++i) {
    file_start[i] = static_cast<char>(size >> (8 * i) & 0xff);
  }
  return file_start + text;
}

absl::StatusOr<int64_t> ParseHeaderLength(absl::string_view eight_bytes,
                                          int64_t file_bytes) {
  if (eight_bytes.size() != kHeaderLengthBytes) {
    return absl::DataLossError(
        absl::StrCat("the file has ", file_bytes, " bytes, want at least ",
                     kHeaderLengthBytes, ", for the length of the header"));
  }
  uint64_t length = 0;
  for (int i = 0; i < kHeaderLengthBytes; ++i) {
    const auto byte = static_cast<unsigned char>(eight_bytes[i]);
    length |= static_cast<uint64_t>(byte) << (8 * i);
  }
  if (length < 2 || length > static_cast<uint64_t>(kMaxHeaderBytes) ||
      static_cast<int64_t>(length) > file_bytes - kHeaderLengthBytes) {
    return absl::DataLossError(absl::StrCat(
        "it says that its header has ", length, " bytes; want 2 to ",
        kMaxHeaderBytes, ", in a file of ", file_bytes,
        " bytes: not a safetensors file, or one that was cut short"));
  }
  return static_cast<int64_t>(length);
}

absl::StatusOr<SafetensorsHeader> ParseHeader(absl::string_view json,
                                              int64_t data_bytes) {
  HeaderEvents events;
  // The events say what is wrong; no exception comes with them.
  const bool parsed = nlohmann::json::sax_parse(
      json.begin(), json.end(), &events, nlohmann::json::input_format_t::json);
  PENSTOCK_RETURN_IF_ERROR(events.status());
  if (!parsed) return absl::DataLossError("the header is not JSON");
  SafetensorsHeader header = std::move(events).header();
  for (const StoredTensor& tensor : header.tensors) {
    PENSTOCK_RETURN_IF_ERROR(CheckTensor(tensor));
  }
  // Empty tensors before the one that begins where they do.
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const StoredTensor& a, const StoredTensor& b) {
              return std::tie(a.begin, a.end, a.name) <
                     std::tie(b.begin, b.end, b.name);
            });
  PENSTOCK_RETURN_IF_ERROR(CheckCover(header.tensors, data_bytes));
  return header;
}

}  // namespace penstock
