#include "client/local/binaries.h"

#include <unistd.h>

#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

absl::StatusOr<std::string> FindBinary(
    const std::string& name, const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) {
    const std::string path = absl::StrCat(folder, "/", name);
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return absl::NotFoundError(absl::StrCat(
      "cannot find ", name, " in ", absl::StrJoin(folders, " or "),
      "; build it (`make build`) or say where it is with --bin-dir"));
}

}  // namespace

absl::StatusOr<Binaries> FindBinaries(const std::string& bin_dir,
                                      const std::string& executable) {
  const std::filesystem::path here =
      std::filesystem::path(executable).parent_path();
  const auto places = [&](const std::string& sibling) {
    if (!bin_dir.empty()) {
      return std::vector<std::string>{bin_dir,
                                      absl::StrCat(bin_dir, "/", sibling)};
    }
    return std::vector<std::string>{here.string(),
                                    (here.parent_path() / sibling).string()};
  };
  Binaries binaries;
  PENSTOCK_ASSIGN_OR_RETURN(
      binaries.coordinator,
      FindBinary("penstock-coordinator", places("coordinator")));
  PENSTOCK_ASSIGN_OR_RETURN(
      binaries.stage_server,
      FindBinary("penstock-stage-server", places("stage_server")));
  return binaries;
}

}  // namespace penstock
