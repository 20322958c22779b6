#include "stage_server/service/host_facts.h"

#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

// That exists: `folder`, or what it is to be made in.
std::filesystem::path Nearest(const std::string& folder) {
  std::error_code ignored;
  std::filesystem::path path = std::filesystem::absolute(folder, ignored);
  while (path.has_relative_path() && !std::filesystem::exists(path, ignored)) {
    path = path.parent_path();
  }
  return path;
}

}  // namespace

HostFacts FactsOfHost(const std::string& folder) {
  HostFacts facts;
  facts.set_process_id(getpid());
  utsname names = {};
  if (uname(&names) == 0) {
    facts.set_hostname(names.nodename);
    facts.set_kernel(absl::StrCat(names.sysname, " ", names.release));
  }
  struct statvfs space = {};
  if (statvfs("/dev/shm", &space) == 0) {
    const int64_t block = static_cast<int64_t>(space.f_frsize);
    facts.set_shared_memory_free_bytes(block * space.f_bavail);
    facts.set_shared_memory_size_bytes(block * space.f_blocks);
  }
  if (statvfs(Nearest(folder).c_str(), &space) == 0) {
    facts.set_disk_free_bytes(static_cast<int64_t>(space.f_frsize) *
                              space.f_bavail);
  }
  return facts;
}

}  // namespace penstock
