#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "checkpoint/files/file_system.h"

namespace penstock {
namespace {

// An open descriptor. Movable.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int value() const { return fd_; }

 private:
  int fd_;
};

absl::StatusOr<Descriptor> OpenPath(const std::string& path, int flags,
                                    absl::string_view verb) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoStatus(errno, verb, path);
  return Descriptor(fd);
}

absl::StatusOr<int64_t> SizeOf(const Descriptor& file,
                               const std::string& path) {
  struct stat info;
  if (fstat(file.value(), &info) != 0) {
    return ErrnoStatus(errno, "look at", path);
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::UnknownError(absl::StrCat(path, " is no file"));
  }
  return int64_t{info.st_size};
}

class PosixWritableFile : public WritableFile {
 public:
  PosixWritableFile(Descriptor file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}

  absl::Status Append(absl::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t put = write(file_.value(), bytes.data(), bytes.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return ErrnoStatus(errno, "write", path_);
      bytes.remove_prefix(put);
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    if (fdatasync(file_.value()) != 0) {
      return ErrnoStatus(errno, "sync", path_);
    }
    return absl::OkStatus();
  }

 private:
  const Descriptor file_;
  const std::string path_;
};

class PosixReadableFile : public ReadableFile {
 public:
  PosixReadableFile(Descriptor file, int64_t size_bytes, std::string path)
      : file_(std::move(file)),
        size_bytes_(size_bytes),
        path_(std::move(path)) {}

  int64_t size_bytes() const override { return size_bytes_; }

  absl::StatusOr<std::string> Read(int64_t offset,
                                   int64_t size_bytes) const override {
    if (offset < 0 || size_bytes < 0 || size_bytes > size_bytes_ - offset) {
      return EndsBefore(offset, size_bytes);
    }
    std::string bytes(size_bytes, '\0');
    for (int64_t done = 0; done < size_bytes;) {
      const ssize_t got = pread(file_.value(), bytes.data() + done,
                                size_bytes - done, offset + done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoStatus(errno, "read", path_);
      // Somebody has made it shorter.
      if (got == 0) return EndsBefore(offset, size_bytes);
      done += got;
    }
    return bytes;
  }

 private:
  absl::Status EndsBefore(int64_t offset, int64_t size_bytes) const {
    return absl::OutOfRangeError(
        absl::StrCat("cannot read ", size_bytes, " bytes from byte ", offset,
                     " of ", path_, ": it has ", size_bytes_));
  }

  const Descriptor file_;
  const int64_t size_bytes_;
  const std::string path_;
};

class PosixFileSystem : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<WritableFile>> Create(
      const std::string& path) override {
    PENSTOCK_ASSIGN_OR_RETURN(
        Descriptor file,
        OpenPath(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, "write"));
    return std::make_unique<PosixWritableFile>(std::move(file), path);
  }

  absl::StatusOr<std::unique_ptr<WritableFile>> Continue(
      const std::string& path, int64_t size_bytes) override {
    PENSTOCK_ASSIGN_OR_RETURN(
        Descriptor file,
        OpenPath(path, O_WRONLY | O_APPEND | O_NOFOLLOW, "write"));
    PENSTOCK_ASSIGN_OR_RETURN(const int64_t present, SizeOf(file, path));
    if (present < size_bytes) {
      return absl::OutOfRangeError(absl::StrCat("cannot go on at byte ",
                                                size_bytes, " of ", path,
                                                ": it has ", present));
    }
    if (ftruncate(file.value(), size_bytes) != 0) {
      return ErrnoStatus(errno, "cut", path);
    }
    return std::make_unique<PosixWritableFile>(std::move(file), path);
  }

  absl::StatusOr<std::unique_ptr<ReadableFile>> Open(
      const std::string& path) const override {
    PENSTOCK_ASSIGN_OR_RETURN(Descriptor file,
                              OpenPath(path, O_RDONLY | O_NOFOLLOW, "read"));
    PENSTOCK_ASSIGN_OR_RETURN(const int64_t size_bytes, SizeOf(file, path));
    return std::make_unique<PosixReadableFile>(std::move(file), size_bytes,
                                               path);
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
    return ErrnoStatus(errno, absl::StrCat("rename ", from, " to"), to);
  }

  absl::Status Remove(const std::string& path) override {
    std::error_code error;
    std::filesystem::remove(path, error);
    if (error) return ErrnoStatus(error.value(), "remove", path);
    return absl::OkStatus();
  }

  absl::Status SyncFolder(const std::string& path) override {
    PENSTOCK_ASSIGN_OR_RETURN(
        const Descriptor folder,
        OpenPath(path, O_RDONLY | O_DIRECTORY, "sync folder"));
    if (fsync(folder.value()) != 0) {
      return ErrnoStatus(errno, "sync folder", path);
    }
    return absl::OkStatus();
  }

  absl::Status MakeFolder(const std::string& path) override {
    return ::penstock::MakeFolder(path);
  }

  absl::StatusOr<PathKind> KindOf(const std::string& path) const override {
    struct stat info;
    if (lstat(path.c_str(), &info) != 0) {
      return ErrnoStatus(errno, "look at", path);
    }
    if (S_ISREG(info.st_mode)) return PathKind::kFile;
    return S_ISDIR(info.st_mode) ? PathKind::kFolder : PathKind::kOther;
  }

  absl::StatusOr<std::vector<std::string>> List(
      const std::string& path) const override {
    std::error_code error;
    std::filesystem::directory_iterator entry(path, error);
    std::vector<std::string> names;
    while (!error && entry != std::filesystem::directory_iterator()) {
      names.push_back(entry->path().filename());
      entry.increment(error);
    }
    if (error) return ErrnoStatus(error.value(), "list", path);
    std::sort(names.begin(), names.end());
    return names;
  }
};

}  // namespace

std::unique_ptr<FileSystem> MakePosixFileSystem() {
  return std::make_unique<PosixFileSystem>();
}

}  // namespace penstock
