#include "stage_server/engine/host_memory.h"

#include <new>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"

namespace penstock {
namespace {

constexpr std::align_val_t kAlignment{64};
// Sanitizers end the process that asks for more.
constexpr int64_t kMostBytes = int64_t{1} << 40;

struct Delete {
  void operator()(std::byte* bytes) const {
    ::operator delete(bytes, kAlignment);
  }
};

struct Block {
  std::unique_ptr<std::byte, Delete> bytes;
  int64_t size_bytes = 0;
};

}  // namespace

// The block that was let go of last.
struct HostMemory::Spare {
  Mutex mutex;
  Block block ABSL_GUARDED_BY(mutex);

  Block Take() {
    MutexLock lock(&mutex);
    return std::exchange(block, Block());
  }
  void Put(Block back) {
    MutexLock lock(&mutex);
    std::swap(block, back);
  }
};

HostMemory::HostMemory() : spare_(std::make_shared<Spare>()) {}
HostMemory::~HostMemory() = default;

absl::StatusOr<std::shared_ptr<std::byte>> HostMemory::Get(int64_t size_bytes) {
  Block block = spare_->Take();
  if (size_bytes > kMostBytes) {
    block.bytes.reset();
  } else if (block.bytes == nullptr || block.size_bytes < size_bytes) {
    block.bytes.reset(static_cast<std::byte*>(::operator new(
        static_cast<size_t>(size_bytes), kAlignment, std::nothrow)));
    block.size_bytes = size_bytes;
  }
  if (block.bytes == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "no memory for a snapshot of ", size_bytes,
        " bytes: checkpoints take the state once more while they are written"));
  }
  std::byte* const bytes = block.bytes.get();
  // Back to the spare when the last holder lets go.
  auto held = std::make_shared<Block>(std::move(block));
  return std::shared_ptr<std::byte>(
      bytes, [held, spare = std::weak_ptr<Spare>(spare_)](std::byte*) {
        if (const auto still = spare.lock()) still->Put(std::move(*held));
      });
}

}  // namespace penstock
