#ifndef PENSTOCK_CHECKPOINT_SAFETENSORS_HEADER_EVENTS_H_
#define PENSTOCK_CHECKPOINT_SAFETENSORS_HEADER_EVENTS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "checkpoint/safetensors/header.h"
#include "nlohmann/json.hpp"

namespace penstock {

// Nothing for a type that is not stored.
std::optional<StoredType> StoredTypeOf(absl::string_view name);

// Takes a header's JSON as the events of its parser, so that no tree of it is
// made, which could be far larger and as deep as its text: whatever does not
// belong at its place ends the parse. Offsets are taken as they are.
//
// The form of nlohmann::json_sax; used by ParseHeader alone.
class HeaderEvents {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  bool null() { return Unexpected("null"); }
  bool boolean(bool) { return Unexpected("a truth value"); }
  bool number_integer(number_integer_t) {
    return Unexpected("a negative number");
  }
  bool number_unsigned(number_unsigned_t value);
  bool number_float(number_float_t, const string_t& text) {
    return Unexpected(text);
  }
  bool string(string_t& value);
  bool binary(binary_t&) { return Unexpected("binary"); }
  bool start_object(size_t);
  bool key(string_t& name);
  bool end_object();
  bool start_array(size_t);
  bool end_array();
  bool parse_error(size_t position, const std::string& last_token,
                   const nlohmann::json::exception& error);

  // What is wrong, after the parse.
  const absl::Status& status() const { return status_; }
  SafetensorsHeader header() && { return std::move(header_); }

 private:
  enum class Place {
    kStart,
    kTop,
    kMetadata,
    kTensor,
    kDtype,
    kShape,
    kOffsets,
    kEnd,
  };

  bool Unexpected(absl::string_view what);
  bool Fail(absl::Status status);
  bool KeyOfTensor(const string_t& name);
  bool FinishTensor();

  Place place_ = Place::kStart;
  // The newest key of the header or its metadata.
  std::string key_;
  bool in_array_ = false;
  StoredTensor tensor_;
  bool has_type_ = false;
  bool has_shape_ = false;
  int num_offsets_ = 0;
  bool has_offsets_ = false;
  std::set<std::string> names_;
  SafetensorsHeader header_;
  absl::Status status_;
};

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_SAFETENSORS_HEADER_EVENTS_H_
