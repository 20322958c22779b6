#ifndef PENSTOCK_BASE_TLS_CERTIFICATE_H_
#define PENSTOCK_BASE_TLS_CERTIFICATE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/tls/identity.h"

namespace penstock {

// X.509 certificates (RFC 5280) with ECDSA keys on P-256, as PEM text. A
// cluster has one authority, which signs a certificate for each holder; the
// holder's identity is a URI among the alternative names. Pure but for the
// randomness of keys and serial numbers, which OpenSSL draws.

struct KeyedCertificate {
  // PEM. `key` is secret, and not encrypted.
  std::string certificate;
  std::string key;
};

// A new authority, which can sign holders' certificates but no other authority.
// `name` is for people.
absl::StatusOr<KeyedCertificate> MakeAuthority(const std::string& name,
                                               absl::Time not_before,
                                               absl::Time not_after);

// What to put into a holder's certificate.
struct CertificateRequest {
  Identity identity;
  // Names and addresses (10.0.0.1, ::1) at which it may be dialled; none: at
  // any.
  std::vector<std::string> hosts;
  absl::Time not_before;
  absl::Time not_after;
};

// A new key, and its certificate signed by `authority`.
//   INVALID_ARGUMENT  a host is no host's name and no address; the authority's
//                     certificate or key is none, or they are not of each
//                     other.
absl::StatusOr<KeyedCertificate> IssueCertificate(
    const KeyedCertificate& authority, const CertificateRequest& request);

// What a certificate says.
struct CertificateFacts {
  // Meaningless of an authority.
  Identity identity;
  std::vector<std::string> hosts;
  absl::Time not_before;
  absl::Time not_after;
  bool is_authority = false;
  // SHA-256 of the certificate, in lower-case hexadecimal.
  std::string fingerprint;
};

// Reads the first certificate of a PEM text.
//   INVALID_ARGUMENT  there is none, or it names no identity and is no
//                     authority.
absl::StatusOr<CertificateFacts> ReadCertificate(const std::string& pem);

// Whether `holder` can be used at `now` with those who trust `authorities`, one
// certificate or several one after another.
//   INVALID_ARGUMENT     one of the texts is not what it should be, or the key
//                        is another certificate's.
//   PERMISSION_DENIED    none of the authorities signed it.
//   FAILED_PRECONDITION  it, or the authority's certificate, has expired or is
//                        not valid yet.
absl::Status CheckCertificate(const KeyedCertificate& holder,
                              const std::string& authorities, absl::Time now);

}  // namespace penstock

#endif  // PENSTOCK_BASE_TLS_CERTIFICATE_H_
