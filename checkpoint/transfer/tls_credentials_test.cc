// Who gets through to a server with TLS, and who does not.

#include "checkpoint/transfer/tls_credentials.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mutex.h"
#include "base/tls/test_certificates.h"
#include "checkpoint/files/memory_file_system.h"
#include "checkpoint/transfer/transfer_server.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "proto/transfer_service.grpc.pb.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

using Tls = std::shared_ptr<const TlsCredentials>;
using Channel = std::shared_ptr<grpc::Channel>;

const Identity kStageServer{Role::kStageServer, "gpu-1"};
const Identity kUser{Role::kUser, "alice"};
const Identity kViewer{Role::kViewer, "victor"};
const Identity kCoordinator{Role::kCoordinator, "head"};

std::string TestFolder(const std::string& name) {
  return absl::StrCat(
      ::testing::TempDir(), "/",
      ::testing::UnitTest::GetInstance()->current_test_info()->name(), "-",
      name);
}

class TlsCredentialsTest : public ::testing::Test {
 protected:
  TlsCredentialsTest()
      : authority_(TestFolder("certificates")), files_(MakeMemoryFileSystem()) {
    EXPECT_TRUE(files_->MakeFolder("/r").ok());
  }

  Tls Load(const TlsFiles& files, std::optional<Role> role) {
    const auto loaded = TlsCredentials::Load({files,
                                              [this](const std::string& line) {
                                                const MutexLock lock(&mutex_);
                                                refusals_.push_back(line);
                                              }},
                                             role, SystemClock());
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    return loaded.value_or(nullptr);
  }
  Tls Load(const Identity& identity) {
    return Load(authority_.Issue(identity), IsDialled(identity.role)
                                                ? std::optional(identity.role)
                                                : std::nullopt);
  }

  // Serves as a coordinator, at `host` by its certificate.
  void Serve(const std::vector<std::string>& hosts = {"127.0.0.1"},
             const Identity& identity = kCoordinator) {
    server_files_ = authority_.Issue(identity, hosts);
    Start(Load(server_files_, identity.role));
  }
  void Start(const Tls& tls) {
    TransferServer::Options options;
    options.key = "0123456789abcdef";
    options.tls = tls;
    auto server = TransferServer::Start(*files_, "/r", options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  Channel Dial(const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
    grpc::ChannelArguments arguments;
    // A connection of its own, and no waiting for the next try.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(server_->address(), credentials,
                                     arguments);
  }
  Channel Dial(const Tls& tls, Role server = Role::kCoordinator) {
    return Dial(ChannelCredentialsOf(tls, {server}));
  }
  // With PEM texts, as any client of gRPC's can be made.
  Channel DialWith(const std::string& authority, const std::string& certificate,
                   const std::string& key) {
    return Dial(grpc::SslCredentials({authority, key, certificate}));
  }
  Channel DialWith(const TlsFiles& files) {
    return DialWith(authority_.certificate(), *ReadFile(files.certificate),
                    *ReadFile(files.key));
  }

  static grpc::Status Call(const Channel& channel,
                           grpc::ClientContext* context) {
    context->set_deadline(
        absl::ToChronoTime(SystemClock().Now() + absl::Seconds(20)));
    QueryUploadResponse response;
    return TransferService::NewStub(channel)->QueryUpload(
        context, QueryUploadRequest(), &response);
  }
  static grpc::Status Call(const Channel& channel) {
    grpc::ClientContext context;
    return Call(channel, &context);
  }
  // The service itself has answered; that it wants a token is its own affair.
  static void ExpectAnswer(const grpc::Status& status) {
    EXPECT_NE(status.error_code(), grpc::StatusCode::UNAVAILABLE)
        << status.error_message();
    EXPECT_THAT(status.error_message(), Not(HasSubstr("may not call")));
    EXPECT_THAT(status.error_message(), Not(HasSubstr("certificate")));
  }
  static void ExpectNoConnection(const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE)
        << status.error_message();
  }
  // Of the certificate that the server showed to a new connection.
  std::string ShownCertificate(const Tls& tls) {
    grpc::ClientContext context;
    ExpectAnswer(Call(Dial(tls), &context));
    const auto shown =
        context.auth_context()->FindPropertyValues("x509_pem_cert");
    return shown.empty()
               ? ""
               : std::string(shown.front().data(), shown.front().size());
  }

  const TestAuthority authority_;
  const std::unique_ptr<FileSystem> files_;
  TlsFiles server_files_;
  std::unique_ptr<TransferServer> server_;
  Mutex mutex_;
  std::vector<std::string> refusals_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(TlsCredentialsTest, HolderOfACertificateIsAnswered) {
  Serve();
  ExpectAnswer(Call(Dial(Load(kStageServer))));
  ExpectAnswer(Call(Dial(Load(kUser))));
}

TEST_F(TlsCredentialsTest, WrongRoleIsRefusedAndToldOnce) {
  Serve();
  const Tls viewer = Load(kViewer);
  for (int i = 0; i < 3; ++i) {
    const grpc::Status status = Call(Dial(viewer));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
    EXPECT_THAT(status.error_message(),
                HasSubstr("viewer/victor may not call "
                          "/penstock.TransferService/QueryUpload"));
  }
  const MutexLock lock(&mutex_);
  EXPECT_EQ(refusals_.size(), 1);
}

TEST_F(TlsCredentialsTest, ClientWithoutCertificateDoesNotConnect) {
  Serve();
  ExpectNoConnection(Call(DialWith(authority_.certificate(), "", "")));
}

TEST_F(TlsCredentialsTest, ClientOfAnotherAuthorityDoesNotConnect) {
  Serve();
  const TestAuthority other(TestFolder("other"));
  const TlsFiles forged = other.Issue({Role::kAdmin, "root"});
  ExpectNoConnection(Call(DialWith(forged)));
}

TEST_F(TlsCredentialsTest, ExpiredClientDoesNotConnect) {
  Serve();
  ExpectNoConnection(
      Call(DialWith(authority_.Issue(kUser, {}, -absl::Minutes(1)))));
  ExpectAnswer(Call(DialWith(authority_.Issue(kUser))));
}

TEST_F(TlsCredentialsTest, ServerOfAnotherAuthorityIsNotBelieved) {
  const TestAuthority other(TestFolder("other"));
  Start(Load(other.Issue(kCoordinator, {"127.0.0.1"}), Role::kCoordinator));
  ExpectNoConnection(Call(Dial(Load(kUser))));
}

TEST_F(TlsCredentialsTest, StageServerCannotPassForACoordinator) {
  Serve({"127.0.0.1"}, kStageServer);
  const grpc::Status status = Call(Dial(Load(kUser)));
  ExpectNoConnection(status);
  ExpectAnswer(Call(Dial(Load(kUser), Role::kStageServer)));
}

TEST_F(TlsCredentialsTest, HostsOfACertificateAreItsOnlyOnes) {
  Serve({"head.example.org"});
  ExpectNoConnection(Call(Dial(Load(kUser))));
  Serve({"head.example.org", "127.0.0.1"});
  ExpectAnswer(Call(Dial(Load(kUser))));
  Serve({});
  ExpectAnswer(Call(Dial(Load(kUser))));
}

TEST_F(TlsCredentialsTest, ClearTextDoesNotConnect) {
  Serve();
  ExpectNoConnection(Call(Dial(Tls(nullptr))));
}

TEST_F(TlsCredentialsTest, TlsDoesNotConnectToClearText) {
  Start(nullptr);
  ExpectNoConnection(Call(Dial(Load(kUser))));
  ExpectAnswer(Call(Dial(Tls(nullptr))));
}

// Sends `bytes` to the server, and reads until it hangs up.
void SendRubbish(const std::string& address, const std::string& bytes) {
  int port = 0;
  ASSERT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port));
  sockaddr_in where = {};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&where), sizeof(where)), 0);
  // It may hang up before it has read all.
  send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  shutdown(fd, SHUT_WR);
  char buffer[4096];
  while (recv(fd, buffer, sizeof(buffer), 0) > 0) {
  }
  close(fd);
}

TEST_F(TlsCredentialsTest, RubbishDoesNotHarmTheOthers) {
  Serve();
  const Channel good = Dial(Load(kUser));
  ExpectAnswer(Call(good));
  std::string noise;
  for (int i = 0; i < 20'000; ++i) noise += static_cast<char>(i * i % 251);
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\n\r\n"),
        std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), noise,
        std::string("\x16\x03\x01\x40\x00\x01\x00\x3f\xfc", 9) + noise,
        std::string(100'000, '\0'), std::string()}) {
    SendRubbish(server_->address(), bytes);
    ExpectAnswer(Call(good));
  }
  ExpectAnswer(Call(Dial(Load(kUser))));
}

TEST_F(TlsCredentialsTest, NewCertificateIsShownToNewConnections) {
  Serve();
  const Tls user = Load(kUser);
  const Channel open = Dial(user);
  ExpectAnswer(Call(open));
  const std::string before = ShownCertificate(user);
  authority_.Issue(kCoordinator, {"127.0.0.1"});
  const std::string after = *ReadFile(server_files_.certificate);
  ASSERT_NE(before, after);
  const absl::Time deadline = SystemClock().Now() + absl::Seconds(30);
  std::string shown = before;
  while (shown != after && SystemClock().Now() < deadline) {
    shown = ShownCertificate(user);
  }
  EXPECT_EQ(shown, after);
  // What was connected goes on.
  ExpectAnswer(Call(open));
}

TEST_F(TlsCredentialsTest, GarbledFilesLaterDoNotStopTheServer) {
  Serve();
  const Tls user = Load(kUser);
  ASSERT_TRUE(WriteFileAtomically(server_files_.certificate, "rubbish").ok());
  ASSERT_EQ(unlink(server_files_.key.c_str()), 0);
  const absl::Time until = SystemClock().Now() + absl::Seconds(3);
  while (SystemClock().Now() < until) ExpectAnswer(Call(Dial(user)));
}

TEST_F(TlsCredentialsTest, CertificateOfAnotherRoleIsRefusedAtStart) {
  const auto load = [&](const Identity& identity, std::optional<Role> role) {
    return TlsCredentials::Load({authority_.Issue(identity), nullptr}, role,
                                SystemClock())
        .status();
  };
  const absl::Status status = load(kUser, Role::kCoordinator);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("the certificate of user/alice, wanted one of role "
                        "coordinator"));
  EXPECT_TRUE(absl::IsInvalidArgument(load(kStageServer, std::nullopt)));
  EXPECT_TRUE(load(kViewer, std::nullopt).ok());
}

}  // namespace
}  // namespace penstock
