#ifndef PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_FILE_DESCRIPTOR_H_
#define PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_FILE_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace penstock {

// Owns a file descriptor, or none (-1).
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int value) : value_(value) {}
  FileDescriptor(FileDescriptor&& other) noexcept
      : value_(std::exchange(other.value_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~FileDescriptor() {
    if (value_ >= 0) close(value_);
  }

  int value() const { return value_; }
  bool is_open() const { return value_ >= 0; }

 private:
  int value_ = -1;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_FILE_DESCRIPTOR_H_
