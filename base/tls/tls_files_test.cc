#include "base/tls/tls_files.h"

#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

class TlsFilesTest : public ::testing::Test {
 protected:
  TlsFilesTest()
      : folder_(absl::StrCat(
            ::testing::TempDir(), "/",
            ::testing::UnitTest::GetInstance()->current_test_info()->name())),
        files_(TlsFilesIn(folder_)) {
    std::filesystem::remove_all(folder_);
    EXPECT_TRUE(MakeFolder(folder_).ok());
    authority_ = *MakeAuthority("test", kNow, kNow + absl::Hours(100));
    Write(*IssueCertificate(
        authority_, {{Role::kUser, "alice"}, {}, kNow, kNow + absl::Hours(1)}));
  }

  void Write(const KeyedCertificate& holder) {
    EXPECT_TRUE(
        WriteFileAtomically(files_.authority, authority_.certificate).ok());
    EXPECT_TRUE(
        WriteFileAtomically(files_.certificate, holder.certificate).ok());
    EXPECT_TRUE(WriteKeyFile(files_.key, holder.key).ok());
  }
  absl::Status Check(absl::Time now = kNow) const {
    return CheckTlsFiles(files_, now).status();
  }

  const std::string folder_;
  const TlsFiles files_;
  KeyedCertificate authority_;
};

TEST_F(TlsFilesTest, SayWhoTheyAreOf) {
  const auto facts = CheckTlsFiles(files_, kNow);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->identity, (Identity{Role::kUser, "alice"}));
}

TEST_F(TlsFilesTest, WrittenKeyIsItsOwnersAlone) {
  struct stat info;
  ASSERT_EQ(stat(files_.key.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
}

TEST_F(TlsFilesTest, KeyThatOthersCanReadIsRefused) {
  for (const mode_t mode : {0640, 0604, 0620, 0601}) {
    ASSERT_EQ(chmod(files_.key.c_str(), mode), 0);
    const absl::Status status = Check();
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("chmod 600 ", files_.key)));
  }
  ASSERT_EQ(chmod(files_.key.c_str(), 0400), 0);
  EXPECT_TRUE(Check().ok()) << Check();
}

TEST_F(TlsFilesTest, MissingFileIsNamed) {
  for (const std::string& path :
       {files_.authority, files_.certificate, files_.key}) {
    ASSERT_TRUE(std::filesystem::remove(path));
    const absl::Status status = Check();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(path), HasSubstr("penstock certs init")));
    Write(*IssueCertificate(
        authority_, {{Role::kUser, "alice"}, {}, kNow, kNow + absl::Hours(1)}));
  }
}

TEST_F(TlsFilesTest, GarbledFileIsNamed) {
  ASSERT_TRUE(WriteFileAtomically(files_.certificate, "rubbish").ok());
  EXPECT_THAT(std::string(Check().message()), HasSubstr(files_.certificate));
  ASSERT_TRUE(
      WriteFileAtomically(files_.certificate, authority_.certificate).ok());
  EXPECT_THAT(std::string(Check().message()), HasSubstr("authority's"));
}

TEST_F(TlsFilesTest, ExpiredCertificateIsRefusedAtStart) {
  EXPECT_TRUE(absl::IsFailedPrecondition(Check(kNow + absl::Hours(2))));
}

TEST(FindTlsFilesTest, NothingGivenIsNothing) {
  const auto files = FindTlsFiles({});
  ASSERT_TRUE(files.ok());
  EXPECT_FALSE(files->has_value());
}

TEST(FindTlsFilesTest, FileGoesBeforeTheFolders) {
  const auto files = FindTlsFiles({"/d", "", "/x.crt", ""});
  ASSERT_TRUE(files.ok() && files->has_value());
  EXPECT_EQ(**files, (TlsFiles{"/d/ca.crt", "/x.crt", "/d/tls.key"}));
}

TEST(FindTlsFilesTest, EachOfTheThreeIsWanted) {
  EXPECT_THAT(std::string(FindTlsFiles({"", "", "c", "k"}).status().message()),
              HasSubstr("--tls-ca is missing"));
  EXPECT_THAT(std::string(FindTlsFiles({"", "a", "", "k"}).status().message()),
              HasSubstr("--tls-cert is missing"));
  EXPECT_THAT(std::string(FindTlsFiles({"", "a", "c", ""}).status().message()),
              HasSubstr("--tls-key is missing"));
}

}  // namespace
}  // namespace penstock
