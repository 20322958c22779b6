// TransferShardStore against stores that misbehave.

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/mutex.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "checkpoint/transfer/transfer_shard_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/transfer_service.grpc.pb.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr char kFile[] = "l0000-embed.w.safetensors";

// Does with the `n`-th call of each kind, from 0, what the test says.
class FakeStore : public TransferService::Service {
 public:
  using UploadStream = grpc::ServerReaderWriter<UploadAck, UploadMessage>;
  using ReadStream = grpc::ServerWriter<ReadChunk>;

  FakeStore() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }

  std::function<grpc::Status(int, UploadStream&)> on_upload;
  std::function<grpc::Status(int, QueryUploadResponse&)> on_query =
      [](int, QueryUploadResponse&) { return grpc::Status::OK; };
  std::function<grpc::Status(int, const ReadRequest&, ReadStream&)> on_read;

  std::unique_ptr<ShardStore> Connect(
      absl::Duration patience = absl::Seconds(60)) const {
    TransferClientOptions options;
    options.address = address_;
    options.token = "token";
    options.patience = patience;
    return MakeTransferShardStore(options, SystemClock());
  }

  int num_uploads() const {
    MutexLock lock(&mutex_);
    return num_uploads_;
  }
  int num_reads() const {
    MutexLock lock(&mutex_);
    return num_reads_;
  }

 private:
  int Count(int& counter) {
    MutexLock lock(&mutex_);
    return counter++;
  }
  grpc::Status Upload(grpc::ServerContext*, UploadStream* stream) override {
    return on_upload(Count(num_uploads_), *stream);
  }
  grpc::Status QueryUpload(grpc::ServerContext*, const QueryUploadRequest*,
                           QueryUploadResponse* response) override {
    return on_query(Count(num_queries_), *response);
  }
  grpc::Status Read(grpc::ServerContext*, const ReadRequest* request,
                    ReadStream* stream) override {
    return on_read(Count(num_reads_), *request, *stream);
  }

  mutable Mutex mutex_;
  int num_uploads_ = 0;
  int num_queries_ = 0;
  int num_reads_ = 0;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

// Takes a file to its end and says that it is whole.
grpc::Status TakeAll(FakeStore::UploadStream& stream, std::string& content) {
  UploadMessage message;
  while (stream.Read(&message)) {
    if (!message.has_chunk()) continue;
    EXPECT_EQ(message.chunk().crc32c(), Crc32c(message.chunk().data()));
    content.resize(message.chunk().offset_bytes());
    content += message.chunk().data();
    if (!message.chunk().last()) continue;
    UploadAck ack;
    ack.set_durable_bytes(static_cast<int64_t>(content.size()));
    ack.set_complete(true);
    ack.set_crc32c(Crc32c(content));
    stream.Write(ack);
    return grpc::Status::OK;
  }
  return grpc::Status::CANCELLED;
}

class TransferClientTest : public ::testing::Test {
 protected:
  absl::Status Write(ShardStore& store, absl::string_view content) {
    auto upload = store.Begin(id_, kFile, content.size());
    if (!upload.ok()) return upload.status();
    const absl::Status appended = (*upload)->Append(content);
    return appended.ok() ? (*upload)->Finish().status() : appended;
  }

  FakeStore fake_;
  const CheckpointId id_ = TestCheckpointId("job", 5, 1);
};

TEST_F(TransferClientTest, AChunkThatArrivesDamagedIsSentAgain) {
  std::string content;
  fake_.on_upload = [&](int call, FakeStore::UploadStream& stream) {
    if (call < 2) return grpc::Status(grpc::StatusCode::DATA_LOSS, "damaged");
    return TakeAll(stream, content);
  };
  EXPECT_EQ(Write(*fake_.Connect(), "content"), absl::OkStatus());
  EXPECT_EQ(content, "content");
}

TEST_F(TransferClientTest, DamageThatDoesNotEndIsSaid) {
  fake_.on_upload = [](int, FakeStore::UploadStream&) {
    return grpc::Status(grpc::StatusCode::DATA_LOSS, "damaged");
  };
  const absl::Status status = Write(*fake_.Connect(), "content");
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(kFile));
  EXPECT_LT(fake_.num_uploads(), 10);
}

TEST_F(TransferClientTest, AStoreWithAnotherChecksumHasAnotherFile) {
  fake_.on_upload = [](int, FakeStore::UploadStream& stream) {
    UploadMessage message;
    while (stream.Read(&message) && !message.chunk().last()) {
    }
    UploadAck ack;
    ack.set_complete(true);
    ack.set_crc32c(12345);
    stream.Write(ack);
    return grpc::Status::OK;
  };
  EXPECT_TRUE(absl::IsDataLoss(Write(*fake_.Connect(), "content")));
}

TEST_F(TransferClientTest, OnlyWhatIsNotAcknowledgedIsSentAgain) {
  constexpr int64_t kMiB = int64_t{1} << 20;
  std::string whole(5 * kMiB, 'x');
  whole[2 * kMiB] = 'y';
  std::string content;
  int64_t begun_at = -1;
  fake_.on_upload = [&](int call, FakeStore::UploadStream& stream) {
    UploadMessage message;
    stream.Read(&message);
    if (call > 0) {
      begun_at = message.header().offset_bytes();
      return TakeAll(stream, content);
    }
    while (stream.Read(&message)) {
      content += message.chunk().data();
      if (content.size() == 3 * kMiB) break;
    }
    UploadAck ack;
    ack.set_durable_bytes(2 * kMiB);
    stream.Write(ack);
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopping");
  };
  ASSERT_EQ(Write(*fake_.Connect(), whole), absl::OkStatus());
  EXPECT_EQ(begun_at, 2 * kMiB);
  EXPECT_TRUE(content == whole);
}

TEST_F(TransferClientTest, AnAnswerThatWasLostIsAskedForAgain) {
  int64_t begun_at = -1;
  fake_.on_upload = [&](int call, FakeStore::UploadStream& stream) {
    UploadMessage message;
    stream.Read(&message);
    begun_at = message.header().offset_bytes();
    while (stream.Read(&message) && !message.chunk().last()) {
    }
    if (call == 0) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone");
    EXPECT_EQ(message.chunk().data(), "");
    UploadAck ack;
    ack.set_complete(true);
    ack.set_crc32c(Crc32c("content"));
    stream.Write(ack);
    return grpc::Status::OK;
  };
  fake_.on_query = [](int, QueryUploadResponse& response) {
    response.set_durable_bytes(7);
    response.set_complete(true);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Write(*fake_.Connect(), "content"), absl::OkStatus());
  EXPECT_EQ(begun_at, 7);
}

TEST_F(TransferClientTest, AStoreThatHasLostItsPartEndsTheUpload) {
  fake_.on_upload = [](int call, FakeStore::UploadStream&) {
    return call == 0
               ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone")
               : grpc::Status(grpc::StatusCode::OUT_OF_RANGE, "not there");
  };
  const absl::Status status = Write(*fake_.Connect(), "content");
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("not there"));
}

TEST_F(TransferClientTest, AStoreThatSaysNothingIsGoneAfterAWhile) {
  fake_.on_upload = [](int, FakeStore::UploadStream& stream) {
    UploadMessage message;
    while (stream.Read(&message)) {
    }
    return grpc::Status::CANCELLED;
  };
  const absl::Status status =
      Write(*fake_.Connect(absl::Milliseconds(200)), "content");
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

TEST_F(TransferClientTest, ACallThatEndsEarlyIsMadeAgain) {
  std::string content;
  fake_.on_upload = [&](int call, FakeStore::UploadStream& stream) {
    return call == 0 ? grpc::Status::OK : TakeAll(stream, content);
  };
  EXPECT_EQ(Write(*fake_.Connect(), "content"), absl::OkStatus());
  EXPECT_EQ(content, "content");
}

TEST_F(TransferClientTest, ReadingGoesOnAfterWhatHasCome) {
  std::vector<int64_t> offsets;
  fake_.on_read = [&](int call, const ReadRequest& request,
                      FakeStore::ReadStream& stream) {
    offsets.push_back(request.offset_bytes());
    ReadChunk chunk;
    chunk.set_offset_bytes(request.offset_bytes());
    chunk.set_data("abc");
    chunk.set_crc32c(Crc32c("abc"));
    stream.Write(chunk);
    return call == 0 ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone")
                     : grpc::Status::OK;
  };
  EXPECT_EQ(fake_.Connect()->Read(id_, kFile, 10, 6).value_or("?"), "abcabc");
  EXPECT_THAT(offsets, ::testing::ElementsAre(10, 13));
}

TEST_F(TransferClientTest, ReadingTakesNothingThatIsDamaged) {
  const std::function<void(ReadChunk&)> damages[] = {
      [](ReadChunk& chunk) { chunk.set_crc32c(1); },
      [](ReadChunk& chunk) { chunk.set_offset_bytes(11); },
      [](ReadChunk& chunk) {
        chunk.set_data("abcd");
        chunk.set_crc32c(Crc32c("abcd"));
      },
      [](ReadChunk& chunk) {
        chunk.set_data("ab");
        chunk.set_crc32c(Crc32c("ab"));
      }};
  for (const auto& damage : damages) {
    int num_calls = 0;
    fake_.on_read = [&](int, const ReadRequest& request,
                        FakeStore::ReadStream& stream) {
      ++num_calls;
      ReadChunk chunk;
      chunk.set_offset_bytes(10);
      chunk.set_data("abc");
      chunk.set_crc32c(Crc32c("abc"));
      damage(chunk);
      stream.Write(chunk);
      return grpc::Status::OK;
    };
    const absl::Status status =
        fake_.Connect()->Read(id_, kFile, 10, 3).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_LT(num_calls, 10);
  }
}

}  // namespace
}  // namespace penstock
