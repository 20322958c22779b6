// `penstock certs`: what it writes, and what it refuses.

#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/tls/tls_files.h"
#include "client/cli_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class CertsCliTest : public CliFixture {
 protected:
  // Of a holder, or of an expected refusal.
  absl::StatusOr<CertificateFacts> Check(const std::string& holder) const {
    return CheckTlsFiles(TlsFilesIn(Path("c/" + holder)), SystemClock().Now());
  }
  std::string Read(const std::string& name) const {
    return ReadFile(Path(name)).value_or("");
  }
  mode_t Mode(const std::string& name) const {
    struct stat info = {};
    EXPECT_EQ(stat(Path(name).c_str(), &info), 0);
    return info.st_mode & 07777;
  }
};

TEST_F(CertsCliTest, InitMakesWhatACoordinatorAndAnAdminNeed) {
  ASSERT_EQ(Run({"certs", "init", "c", "--host", "head"}), 0) << err_.str();
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("authority"), HasSubstr("head"),
                                HasSubstr("admin")));
  const auto coordinator = Check("coordinator");
  ASSERT_TRUE(coordinator.ok()) << coordinator.status();
  EXPECT_EQ(coordinator->identity,
            (Identity{Role::kCoordinator, "coordinator"}));
  EXPECT_THAT(coordinator->hosts, ::testing::ElementsAre("head"));
  ASSERT_TRUE(Check("admin").ok()) << Check("admin").status();
  EXPECT_EQ(Mode("c/authority/ca.key"), 0600u);
  EXPECT_EQ(Mode("c/authority"), 0700u);
  EXPECT_EQ(Mode("c/admin/tls.key"), 0600u);
}

TEST_F(CertsCliTest, InitNeverReplacesAnAuthority) {
  ASSERT_EQ(Run({"certs", "init", "c"}), 0);
  const std::string before = Read("c/authority/ca.crt");
  EXPECT_EQ(Run({"certs", "init", "c"}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("penstock certs rotate"));
  EXPECT_EQ(Read("c/authority/ca.crt"), before);
}

TEST_F(CertsCliTest, InitWithAWrongHostLeavesNothing) {
  EXPECT_EQ(Run({"certs", "init", "c", "--host", "head:7070"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("without port"));
  EXPECT_FALSE(std::filesystem::exists(Path("c")));
}

TEST_F(CertsCliTest, IssueMakesEveryRole) {
  ASSERT_EQ(Run({"certs", "init", "c"}), 0);
  for (const Role role : AllRoles()) {
    const std::string name = "x-" + std::string(RoleName(role));
    ASSERT_EQ(Run({"certs", "issue", "c", "--role", std::string(RoleName(role)),
                   "--name", name, "--days", "7"}),
              0)
        << err_.str();
    const auto facts = Check(name);
    ASSERT_TRUE(facts.ok()) << facts.status();
    EXPECT_EQ(facts->identity, (Identity{role, name}));
    EXPECT_LT(facts->not_after, SystemClock().Now() + absl::Hours(24 * 7 + 1));
  }
}

TEST_F(CertsCliTest, RotateGivesANewKeyToTheSameHolder) {
  ASSERT_EQ(Run({"certs", "init", "c", "--host", "10.0.0.7"}), 0);
  const std::string key = Read("c/coordinator/tls.key");
  const std::string admin = Read("c/admin/tls.key");
  ASSERT_EQ(Run({"certs", "rotate", "c", "coordinator"}), 0) << err_.str();
  EXPECT_NE(Read("c/coordinator/tls.key"), key);
  EXPECT_EQ(Read("c/admin/tls.key"), admin);
  EXPECT_EQ(Mode("c/coordinator/tls.key"), 0600u);
  const auto facts = Check("coordinator");
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_THAT(facts->hosts, ::testing::ElementsAre("10.0.0.7"));
  ASSERT_EQ(Run({"certs", "rotate", "c"}), 0);
  EXPECT_NE(Read("c/admin/tls.key"), admin);
  EXPECT_FALSE(std::filesystem::exists(Path("c/.admin.new")));
}

TEST_F(CertsCliTest, ShowSaysWhoAndUntilWhen) {
  ASSERT_EQ(Run({"certs", "init", "c"}), 0);
  ASSERT_EQ(Run({"certs", "show", "c", "-o", "json"}), 0) << err_.str();
  const nlohmann::json all = Json();
  ASSERT_EQ(all.size(), 3);
  EXPECT_EQ(all[0]["role"], "authority");
  EXPECT_EQ(all[1]["name"], "admin");
  EXPECT_EQ(all[1]["expired"], false);
  ASSERT_EQ(Run({"certs", "show", "c/admin", "-o", "json"}), 0) << err_.str();
  EXPECT_EQ(Json()[0]["fingerprint"], all[1]["fingerprint"]);
  ASSERT_EQ(Run({"certs", "show", "c/admin/tls.crt"}), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("admin"));
}

TEST_F(CertsCliTest, WrongArgumentsAreRefused) {
  ASSERT_EQ(Run({"certs", "init", "c"}), 0);
  const auto refused = [&](std::vector<std::string> arguments, int code,
                           const std::string& message) {
    arguments.insert(arguments.begin(), "certs");
    EXPECT_EQ(Run(arguments), code) << out_.str();
    EXPECT_THAT(err_.str(), HasSubstr(message));
  };
  refused({"issue", "c", "--role", "root", "--name", "a"}, 2, "is no role");
  refused({"issue", "c", "--role", "user", "--name", "../a"}, 2,
          "cannot be a name");
  refused({"issue", "c", "--role", "user", "--name", "authority"}, 2,
          "the authority's");
  refused({"issue", "c", "--role", "user", "--name", "admin"}, 1, "is there");
  refused({"issue", "c", "--role", "user", "--name", "a", "--host", "h"}, 2,
          "nobody dials a user");
  refused({"issue", "c", "--role", "user", "--name", "a", "--days", "0"}, 2,
          "--days");
  refused({"issue", "none", "--role", "user", "--name", "a"}, 2,
          "penstock certs init");
  refused({"rotate", "c", "admn"}, 2, "did you mean \"admin\"?");
  refused({"show", "none"}, 2, "has no certificates");
}

TEST_F(CertsCliTest, AuthoritysKeyThatOthersCanReadIsRefused) {
  ASSERT_EQ(Run({"certs", "init", "c"}), 0);
  ASSERT_EQ(chmod(Path("c/authority/ca.key").c_str(), 0644), 0);
  EXPECT_EQ(Run({"certs", "rotate", "c"}), 77);
  EXPECT_THAT(err_.str(), HasSubstr("chmod 600"));
}

TEST_F(CertsCliTest, GarbledCertificateIsNamed) {
  ASSERT_EQ(Run({"certs", "init", "c"}), 0);
  Write("c/admin/tls.crt", "rubbish");
  EXPECT_EQ(Run({"certs", "show", "c"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("c/admin/tls.crt: it holds no"));
}

}  // namespace
}  // namespace penstock
