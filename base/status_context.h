#ifndef PENSTOCK_BASE_STATUS_CONTEXT_H_
#define PENSTOCK_BASE_STATUS_CONTEXT_H_

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace penstock {

// `status` with `message` instead of its own; code and payloads stay.
inline absl::Status WithMessage(const absl::Status& status,
                                absl::string_view message) {
  absl::Status result(status.code(), message);
  status.ForEachPayload(
      [&result](absl::string_view type, const absl::Cord& payload) {
        result.SetPayload(type, payload);
      });
  return result;
}

// `status` with "`context`: " before its message; OK stays OK.
inline absl::Status WithContext(const absl::Status& status,
                                absl::string_view context) {
  if (status.ok()) return status;
  return WithMessage(status, absl::StrCat(context, ": ", status.message()));
}

}  // namespace penstock

#endif  // PENSTOCK_BASE_STATUS_CONTEXT_H_
