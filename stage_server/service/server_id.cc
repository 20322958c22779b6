#include "stage_server/service/server_id.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

bool IsId(const std::string& text) {
  return !text.empty() && text.size() <= 100 &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return absl::ascii_isgraph(c); });
}

}  // namespace

absl::StatusOr<std::string> KeptServerId(const std::string& state_dir,
                                         const std::string& fresh) {
  const std::string path = absl::StrCat(state_dir, "/server_id");
  const absl::StatusOr<std::string> kept = ReadFile(path);
  if (kept.ok()) {
    const std::string id(absl::StripAsciiWhitespace(*kept));
    if (IsId(id)) return id;
    return absl::DataLossError(
        absl::StrCat(path, " holds no server id (one line of printable ",
                     "characters); delete it to get a new one"));
  }
  if (!absl::IsNotFound(kept.status())) return kept.status();
  PENSTOCK_RETURN_IF_ERROR(MakeFolder(state_dir));
  PENSTOCK_RETURN_IF_ERROR(WriteFileAtomically(path, fresh + "\n"));
  return fresh;
}

}  // namespace penstock
