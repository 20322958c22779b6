#ifndef PENSTOCK_STAGE_SERVER_ENGINE_HOST_MEMORY_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_HOST_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"

namespace penstock {

// Memory that is asked for again and again in the same size: what its holder
// has let go of is given out once more, since touching fresh memory costs more
// than copying into it.
class HostMemory {
 public:
  HostMemory();
  ~HostMemory();
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;

  // At least `size_bytes`, its content anything, at a multiple of 64 bytes. May
  // be let go of by any thread, and outlive this.
  //   RESOURCE_EXHAUSTED
  absl::StatusOr<std::shared_ptr<std::byte>> Get(int64_t size_bytes);

 private:
  struct Spare;

  const std::shared_ptr<Spare> spare_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_HOST_MEMORY_H_
