#ifndef PENSTOCK_BASE_STATUS_CONTEXT_H_
#define PENSTOCK_BASE_STATUS_CONTEXT_H_

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace penstock {

// `status` with "`context`: " before its message; OK stays OK.
inline absl::Status WithContext(const absl::Status& status,
                                absl::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(context, ": ", status.message()));
}

}  // namespace penstock

#endif  // PENSTOCK_BASE_STATUS_CONTEXT_H_
