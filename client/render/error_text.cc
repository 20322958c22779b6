#include "client/render/error_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace penstock {

std::string ErrorText(const absl::Status& status) {
  std::string text;
  const absl::string_view message =
      status.message().empty() ? "unknown error" : status.message();
  for (const absl::string_view line :
       absl::StrSplit(message, '\n', absl::SkipEmpty())) {
    absl::StrAppend(&text, line.front() == ' ' ? "" : "penstock: error: ", line,
                    "\n");
  }
  if (status.code() == absl::StatusCode::kInternal) {
    absl::StrAppend(&text,
                    "penstock: this is a bug; the coordinator's log says "
                    "more\n");
  }
  return text;
}

}  // namespace penstock
