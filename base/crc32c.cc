#include "base/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <cstddef>

namespace penstock {

uint32_t Crc32c(absl::string_view bytes, uint32_t of_before) {
  // The library counts bytes in an int.
  constexpr size_t kMost = size_t{1} << 30;
  // It leaves the inversion before and after to its caller.
  uint32_t crc = ~of_before;
  while (!bytes.empty()) {
    const size_t size = std::min(bytes.size(), kMost);
    // Reads only, though its signature does not say so.
    auto* data =
        reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
    crc = crc32_iscsi(data, static_cast<int>(size), crc);
    bytes.remove_prefix(size);
  }
  return ~crc;
}

}  // namespace penstock
