#include "stage_server/transport/ucx/host_identity.h"

#include <sys/stat.h>

#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace penstock {

absl::StatusOr<std::string> HostIdentity(const std::string& override_identity) {
  if (!override_identity.empty()) return override_identity;
  PENSTOCK_ASSIGN_OR_RETURN(const std::string boot_id,
                            ReadFile("/proc/sys/kernel/random/boot_id"));
  PENSTOCK_ASSIGN_OR_RETURN(const uint64_t network, NamespaceInode("net"));
  PENSTOCK_ASSIGN_OR_RETURN(const uint64_t processes, NamespaceInode("pid"));
  return absl::StrCat(absl::StripAsciiWhitespace(boot_id), "/", network, "/",
                      processes);
}

absl::StatusOr<uint64_t> NamespaceInode(const std::string& kind) {
  const std::string path = absl::StrCat("/proc/self/ns/", kind);
  struct stat facts;
  if (stat(path.c_str(), &facts) != 0) {
    return ErrnoStatus(errno, "stat", path);
  }
  return facts.st_ino;
}

}  // namespace penstock
