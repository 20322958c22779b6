#ifndef PENSTOCK_BASE_TLS_TEST_CERTIFICATES_H_
#define PENSTOCK_BASE_TLS_TEST_CERTIFICATES_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/tls/tls_files.h"

namespace penstock {

// For tests: an authority, and the files of those that it vouches for. Failures
// to write fail the test.
class TestAuthority {
 public:
  // `folder` is made anew.
  explicit TestAuthority(std::string folder);

  // Writes (again) the three files of `identity` into a folder named like it;
  // valid from an hour ago until `lifetime` from now, which may be past.
  TlsFiles Issue(const Identity& identity, std::vector<std::string> hosts = {},
                 absl::Duration lifetime = absl::Hours(1)) const;

  const std::string& certificate() const { return made_.certificate; }

 private:
  const std::string folder_;
  KeyedCertificate made_;
};

}  // namespace penstock

#endif  // PENSTOCK_BASE_TLS_TEST_CERTIFICATES_H_
