#include "checkpoint/files/memory_file_system.h"

#include <algorithm>
#include <map>
#include <new>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

constexpr size_t kBlockBytes = size_t{1} << 20;

absl::Status NoSuch(const std::string& path) {
  return absl::NotFoundError(absl::StrCat("there is no ", path));
}

// What a name stands for. Only grows. Thread-safe.
class Content {
 public:
  absl::Status Append(absl::string_view bytes) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    try {
      while (!bytes.empty()) {
        if (blocks_.empty() || blocks_.back().size() == kBlockBytes) {
          blocks_.emplace_back();
          blocks_.back().reserve(std::min(kBlockBytes, bytes.size()));
        }
        std::string& block = blocks_.back();
        const absl::string_view piece =
            bytes.substr(0, kBlockBytes - block.size());
        block.append(piece.data(), piece.size());
        size_bytes_ += static_cast<int64_t>(piece.size());
        bytes.remove_prefix(piece.size());
      }
    } catch (const std::bad_alloc&) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "no memory left for ", bytes.size(), " bytes after ", size_bytes_));
    }
    return absl::OkStatus();
  }

  // Requires: within the size.
  std::string Read(int64_t offset, int64_t size_bytes) const
      ABSL_LOCKS_EXCLUDED(mutex_) {
    std::string bytes;
    bytes.reserve(static_cast<size_t>(size_bytes));
    MutexLock lock(&mutex_);
    auto begin = static_cast<size_t>(offset);
    const auto end = static_cast<size_t>(offset + size_bytes);
    while (begin < end) {
      const std::string& block = blocks_[begin / kBlockBytes];
      const size_t within = begin % kBlockBytes;
      const size_t count = std::min(end - begin, kBlockBytes - within);
      bytes.append(block, within, count);
      begin += count;
    }
    return bytes;
  }

  int64_t size_bytes() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return size_bytes_;
  }

 private:
  mutable Mutex mutex_;
  // All but the last one of kBlockBytes.
  std::vector<std::string> blocks_ ABSL_GUARDED_BY(mutex_);
  int64_t size_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

class MemoryWritableFile : public WritableFile {
 public:
  explicit MemoryWritableFile(std::shared_ptr<Content> content)
      : content_(std::move(content)) {}

  absl::Status Append(absl::string_view bytes) override {
    return content_->Append(bytes);
  }
  absl::Status Sync() override { return absl::OkStatus(); }

 private:
  const std::shared_ptr<Content> content_;
};

class MemoryReadableFile : public ReadableFile {
 public:
  explicit MemoryReadableFile(std::shared_ptr<const Content> content)
      : content_(std::move(content)), size_bytes_(content_->size_bytes()) {}

  int64_t size_bytes() const override { return size_bytes_; }
  absl::StatusOr<std::string> Read(int64_t offset,
                                   int64_t size_bytes) const override {
    if (offset < 0 || size_bytes < 0 || size_bytes > size_bytes_ - offset) {
      return absl::OutOfRangeError(absl::StrCat("cannot read ", size_bytes,
                                                " bytes from byte ", offset,
                                                " of ", size_bytes_));
    }
    return content_->Read(offset, size_bytes);
  }

 private:
  const std::shared_ptr<const Content> content_;
  // When it was opened.
  const int64_t size_bytes_;
};

class MemoryFileSystem : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<WritableFile>> Create(
      const std::string& path) override {
    return Begin(path, std::make_shared<Content>());
  }

  absl::StatusOr<std::unique_ptr<WritableFile>> Continue(
      const std::string& path, int64_t size_bytes) override {
    PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<Content> old, Find(path));
    if (old->size_bytes() < size_bytes) {
      return absl::OutOfRangeError(
          absl::StrCat(path, " has ", old->size_bytes(), " bytes, want ",
                       size_bytes, " to go on after"));
    }
    // Another one: who has the old one open goes on seeing that.
    auto content = std::make_shared<Content>();
    for (int64_t begin = 0; begin < size_bytes;) {
      const int64_t size =
          std::min(static_cast<int64_t>(kBlockBytes), size_bytes - begin);
      PENSTOCK_RETURN_IF_ERROR(content->Append(old->Read(begin, size)));
      begin += size;
    }
    return Begin(path, std::move(content));
  }

  absl::StatusOr<std::unique_ptr<ReadableFile>> Open(
      const std::string& path) const override {
    PENSTOCK_ASSIGN_OR_RETURN(std::shared_ptr<Content> content, Find(path));
    return std::make_unique<MemoryReadableFile>(std::move(content));
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    MutexLock lock(&mutex_);
    const auto it = files_.find(from);
    if (it == files_.end()) return NoSuch(from);
    if (!folders_.contains(FolderOf(to))) return NoSuch(FolderOf(to));
    std::shared_ptr<Content> content = std::move(it->second);
    files_.erase(it);
    files_[to] = std::move(content);
    return absl::OkStatus();
  }

  absl::Status Remove(const std::string& path) override {
    // Given back after the lock: much memory takes its time.
    std::shared_ptr<Content> removed;
    MutexLock lock(&mutex_);
    if (const auto it = files_.find(path); it != files_.end()) {
      removed = std::move(it->second);
      files_.erase(it);
      return absl::OkStatus();
    }
    const std::string inside = absl::StrCat(path, "/");
    const auto file = files_.lower_bound(inside);
    const auto folder = folders_.lower_bound(inside);
    if ((file != files_.end() && absl::StartsWith(file->first, inside)) ||
        (folder != folders_.end() && absl::StartsWith(*folder, inside))) {
      return absl::UnknownError(absl::StrCat(path, " is not empty"));
    }
    folders_.erase(path);
    return absl::OkStatus();
  }

  absl::Status SyncFolder(const std::string& path) override {
    MutexLock lock(&mutex_);
    return folders_.contains(path) ? absl::OkStatus() : NoSuch(path);
  }

  absl::Status MakeFolder(const std::string& path) override {
    MutexLock lock(&mutex_);
    for (std::string folder = path; folders_.insert(folder).second;) {
      folder = FolderOf(folder);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<PathKind> KindOf(const std::string& path) const override {
    MutexLock lock(&mutex_);
    if (files_.contains(path)) return PathKind::kFile;
    if (folders_.contains(path)) return PathKind::kFolder;
    return NoSuch(path);
  }

  absl::StatusOr<std::vector<std::string>> List(
      const std::string& path) const override {
    MutexLock lock(&mutex_);
    if (!folders_.contains(path)) return NoSuch(path);
    const std::string inside = absl::StrCat(path, "/");
    std::vector<std::string> names;
    const auto add = [&](const std::string& name) {
      if (!absl::StartsWith(name, inside)) return false;
      if (FolderOf(name) == path) names.push_back(name.substr(inside.size()));
      return true;
    };
    for (auto it = files_.lower_bound(inside);
         it != files_.end() && add(it->first); ++it) {
    }
    for (auto it = folders_.lower_bound(inside);
         it != folders_.end() && add(*it); ++it) {
    }
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  absl::StatusOr<std::unique_ptr<WritableFile>> Begin(
      const std::string& path, std::shared_ptr<Content> content) {
    MutexLock lock(&mutex_);
    if (!folders_.contains(FolderOf(path))) return NoSuch(FolderOf(path));
    files_[path] = content;
    return std::make_unique<MemoryWritableFile>(std::move(content));
  }

  absl::StatusOr<std::shared_ptr<Content>> Find(const std::string& path) const {
    MutexLock lock(&mutex_);
    const auto it = files_.find(path);
    if (it == files_.end()) return NoSuch(path);
    return it->second;
  }

  mutable Mutex mutex_;
  std::map<std::string, std::shared_ptr<Content>> files_
      ABSL_GUARDED_BY(mutex_);
  std::set<std::string> folders_ ABSL_GUARDED_BY(mutex_) = {"/", "."};
};

}  // namespace

std::unique_ptr<FileSystem> MakeMemoryFileSystem() {
  return std::make_unique<MemoryFileSystem>();
}

}  // namespace penstock
