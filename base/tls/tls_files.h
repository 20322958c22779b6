#ifndef PENSTOCK_BASE_TLS_TLS_FILES_H_
#define PENSTOCK_BASE_TLS_TLS_FILES_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/tls/certificate.h"

namespace penstock {

// The three PEM files that make a process known to others, and others to it.
struct TlsFiles {
  // Of the authority, or of several, one after another.
  std::string authority;
  std::string certificate;
  std::string key;

  friend bool operator==(const TlsFiles&, const TlsFiles&) = default;
};

// ca.crt, tls.crt and tls.key of `folder`.
TlsFiles TlsFilesIn(const std::string& folder);

// As people give them, by flag or otherwise; empty is not given.
struct TlsSetting {
  std::string folder;
  std::string authority;
  std::string certificate;
  std::string key;
};

// Nothing if nothing is given. A file that is given goes before the one in the
// folder.
//   INVALID_ARGUMENT  some are given, and one of the three is not.
absl::StatusOr<std::optional<TlsFiles>> FindTlsFiles(const TlsSetting& setting);

// Reads the files and checks that at `now` they can be used.
//   INVALID_ARGUMENT   one is not there, or not what it should be, or the key
//                      is another certificate's.
//   PERMISSION_DENIED  others than its owner can read the key; or the
//                      certificate is not the authority's.
//   FAILED_PRECONDITION  the certificate has expired, or is not valid yet.
// Each error names the file and says what to do.
absl::StatusOr<CertificateFacts> CheckTlsFiles(const TlsFiles& files,
                                               absl::Time now);

// The text of a file that holds a private key: INVALID_ARGUMENT and
// PERMISSION_DENIED as above.
absl::StatusOr<std::string> ReadKeyFile(const std::string& path);

// Writes a file that only its owner can read (mode 0600), replacing one
// atomically. Errors as WriteFileAtomically.
absl::Status WriteKeyFile(const std::string& path, const std::string& key);

}  // namespace penstock

#endif  // PENSTOCK_BASE_TLS_TLS_FILES_H_
