#include "client/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

using Archive = std::unique_ptr<archive, int (*)(archive*)>;
using Entry = std::unique_ptr<archive_entry, void (*)(archive_entry*)>;

absl::Status Check(archive* writer, int64_t result, const std::string& path) {
  if (result >= 0) return absl::OkStatus();
  return absl::UnknownError(
      absl::StrCat("cannot write ", path, ": ", archive_error_string(writer)));
}

absl::Status Add(archive* writer, const std::string& path,
                 const std::string& folder, const ArchivedFile& file,
                 absl::Time now) {
  const Entry entry(archive_entry_new(), archive_entry_free);
  archive_entry_set_pathname(entry.get(),
                             absl::StrCat(folder, "/", file.name).c_str());
  archive_entry_set_size(entry.get(),
                         static_cast<int64_t>(file.content.size()));
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0600);
  archive_entry_set_mtime(entry.get(), absl::ToUnixSeconds(now), 0);
  PENSTOCK_RETURN_IF_ERROR(
      Check(writer, archive_write_header(writer, entry.get()), path));
  return Check(
      writer,
      archive_write_data(writer, file.content.data(), file.content.size()),
      path);
}

absl::Status WriteAll(int fd, const std::string& path,
                      const std::string& folder,
                      const std::vector<ArchivedFile>& files, absl::Time now) {
  const Archive writer(archive_write_new(), archive_write_free);
  PENSTOCK_RETURN_IF_ERROR(
      Check(writer.get(), archive_write_add_filter_gzip(writer.get()), path));
  PENSTOCK_RETURN_IF_ERROR(
      Check(writer.get(), archive_write_set_format_pax_restricted(writer.get()),
            path));
  PENSTOCK_RETURN_IF_ERROR(
      Check(writer.get(), archive_write_open_fd(writer.get(), fd), path));
  for (const ArchivedFile& file : files) {
    PENSTOCK_RETURN_IF_ERROR(Add(writer.get(), path, folder, file, now));
  }
  PENSTOCK_RETURN_IF_ERROR(
      Check(writer.get(), archive_write_close(writer.get()), path));
  if (fsync(fd) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
}

}  // namespace

absl::Status WriteArchive(const std::string& path, const std::string& folder,
                          const std::vector<ArchivedFile>& files,
                          absl::Time now) {
  const std::string partial = absl::StrCat(path, ".", getpid(), ".partial");
  const int fd =
      open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  }
  absl::Status status = WriteAll(fd, path, folder, files, now);
  close(fd);
  // Unlike a rename, a link does not replace what is there.
  if (status.ok() && link(partial.c_str(), path.c_str()) != 0) {
    status = absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  }
  unlink(partial.c_str());
  return status;
}

}  // namespace penstock
