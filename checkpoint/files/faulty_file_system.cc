#include "checkpoint/files/faulty_file_system.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

absl::Status NoSuch(absl::string_view path) {
  return absl::NotFoundError(absl::StrCat("there is no ", path));
}

class Snapshot : public ReadableFile {
 public:
  explicit Snapshot(std::string bytes) : bytes_(std::move(bytes)) {}

  int64_t size_bytes() const override {
    return static_cast<int64_t>(bytes_.size());
  }
  absl::StatusOr<std::string> Read(int64_t offset,
                                   int64_t size_bytes) const override {
    if (offset < 0 || size_bytes < 0 ||
        size_bytes > this->size_bytes() - offset) {
      return absl::OutOfRangeError("beyond the end of the file");
    }
    return bytes_.substr(offset, size_bytes);
  }

 private:
  const std::string bytes_;
};

}  // namespace

class FaultyFileSystem::Appender : public WritableFile {
 public:
  Appender(FaultyFileSystem* files, std::shared_ptr<Content> content,
           int64_t start, std::string path)
      : files_(files),
        content_(std::move(content)),
        start_(start),
        path_(std::move(path)) {}

  absl::Status Append(absl::string_view bytes) override {
    return files_->Append(*content_, start_, path_, bytes);
  }
  absl::Status Sync() override {
    return files_->Sync(*content_, start_, path_);
  }

 private:
  FaultyFileSystem* const files_;
  const std::shared_ptr<Content> content_;
  const int64_t start_;
  const std::string path_;
};

void FaultyFileSystem::FailAt(int64_t operation, FileFault fault) {
  MutexLock lock(&mutex_);
  fault_ = {num_operations_ + operation, fault};
}

int64_t FaultyFileSystem::num_operations() const {
  MutexLock lock(&mutex_);
  return num_operations_;
}

void FaultyFileSystem::Restart(uint64_t seed) {
  MutexLock lock(&mutex_);
  std::mt19937_64 random(seed);
  std::set<std::string> changed;
  for (const Names* names : {&names_, &durable_names_}) {
    for (const auto& [path, content] : *names) changed.insert(path);
  }
  Names left;
  for (const std::string& path : changed) {
    const Names& from = random() % 2 == 0 ? names_ : durable_names_;
    if (const auto it = from.find(path); it != from.end()) left.insert(*it);
  }
  for (auto& [path, content] : left) {
    // Two names may have one content: draw for it once.
    if (content->num_synced == content->bytes.size()) continue;
    const size_t unsynced = content->bytes.size() - content->num_synced;
    content->bytes.resize(content->num_synced + random() % (unsynced + 1));
    if (content->bytes.size() > content->num_synced && random() % 2 == 0) {
      content->bytes.back() = static_cast<char>(random());
    }
    content->num_synced = content->bytes.size();
  }
  names_ = left;
  durable_names_ = std::move(left);
  has_crashed_ = false;
  fault_.reset();
  ++start_;
}

absl::Status FaultyFileSystem::Count(const std::string& path,
                                     bool* writes_half) const {
  const int64_t number = num_operations_++;
  if (has_crashed_) return absl::AbortedError("the machine has ended");
  if (!fault_.has_value() || fault_->first != number) return absl::OkStatus();
  switch (fault_->second) {
    case FileFault::kShortWrite:
      if (writes_half != nullptr) *writes_half = true;
      [[fallthrough]];
    case FileFault::kNoSpace:
      return absl::ResourceExhaustedError(
          absl::StrCat("no space left for ", path));
    case FileFault::kIoError:
      return absl::UnknownError(absl::StrCat("input/output error at ", path));
    case FileFault::kCrash:
      has_crashed_ = true;
      // Of what was under way, anything may have been done.
      if (writes_half != nullptr) *writes_half = true;
      return absl::AbortedError("the machine has ended");
  }
  return absl::OkStatus();
}

absl::Status FaultyFileSystem::CheckFolder(const std::string& path) const {
  if (folders_.contains(FolderOf(path))) return absl::OkStatus();
  return NoSuch(FolderOf(path));
}

absl::Status FaultyFileSystem::Append(Content& content, int64_t start,
                                      const std::string& path,
                                      absl::string_view bytes) {
  MutexLock lock(&mutex_);
  if (start != start_) return absl::AbortedError("the machine has ended");
  bool writes_half = false;
  const absl::Status status = Count(path, &writes_half);
  if (writes_half) bytes = bytes.substr(0, bytes.size() / 2);
  if (status.ok() || writes_half)
    content.bytes.append(bytes.data(), bytes.size());
  return status;
}

absl::Status FaultyFileSystem::Sync(Content& content, int64_t start,
                                    const std::string& path) {
  MutexLock lock(&mutex_);
  if (start != start_) return absl::AbortedError("the machine has ended");
  PENSTOCK_RETURN_IF_ERROR(Count(path));
  content.num_synced = content.bytes.size();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<WritableFile>> FaultyFileSystem::Create(
    const std::string& path) {
  MutexLock lock(&mutex_);
  PENSTOCK_RETURN_IF_ERROR(Count(path));
  PENSTOCK_RETURN_IF_ERROR(CheckFolder(path));
  // Cut to nothing in place, where it is there: a crash may keep that.
  auto& content = names_[path];
  if (content == nullptr) content = std::make_shared<Content>();
  *content = {};
  return std::make_unique<Appender>(this, content, start_, path);
}

absl::StatusOr<std::unique_ptr<WritableFile>> FaultyFileSystem::Continue(
    const std::string& path, int64_t size_bytes) {
  MutexLock lock(&mutex_);
  PENSTOCK_RETURN_IF_ERROR(Count(path));
  const auto it = names_.find(path);
  if (it == names_.end()) return NoSuch(path);
  Content& content = *it->second;
  if (static_cast<int64_t>(content.bytes.size()) < size_bytes) {
    return absl::OutOfRangeError(
        absl::StrCat(path, " has ", content.bytes.size(), " bytes, want ",
                     size_bytes, " to go on after"));
  }
  content.bytes.resize(size_bytes);
  content.num_synced = std::min(content.num_synced, content.bytes.size());
  return std::make_unique<Appender>(this, it->second, start_, path);
}

absl::StatusOr<std::unique_ptr<ReadableFile>> FaultyFileSystem::Open(
    const std::string& path) const {
  MutexLock lock(&mutex_);
  PENSTOCK_RETURN_IF_ERROR(Count(path));
  const auto it = names_.find(path);
  if (it == names_.end()) return NoSuch(path);
  return std::make_unique<Snapshot>(it->second->bytes);
}

absl::Status FaultyFileSystem::Rename(const std::string& from,
                                      const std::string& to) {
  MutexLock lock(&mutex_);
  PENSTOCK_RETURN_IF_ERROR(Count(to));
  const auto it = names_.find(from);
  if (it == names_.end()) return NoSuch(from);
  PENSTOCK_RETURN_IF_ERROR(CheckFolder(to));
  names_[to] = it->second;
  names_.erase(from);
  return absl::OkStatus();
}

absl::Status FaultyFileSystem::Remove(const std::string& path) {
  MutexLock lock(&mutex_);
  PENSTOCK_RETURN_IF_ERROR(Count(path));
  if (names_.erase(path) > 0 || !folders_.contains(path)) {
    return absl::OkStatus();
  }
  const std::string inside = absl::StrCat(path, "/");
  const bool is_empty =
      std::none_of(names_.begin(), names_.end(),
                   [&](const auto& entry) {
                     return absl::StartsWith(entry.first, inside);
                   }) &&
      std::none_of(folders_.begin(), folders_.end(), [&](const auto& folder) {
        return absl::StartsWith(folder, inside);
      });
  if (!is_empty) {
    return absl::UnknownError(absl::StrCat(path, " is not empty"));
  }
  folders_.erase(path);
  return absl::OkStatus();
}

absl::Status FaultyFileSystem::SyncFolder(const std::string& path) {
  MutexLock lock(&mutex_);
  PENSTOCK_RETURN_IF_ERROR(Count(path));
  if (!folders_.contains(path)) return NoSuch(path);
  std::erase_if(durable_names_, [&](const auto& entry) {
    return FolderOf(entry.first) == path;
  });
  for (const auto& [name, content] : names_) {
    if (FolderOf(name) == path) durable_names_[name] = content;
  }
  return absl::OkStatus();
}

absl::Status FaultyFileSystem::MakeFolder(const std::string& path) {
  MutexLock lock(&mutex_);
  PENSTOCK_RETURN_IF_ERROR(Count(path));
  for (std::string folder = path; folders_.insert(folder).second;) {
    folder = FolderOf(folder);
  }
  return absl::OkStatus();
}

absl::StatusOr<PathKind> FaultyFileSystem::KindOf(
    const std::string& path) const {
  MutexLock lock(&mutex_);
  PENSTOCK_RETURN_IF_ERROR(Count(path));
  if (names_.contains(path)) return PathKind::kFile;
  if (folders_.contains(path)) return PathKind::kFolder;
  return NoSuch(path);
}

absl::StatusOr<std::vector<std::string>> FaultyFileSystem::List(
    const std::string& path) const {
  MutexLock lock(&mutex_);
  PENSTOCK_RETURN_IF_ERROR(Count(path));
  if (!folders_.contains(path)) return NoSuch(path);
  std::vector<std::string> names;
  const size_t start = path.size() + 1;
  for (const auto& [name, content] : names_) {
    if (FolderOf(name) == path) names.push_back(name.substr(start));
  }
  for (const std::string& folder : folders_) {
    if (folder != path && FolderOf(folder) == path) {
      names.push_back(folder.substr(start));
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace penstock
