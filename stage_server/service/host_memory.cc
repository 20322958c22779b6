#include "stage_server/service/host_memory.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace penstock {

int64_t TotalMemoryBytes(absl::string_view meminfo) {
  constexpr int64_t kKibibyte = 1024;
  for (const absl::string_view line : absl::StrSplit(meminfo, '\n')) {
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.size() < 2 || words[0] != "MemTotal:") continue;
    int64_t kibibytes = 0;
    return absl::SimpleAtoi(words[1], &kibibytes) ? kibibytes * kKibibyte : 0;
  }
  return 0;
}

}  // namespace penstock
