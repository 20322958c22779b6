#include "checkpoint/exchange/export_folder.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace penstock {

absl::Status PrepareExportFolder(FileSystem& files, const std::string& folder) {
  PENSTOCK_RETURN_IF_ERROR(files.MakeFolder(folder));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                            files.List(folder));
  if (names.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(folder, " is not empty: it has \"", names.front(),
                   "\"; name a new folder"));
}

}  // namespace penstock
