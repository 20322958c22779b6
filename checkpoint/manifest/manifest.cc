#include "checkpoint/manifest/manifest.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "google/protobuf/util/json_util.h"
#include "nlohmann/json.hpp"

namespace penstock {
namespace {

absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message,
                                   absl::string_view what) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status =
      google::protobuf::util::MessageToJsonString(message, &json, options);
  if (status.ok()) return json;
  return absl::InvalidArgumentError(
      absl::StrCat("cannot write ", what, ": ", status.ToString()));
}

// Fields that this build does not know are passed over: which of them matter is
// what the format version says.
absl::Status FromJson(absl::string_view json, absl::string_view what,
                      google::protobuf::Message& message) {
  if (static_cast<int64_t>(json.size()) > kMaxManifestBytes) {
    return absl::DataLossError(absl::StrCat(what, " has ", json.size(),
                                            " bytes, wanted at most ",
                                            kMaxManifestBytes));
  }
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = google::protobuf::util::JsonStringToMessage(
      google::protobuf::StringPiece(json.data(), json.size()), &message,
      options);
  if (status.ok()) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("cannot read ", what, ": ", status.ToString()));
}

}  // namespace

void SortFiles(CheckpointManifest& manifest) {
  auto& files = *manifest.mutable_files();
  std::sort(files.begin(), files.end(),
            [](const ShardFile& a, const ShardFile& b) {
              return std::make_tuple(a.layer(), a.kind()) <
                     std::make_tuple(b.layer(), b.kind());
            });
  for (ShardFile& file : files) {
    std::stable_sort(file.mutable_tensors()->begin(),
                     file.mutable_tensors()->end(),
                     [](const ShardTensor& a, const ShardTensor& b) {
                       return a.offset_bytes() < b.offset_bytes();
                     });
  }
}

absl::StatusOr<std::string> EncodeManifest(const CheckpointManifest& manifest) {
  PENSTOCK_RETURN_IF_ERROR(ValidateManifest(manifest));
  return ToJson(manifest, "the manifest");
}

absl::StatusOr<CheckpointManifest> ParseManifest(absl::string_view json) {
  CheckpointManifest manifest;
  PENSTOCK_RETURN_IF_ERROR(FromJson(json, "the manifest", manifest));
  PENSTOCK_RETURN_IF_ERROR(ValidateManifest(manifest));
  return manifest;
}

absl::StatusOr<std::string> EncodeTrainState(const TrainState& state) {
  return ToJson(state, "the training's state");
}

absl::StatusOr<TrainState> ParseTrainState(absl::string_view json) {
  TrainState state;
  PENSTOCK_RETURN_IF_ERROR(FromJson(json, "the training's state", state));
  return state;
}

std::string EncodeWeightIndex(const CheckpointManifest& manifest) {
  int64_t total_bytes = 0;
  nlohmann::json files = nlohmann::json::object();
  for (const ShardFile& file : manifest.files()) {
    if (file.kind() != ShardFile::WEIGHTS) continue;
    for (const ShardTensor& tensor : file.tensors()) {
      files[tensor.name()] = file.name();
      total_bytes += tensor.size_bytes();
    }
  }
  const nlohmann::json index = {{"metadata", {{"total_size", total_bytes}}},
                                {"weight_map", std::move(files)}};
  // Names are the manifest's, which need not be UTF-8 here.
  return index.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

int64_t TotalBytes(const CheckpointManifest& manifest) {
  int64_t total = 0;
  for (const ShardFile& file : manifest.files()) total += file.size_bytes();
  return total;
}

}  // namespace penstock
