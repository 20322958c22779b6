#ifndef PENSTOCK_BASE_FILE_H_
#define PENSTOCK_BASE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace penstock {

// Whole files, small ones. Errors name the path and the system's reason:
// NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED (no space), else UNKNOWN.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Readers see the old content or the new, never a part: writes `path`.tmp,
// syncs it and renames it. On an error `path` is as before.
absl::Status WriteFileAtomically(const std::string& path,
                                 absl::string_view content);

// Like mkdir -p. OK when it is there already.
absl::Status MakeFolder(const std::string& path);

// A file mapped read-only for as long as this lives. Movable, thread-safe to
// read. If another process shortens the file, reading past its end raises
// SIGBUS, as for every mapping.
class MappedFile {
 public:
  static absl::StatusOr<MappedFile> Open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  absl::Span<const std::byte> bytes() const { return {data_, size_bytes_}; }

 private:
  MappedFile() = default;

  const std::byte* data_ = nullptr;
  size_t size_bytes_ = 0;
};

// The status for an errno of `operation` on `path`.
absl::Status ErrnoStatus(int error, absl::string_view operation,
                         absl::string_view path);

}  // namespace penstock

#endif  // PENSTOCK_BASE_FILE_H_
