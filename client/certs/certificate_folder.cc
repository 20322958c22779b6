#include "client/certs/certificate_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/suggest.h"
#include "base/tls/tls_files.h"

namespace penstock {
namespace {

constexpr char kAuthority[] = "authority";
constexpr absl::Duration kAuthorityLifetime = absl::Hours(24 * 365 * 10);
// Clocks of a cluster's machines differ.
constexpr absl::Duration kBackdated = absl::Minutes(10);

struct AuthorityFiles {
  explicit AuthorityFiles(const std::string& folder)
      : folder(absl::StrCat(folder, "/", kAuthority)),
        certificate(absl::StrCat(this->folder, "/ca.crt")),
        key(absl::StrCat(this->folder, "/ca.key")) {}
  const std::string folder;
  const std::string certificate;
  const std::string key;
};

// A new folder that only its owner can look into.
absl::Status MakePrivateFolder(const std::string& path) {
  PENSTOCK_RETURN_IF_ERROR(MakeFolder(path));
  if (chmod(path.c_str(), S_IRWXU) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, "set the mode of", path);
}

absl::StatusOr<KeyedCertificate> ReadAuthority(const std::string& folder,
                                               absl::Time now) {
  const AuthorityFiles files(folder);
  KeyedCertificate authority;
  absl::StatusOr<std::string> certificate = ReadFile(files.certificate);
  if (absl::IsNotFound(certificate.status())) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, " has no authority (", files.certificate,
                     "); make one with `penstock certs init ", folder, "`"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(authority.certificate, std::move(certificate));
  PENSTOCK_ASSIGN_OR_RETURN(authority.key, ReadKeyFile(files.key));
  PENSTOCK_ASSIGN_OR_RETURN(const CertificateFacts facts,
                            ReadCertificate(authority.certificate));
  if (facts.not_after > now) return authority;
  return absl::FailedPreconditionError(absl::StrCat(
      "the authority in ", files.folder,
      " has expired; make a new one with `penstock certs init` in another "
      "folder, and give its certificates to all machines"));
}

absl::StatusOr<KeyedCertificate> Issue(const KeyedCertificate& authority,
                                       const NewHolder& holder,
                                       absl::Time now) {
  PENSTOCK_ASSIGN_OR_RETURN(const CertificateFacts facts,
                            ReadCertificate(authority.certificate));
  CertificateRequest request;
  request.identity = holder.identity;
  request.hosts = holder.hosts;
  request.not_before = std::max(now - kBackdated, facts.not_before);
  request.not_after = std::min(now + holder.lifetime, facts.not_after);
  return IssueCertificate(authority, request);
}

absl::Status WriteHolder(const std::string& folder,
                         const std::string& authority,
                         const KeyedCertificate& holder) {
  const TlsFiles files = TlsFilesIn(folder);
  PENSTOCK_RETURN_IF_ERROR(MakeFolder(folder));
  PENSTOCK_RETURN_IF_ERROR(WriteFileAtomically(files.authority, authority));
  PENSTOCK_RETURN_IF_ERROR(
      WriteFileAtomically(files.certificate, holder.certificate));
  return WriteKeyFile(files.key, holder.key);
}

// Writes it beside, then lets it take the holder's place at once.
absl::StatusOr<KeptCertificate> PutHolder(const std::string& folder,
                                          const std::string& name,
                                          const std::string& authority,
                                          const KeyedCertificate& holder,
                                          bool replace) {
  KeptCertificate kept;
  kept.folder = absl::StrCat(folder, "/", name);
  PENSTOCK_ASSIGN_OR_RETURN(kept.facts, ReadCertificate(holder.certificate));
  const std::string next = absl::StrCat(folder, "/.", name, ".new");
  std::error_code error;
  std::filesystem::remove_all(next, error);
  PENSTOCK_RETURN_IF_ERROR(WriteHolder(next, authority, holder));
  const unsigned int how = replace ? RENAME_EXCHANGE : RENAME_NOREPLACE;
  if (renameat2(AT_FDCWD, next.c_str(), AT_FDCWD, kept.folder.c_str(), how) !=
      0) {
    const absl::Status status = ErrnoStatus(errno, "rename to", kept.folder);
    std::filesystem::remove_all(next, error);
    return status;
  }
  std::filesystem::remove_all(next, error);
  return kept;
}

absl::Status CheckHolder(const NewHolder& holder) {
  PENSTOCK_RETURN_IF_ERROR(CheckIdentityName(holder.identity.name));
  if (holder.identity.name != kAuthority) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("no holder can have the name \"", kAuthority,
                   "\": its folder is the authority's"));
}

absl::StatusOr<KeptCertificate> ReadKept(const std::string& folder,
                                         const std::string& file) {
  absl::StatusOr<std::string> pem = ReadFile(file);
  PENSTOCK_RETURN_IF_ERROR(pem.status());
  absl::StatusOr<CertificateFacts> facts = ReadCertificate(*pem);
  if (facts.ok()) return KeptCertificate{folder, *std::move(facts)};
  return absl::InvalidArgumentError(
      absl::StrCat(file, ": ", facts.status().message()));
}

// In order.
std::vector<std::string> HolderNames(const std::string& folder) {
  std::set<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (CheckIdentityName(name).ok() &&
        std::filesystem::exists(TlsFilesIn(entry.path()).certificate, error)) {
      names.insert(name);
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace

absl::StatusOr<std::vector<KeptCertificate>> InitCertificates(
    const std::string& folder, const std::vector<NewHolder>& holders,
    absl::Time now) {
  const AuthorityFiles files(folder);
  std::error_code error;
  if (std::filesystem::exists(files.folder, error)) {
    return absl::AlreadyExistsError(absl::StrCat(
        files.folder, " is there: a new authority would make every ",
        "certificate of the old one useless; take another folder, or `penstock "
        "certs rotate ",
        folder, "` for new certificates"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(
      const KeyedCertificate authority,
      MakeAuthority("penstock", now - kBackdated, now + kAuthorityLifetime));
  std::vector<KeyedCertificate> issued;
  for (const NewHolder& holder : holders) {
    PENSTOCK_RETURN_IF_ERROR(CheckHolder(holder));
    PENSTOCK_ASSIGN_OR_RETURN(KeyedCertificate made,
                              Issue(authority, holder, now));
    issued.push_back(std::move(made));
  }
  PENSTOCK_RETURN_IF_ERROR(MakeFolder(folder));
  PENSTOCK_RETURN_IF_ERROR(MakePrivateFolder(files.folder));
  PENSTOCK_RETURN_IF_ERROR(WriteKeyFile(files.key, authority.key));
  PENSTOCK_RETURN_IF_ERROR(
      WriteFileAtomically(files.certificate, authority.certificate));
  std::vector<KeptCertificate> kept;
  PENSTOCK_ASSIGN_OR_RETURN(KeptCertificate own,
                            ReadKept(files.folder, files.certificate));
  kept.push_back(std::move(own));
  for (size_t i = 0; i < issued.size(); ++i) {
    PENSTOCK_ASSIGN_OR_RETURN(
        KeptCertificate made,
        PutHolder(folder, holders[i].identity.name, authority.certificate,
                  issued[i], /*replace=*/false));
    kept.push_back(std::move(made));
  }
  return kept;
}

absl::StatusOr<KeptCertificate> IssueInto(const std::string& folder,
                                          const NewHolder& holder,
                                          absl::Time now) {
  PENSTOCK_RETURN_IF_ERROR(CheckHolder(holder));
  PENSTOCK_ASSIGN_OR_RETURN(const KeyedCertificate authority,
                            ReadAuthority(folder, now));
  const std::string& name = holder.identity.name;
  std::error_code error;
  if (std::filesystem::exists(absl::StrCat(folder, "/", name), error)) {
    return absl::AlreadyExistsError(absl::StrCat(
        folder, "/", name, " is there; take another name, or renew it with ",
        "`penstock certs rotate ", folder, " ", name, "`"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const KeyedCertificate issued,
                            Issue(authority, holder, now));
  return PutHolder(folder, name, authority.certificate, issued,
                   /*replace=*/false);
}

absl::StatusOr<std::vector<KeptCertificate>> RotateCertificates(
    const std::string& folder, const std::vector<std::string>& names,
    std::optional<absl::Duration> lifetime, absl::Time now) {
  PENSTOCK_ASSIGN_OR_RETURN(const KeyedCertificate authority,
                            ReadAuthority(folder, now));
  const std::vector<std::string> known = HolderNames(folder);
  for (const std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(folder, " has no certificate of \"", name, "\"",
                     DidYouMean(name, known), "; `penstock certs show ", folder,
                     "` lists them"));
  }
  std::vector<KeptCertificate> rotated;
  for (const std::string& name : names.empty() ? known : names) {
    const std::string path = absl::StrCat(folder, "/", name);
    PENSTOCK_ASSIGN_OR_RETURN(const KeptCertificate last,
                              ReadKept(path, TlsFilesIn(path).certificate));
    const NewHolder holder{
        last.facts.identity, last.facts.hosts,
        lifetime.value_or(last.facts.not_after - last.facts.not_before -
                          kBackdated)};
    PENSTOCK_ASSIGN_OR_RETURN(const KeyedCertificate issued,
                              Issue(authority, holder, now));
    PENSTOCK_ASSIGN_OR_RETURN(KeptCertificate kept,
                              PutHolder(folder, name, authority.certificate,
                                        issued, /*replace=*/true));
    rotated.push_back(std::move(kept));
  }
  return rotated;
}

absl::StatusOr<std::vector<KeptCertificate>> FindCertificates(
    const std::string& path) {
  std::error_code error;
  std::vector<std::pair<std::string, std::string>> places;
  const AuthorityFiles authority(path);
  if (std::filesystem::is_regular_file(path, error)) {
    places.emplace_back(path, path);
  } else if (std::filesystem::exists(authority.certificate, error)) {
    places.emplace_back(authority.folder, authority.certificate);
    for (const std::string& name : HolderNames(path)) {
      const std::string folder = absl::StrCat(path, "/", name);
      places.emplace_back(folder, TlsFilesIn(folder).certificate);
    }
  } else if (std::filesystem::exists(TlsFilesIn(path).certificate, error)) {
    places.emplace_back(path, TlsFilesIn(path).certificate);
  } else {
    return absl::InvalidArgumentError(absl::StrCat(
        path,
        " has no certificates: wanted a folder of `penstock certs init`, "
        "one of a holder in it, or a PEM file"));
  }
  std::vector<KeptCertificate> found;
  for (const auto& [folder, file] : places) {
    PENSTOCK_ASSIGN_OR_RETURN(KeptCertificate kept, ReadKept(folder, file));
    found.push_back(std::move(kept));
  }
  return found;
}

}  // namespace penstock
