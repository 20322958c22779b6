#include "base/tls/test_certificates.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/file.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

constexpr absl::Duration kBackdated = absl::Hours(1);

}  // namespace

TestAuthority::TestAuthority(std::string folder) : folder_(std::move(folder)) {
  std::filesystem::remove_all(folder_);
  const absl::Time now = SystemClock().Now();
  auto made = MakeAuthority("test", now - kBackdated, now + absl::Hours(24));
  EXPECT_TRUE(made.ok()) << made.status();
  made_ = *std::move(made);
}

TlsFiles TestAuthority::Issue(const Identity& identity,
                              std::vector<std::string> hosts,
                              absl::Duration lifetime) const {
  const std::string folder = absl::StrCat(folder_, "/", ToString(identity));
  EXPECT_TRUE(MakeFolder(folder).ok());
  const TlsFiles files = TlsFilesIn(folder);
  const absl::Time now = SystemClock().Now();
  const auto made = IssueCertificate(
      made_, {identity, std::move(hosts), now - kBackdated, now + lifetime});
  EXPECT_TRUE(made.ok()) << made.status();
  EXPECT_TRUE(WriteFileAtomically(files.authority, made_.certificate).ok());
  EXPECT_TRUE(WriteFileAtomically(files.certificate, made->certificate).ok());
  EXPECT_TRUE(WriteKeyFile(files.key, made->key).ok());
  return files;
}

}  // namespace penstock
