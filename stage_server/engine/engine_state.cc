#include "stage_server/engine/engine_state.h"

namespace penstock {

int64_t StateTensor::size_bytes() const {
  int64_t bytes = StoredTypeBytes(type);
  for (const int64_t size : shape) bytes *= size;
  return bytes;
}

}  // namespace penstock
