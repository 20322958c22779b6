#include "base/tls/tls_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

constexpr mode_t kOthers = S_IRWXG | S_IRWXO;

// A file that is not there is the fault of who named it.
absl::StatusOr<std::string> Read(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!absl::IsNotFound(text.status())) return text;
  return absl::InvalidArgumentError(
      absl::StrCat(text.status().message(),
                   "; make certificates with `penstock certs init`"));
}

absl::Status Named(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(path, ": ", status.message()));
}

}  // namespace

TlsFiles TlsFilesIn(const std::string& folder) {
  return {absl::StrCat(folder, "/ca.crt"), absl::StrCat(folder, "/tls.crt"),
          absl::StrCat(folder, "/tls.key")};
}

absl::StatusOr<std::optional<TlsFiles>> FindTlsFiles(
    const TlsSetting& setting) {
  TlsFiles files;
  if (!setting.folder.empty()) files = TlsFilesIn(setting.folder);
  if (!setting.authority.empty()) files.authority = setting.authority;
  if (!setting.certificate.empty()) files.certificate = setting.certificate;
  if (!setting.key.empty()) files.key = setting.key;
  if (files == TlsFiles()) return std::nullopt;
  for (const auto& [path, flag] : {std::pair(&files.authority, "--tls-ca"),
                                   std::pair(&files.certificate, "--tls-cert"),
                                   std::pair(&files.key, "--tls-key")}) {
    if (!path->empty()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        flag,
        " is missing: TLS wants --tls-ca, --tls-cert and --tls-key, or "
        "--tls-dir with ca.crt, tls.crt and tls.key in it"));
  }
  return files;
}

absl::StatusOr<CertificateFacts> CheckTlsFiles(const TlsFiles& files,
                                               absl::Time now) {
  KeyedCertificate holder;
  PENSTOCK_ASSIGN_OR_RETURN(const std::string authorities,
                            Read(files.authority));
  PENSTOCK_ASSIGN_OR_RETURN(holder.certificate, Read(files.certificate));
  PENSTOCK_ASSIGN_OR_RETURN(holder.key, ReadKeyFile(files.key));
  const absl::StatusOr<CertificateFacts> facts =
      ReadCertificate(holder.certificate);
  if (!facts.ok()) return Named(files.certificate, facts.status());
  if (facts->is_authority) {
    return absl::InvalidArgumentError(absl::StrCat(
        files.certificate, ": this is an authority's certificate, which no ",
        "process serves with; make one with `penstock certs issue`"));
  }
  const absl::Status authority = ReadCertificate(authorities).status();
  if (!authority.ok()) return Named(files.authority, authority);
  const absl::Status usable = CheckCertificate(holder, authorities, now);
  if (!usable.ok()) {
    return Named(absl::StrCat(files.certificate, " with ", files.key, " and ",
                              files.authority),
                 usable);
  }
  return facts;
}

absl::StatusOr<std::string> ReadKeyFile(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && (info.st_mode & kOthers) != 0) {
    return absl::PermissionDeniedError(absl::StrFormat(
        "key file %s can be read by others (mode %04o); run: chmod 600 %s",
        path, info.st_mode & 07777, path));
  }
  return Read(path);
}

absl::Status WriteKeyFile(const std::string& path, const std::string& key) {
  // WriteFileAtomically writes beside it first, with the mode that is there.
  const std::string part = absl::StrCat(path, ".tmp");
  unlink(part.c_str());
  const int fd = open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                      S_IRUSR | S_IWUSR);
  if (fd < 0) return ErrnoStatus(errno, "write", part);
  close(fd);
  return WriteFileAtomically(path, key);
}

}  // namespace penstock
