#include "checkpoint/safetensors/header_events.h"

#include <limits>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

constexpr absl::string_view kMetadataKey = "__metadata__";

}  // namespace

bool HeaderEvents::Fail(absl::Status status) {
  if (status_.ok()) status_ = std::move(status);
  return false;
}

bool HeaderEvents::Unexpected(absl::string_view what) {
  const auto want = [this]() -> absl::string_view {
    switch (place_) {
      case Place::kStart:
      case Place::kTensor:
        return "an object";
      case Place::kTop:
        return "an object for each tensor";
      case Place::kMetadata:
      case Place::kDtype:
        return "a string";
      case Place::kShape:
        return "an array of sizes from 0 on";
      case Place::kOffsets:
        return "an array of two byte numbers from 0 on";
      case Place::kEnd:
        return "nothing more";
    }
    return "";
  };
  const char* member = place_ == Place::kDtype     ? ", dtype"
                       : place_ == Place::kShape   ? ", shape"
                       : place_ == Place::kOffsets ? ", data_offsets"
                                                   : "";
  return Fail(absl::DataLossError(absl::StrCat(
      "the header has ", what, " at ",
      place_ == Place::kStart ? "its start" : absl::StrCat("\"", key_, "\""),
      member, ", want ", want())));
}

bool HeaderEvents::number_unsigned(number_unsigned_t value) {
  if (!in_array_) return Unexpected("a number");
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return Unexpected("a number beyond 63 bits");
  }
  const auto number = static_cast<int64_t>(value);
  if (place_ == Place::kShape) {
    tensor_.shape.push_back(number);
    return true;
  }
  if (num_offsets_ == 2) return Unexpected("a third number");
  (num_offsets_++ == 0 ? tensor_.begin : tensor_.end) = number;
  return true;
}

bool HeaderEvents::string(string_t& value) {
  if (place_ == Place::kMetadata) {
    header_.metadata[key_] = value;
    return true;
  }
  if (place_ != Place::kDtype) return Unexpected("a string");
  const std::optional<StoredType> type = StoredTypeOf(value);
  if (!type.has_value()) {
    return Fail(absl::UnimplementedError(
        absl::StrCat("tensor ", key_, " is of type \"", value,
                     "\"; F32, F16, BF16 and I64 can be read")));
  }
  tensor_.type = *type;
  has_type_ = true;
  place_ = Place::kTensor;
  return true;
}

bool HeaderEvents::start_object(size_t) {
  if (place_ == Place::kStart) {
    place_ = Place::kTop;
    return true;
  }
  if (place_ != Place::kTop) return Unexpected("an object");
  if (key_ == kMetadataKey) {
    place_ = Place::kMetadata;
    return true;
  }
  place_ = Place::kTensor;
  tensor_ = StoredTensor{.name = key_, .shape = {}};
  has_type_ = has_shape_ = has_offsets_ = false;
  num_offsets_ = 0;
  return true;
}

bool HeaderEvents::key(string_t& name) {
  if (place_ == Place::kTensor) return KeyOfTensor(name);
  const bool is_new = place_ == Place::kTop ? names_.insert(name).second
                                            : header_.metadata.count(name) == 0;
  if (!is_new) {
    return Fail(absl::DataLossError(
        absl::StrCat("the header has \"", name, "\" twice")));
  }
  key_ = name;
  return true;
}

bool HeaderEvents::KeyOfTensor(const string_t& name) {
  const auto begin = [&](Place place, bool is_there) {
    if (is_there) {
      return Fail(absl::DataLossError(
          absl::StrCat("tensor ", key_, " has \"", name, "\" twice")));
    }
    place_ = place;
    return true;
  };
  if (name == "dtype") return begin(Place::kDtype, has_type_);
  if (name == "shape") return begin(Place::kShape, has_shape_);
  if (name == "data_offsets") return begin(Place::kOffsets, has_offsets_);
  return Fail(absl::DataLossError(
      absl::StrCat("tensor ", key_, " has \"", name,
                   "\"; want dtype, shape and data_offsets alone")));
}

bool HeaderEvents::end_object() {
  if (place_ == Place::kTensor) return FinishTensor();
  place_ = place_ == Place::kMetadata ? Place::kTop : Place::kEnd;
  return true;
}

bool HeaderEvents::FinishTensor() {
  const char* missing = !has_type_    ? "dtype"
                        : !has_shape_ ? "shape"
                                      : "data_offsets";
  if (!has_type_ || !has_shape_ || !has_offsets_) {
    return Fail(absl::DataLossError(
        absl::StrCat("tensor ", key_, " has no \"", missing, "\"")));
  }
  header_.tensors.push_back(std::move(tensor_));
  place_ = Place::kTop;
  return true;
}

bool HeaderEvents::start_array(size_t) {
  const bool belongs = place_ == Place::kShape || place_ == Place::kOffsets;
  if (!belongs || in_array_) return Unexpected("an array");
  in_array_ = true;
  return true;
}

bool HeaderEvents::end_array() {
  in_array_ = false;
  if (place_ == Place::kOffsets) {
    if (num_offsets_ != 2) return Unexpected("fewer than two numbers");
    has_offsets_ = true;
  } else {
    has_shape_ = true;
  }
  place_ = Place::kTensor;
  return true;
}

bool HeaderEvents::parse_error(size_t position, const std::string&,
                               const nlohmann::json::exception&) {
  return Fail(absl::DataLossError(
      absl::StrCat("the header is not JSON from its byte ", position, " on")));
}

}  // namespace penstock
