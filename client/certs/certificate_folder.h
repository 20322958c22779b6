#ifndef PENSTOCK_CLIENT_CERTS_CERTIFICATE_FOLDER_H_
#define PENSTOCK_CLIENT_CERTS_CERTIFICATE_FOLDER_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/tls/certificate.h"

namespace penstock {

// The folder in which an administrator keeps a cluster's certificates:
//
//   authority/ca.crt, ca.key          signs; stays here
//   NAME/ca.crt, tls.crt, tls.key     what the holder NAME gets as --tls-dir
//
// Keys have mode 0600. A holder's folder appears and changes as a whole, so
// that a process which watches its files never reads halves of two.

// One certificate of the folder, with where it is.
struct KeptCertificate {
  // Of the authority, its folder; else the holder's.
  std::string folder;
  CertificateFacts facts;
};

struct NewHolder {
  Identity identity;
  // At which it may be dialled; none: at any.
  std::vector<std::string> hosts;
  absl::Duration lifetime;
};

// Makes the folder with an authority and `holders`, all or nothing.
//   ALREADY_EXISTS    it has an authority, which is never replaced.
//   INVALID_ARGUMENT  as IssueCertificate.
absl::StatusOr<std::vector<KeptCertificate>> InitCertificates(
    const std::string& folder, const std::vector<NewHolder>& holders,
    absl::Time now);

// Adds one holder. Its certificate does not outlive the authority's.
//   ALREADY_EXISTS       there is a holder of this name.
//   INVALID_ARGUMENT     as IssueCertificate; or no authority is there.
//   PERMISSION_DENIED    others can read the authority's key.
//   FAILED_PRECONDITION  the authority has expired.
absl::StatusOr<KeptCertificate> IssueInto(const std::string& folder,
                                          const NewHolder& holder,
                                          absl::Time now);

// Gives the holders `names`, or all if it is empty, new keys and certificates
// with the same identity and hosts, valid for `lifetime` from now; without one,
// for as long as the last ones were. Errors as IssueInto, and INVALID_ARGUMENT
// for a name that is no holder's; holders before the one that failed have their
// new ones.
absl::StatusOr<std::vector<KeptCertificate>> RotateCertificates(
    const std::string& folder, const std::vector<std::string>& names,
    std::optional<absl::Duration> lifetime, absl::Time now);

// What is at `path`: all certificates of such a folder, the authority first and
// then holders by name; the one of a holder's folder; or that of a PEM file.
//   INVALID_ARGUMENT  it is none of them, or a file in it is garbled.
absl::StatusOr<std::vector<KeptCertificate>> FindCertificates(
    const std::string& path);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_CERTS_CERTIFICATE_FOLDER_H_
