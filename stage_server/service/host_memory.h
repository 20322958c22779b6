#ifndef PENSTOCK_STAGE_SERVER_SERVICE_HOST_MEMORY_H_
#define PENSTOCK_STAGE_SERVER_SERVICE_HOST_MEMORY_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace penstock {

// Bytes of the machine's memory, by the text of /proc/meminfo (proc(5)); 0 if
// it does not say. Pure.
int64_t TotalMemoryBytes(absl::string_view meminfo);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_SERVICE_HOST_MEMORY_H_
