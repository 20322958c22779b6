#ifndef PENSTOCK_BASE_CRC32C_H_
#define PENSTOCK_BASE_CRC32C_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace penstock {

// CRC-32C (Castagnoli; RFC 3720, B.4) of `bytes`, or, with the checksum of what
// comes before them, of both together. Of nothing it is 0. Many GB a second
// (ISA-L).
uint32_t Crc32c(absl::string_view bytes, uint32_t of_before = 0);

}  // namespace penstock

#endif  // PENSTOCK_BASE_CRC32C_H_
