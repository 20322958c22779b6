#include "base/tls/certificate.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// A whole number of seconds, as certificates have.
const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
constexpr absl::Duration kYear = absl::Hours(24 * 365);

KeyedCertificate Authority() {
  const auto made = MakeAuthority("test", kNow, kNow + 10 * kYear);
  EXPECT_TRUE(made.ok()) << made.status();
  return made.value_or(KeyedCertificate());
}

KeyedCertificate Issue(const KeyedCertificate& authority, Identity identity,
                       std::vector<std::string> hosts = {}) {
  const auto made = IssueCertificate(
      authority, {identity, std::move(hosts), kNow, kNow + kYear});
  EXPECT_TRUE(made.ok()) << made.status();
  return made.value_or(KeyedCertificate());
}

std::string Message(const absl::Status& status) {
  return std::string(status.message());
}

TEST(CertificateTest, SaysWhatWasAskedFor) {
  const KeyedCertificate made = Issue(Authority(), {Role::kCoordinator, "head"},
                                      {"head.example.org", "10.0.0.7", "::1"});
  const absl::StatusOr<CertificateFacts> facts =
      ReadCertificate(made.certificate);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->identity, (Identity{Role::kCoordinator, "head"}));
  EXPECT_THAT(facts->hosts,
              ElementsAre("head.example.org", "10.0.0.7", "0:0:0:0:0:0:0:1"));
  EXPECT_EQ(facts->not_before, kNow);
  EXPECT_EQ(facts->not_after, kNow + kYear);
  EXPECT_FALSE(facts->is_authority);
  EXPECT_THAT(facts->fingerprint, SizeIs(64));
}

TEST(CertificateTest, AuthorityIsOneAndNamesNobody) {
  const auto facts = ReadCertificate(Authority().certificate);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_TRUE(facts->is_authority);
}

TEST(CertificateTest, NoTwoHaveTheSameKey) {
  const KeyedCertificate authority = Authority();
  EXPECT_NE(Issue(authority, {Role::kUser, "a"}).key,
            Issue(authority, {Role::kUser, "a"}).key);
}

TEST(CertificateTest, HoldsFromItsFirstToItsLastSecond) {
  const KeyedCertificate authority = Authority();
  const KeyedCertificate made = Issue(authority, {Role::kUser, "alice"});
  const auto check = [&](absl::Time now) {
    return CheckCertificate(made, authority.certificate, now);
  };
  EXPECT_TRUE(check(kNow).ok()) << check(kNow);
  EXPECT_TRUE(check(kNow + kYear - absl::Seconds(1)).ok());
  const absl::Status late = check(kNow + kYear + absl::Seconds(1));
  EXPECT_TRUE(absl::IsFailedPrecondition(late)) << late;
  EXPECT_THAT(Message(late), HasSubstr("penstock certs rotate"));
  const absl::Status early = check(kNow - absl::Seconds(1));
  EXPECT_TRUE(absl::IsFailedPrecondition(early)) << early;
  EXPECT_THAT(Message(early), HasSubstr("clock"));
}

TEST(CertificateTest, OfAnotherAuthorityIsNotBelieved) {
  const KeyedCertificate made = Issue(Authority(), {Role::kAdmin, "root"});
  const absl::Status status =
      CheckCertificate(made, Authority().certificate, kNow);
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
  EXPECT_THAT(Message(status), HasSubstr("not signed by this authority"));
}

TEST(CertificateTest, OneOfSeveralAuthoritiesIsEnough) {
  const KeyedCertificate authority = Authority();
  const KeyedCertificate made = Issue(authority, {Role::kUser, "alice"});
  EXPECT_TRUE(CheckCertificate(
                  made,
                  absl::StrCat(Authority().certificate, authority.certificate),
                  kNow)
                  .ok());
}

TEST(CertificateTest, HolderCannotSign) {
  const KeyedCertificate authority = Authority();
  const KeyedCertificate user = Issue(authority, {Role::kUser, "eve"});
  const KeyedCertificate forged = Issue(user, {Role::kAdmin, "eve"});
  EXPECT_TRUE(absl::IsPermissionDenied(CheckCertificate(
      forged, absl::StrCat(authority.certificate, user.certificate), kNow)));
}

TEST(CertificateTest, KeyOfAnotherIsRefused) {
  const KeyedCertificate authority = Authority();
  KeyedCertificate mixed = Issue(authority, {Role::kUser, "alice"});
  mixed.key = Issue(authority, {Role::kUser, "alice"}).key;
  const absl::Status status =
      CheckCertificate(mixed, authority.certificate, kNow);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(Message(status), HasSubstr("another certificate's"));
}

TEST(CertificateTest, RubbishIsRefused) {
  const KeyedCertificate authority = Authority();
  const KeyedCertificate good = Issue(authority, {Role::kUser, "alice"});
  for (const std::string& bad :
       {std::string(), std::string("hello"), std::string(1000, '\0'),
        good.certificate.substr(0, good.certificate.size() / 2),
        std::string("-----BEGIN CERTIFICATE-----\nAAAA\n-----END "
                    "CERTIFICATE-----\n")}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ReadCertificate(bad).status())) << bad;
    EXPECT_TRUE(absl::IsInvalidArgument(
        CheckCertificate({bad, good.key}, authority.certificate, kNow)));
    EXPECT_TRUE(absl::IsInvalidArgument(
        CheckCertificate({good.certificate, bad}, authority.certificate, kNow)))
        << bad;
    EXPECT_TRUE(absl::IsInvalidArgument(CheckCertificate(good, bad, kNow)))
        << bad;
  }
}

TEST(CertificateTest, HostThatIsNoneIsRefused) {
  const KeyedCertificate authority = Authority();
  for (const char* host : {"", "a b", "head:7070", "a,URI:penstock://admin/x",
                           "-a", "a/b", "*.example.org"}) {
    const auto made = IssueCertificate(
        authority,
        {{Role::kStore, "nas"}, {host}, kNow, kNow + absl::Hours(1)});
    EXPECT_TRUE(absl::IsInvalidArgument(made.status())) << host;
  }
}

}  // namespace
}  // namespace penstock
