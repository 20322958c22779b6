// The service against clients that misbehave.

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "checkpoint/files/faulty_file_system.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "checkpoint/transfer/token.h"
#include "checkpoint/transfer/transfer_server.h"
#include "gtest/gtest.h"
#include "proto/transfer_service.grpc.pb.h"

namespace penstock {
namespace {

constexpr char kKey[] = "0123456789abcdef";
constexpr char kFile[] = "l0000-embed.w.safetensors";

class TransferServiceTest : public ::testing::Test {
 protected:
  TransferServiceTest() {
    EXPECT_EQ(files_.MakeFolder("/r"), absl::OkStatus());
    Start(absl::Seconds(60));
  }

  void Start(absl::Duration stall_limit) {
    TransferServer::Options options;
    options.key = kKey;
    options.stall_limit = stall_limit;
    auto server = TransferServer::Start(files_, "/r", options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = TransferService::NewStub(grpc::CreateChannel(
        server_->address(), grpc::InsecureChannelCredentials()));
  }

  UploadMessage Header(int64_t size_bytes, int64_t offset_bytes = 0) const {
    UploadMessage message;
    UploadHeader& header = *message.mutable_header();
    *header.mutable_checkpoint() = id_;
    header.set_file(kFile);
    header.set_size_bytes(size_bytes);
    header.set_offset_bytes(offset_bytes);
    header.set_token(MakeTransferToken(kKey, {"job", 1}));
    return message;
  }
  static UploadMessage Chunk(int64_t offset_bytes, const std::string& data,
                             bool last = false) {
    UploadMessage message;
    UploadChunk& chunk = *message.mutable_chunk();
    chunk.set_offset_bytes(offset_bytes);
    chunk.set_data(data);
    chunk.set_crc32c(Crc32c(data));
    chunk.set_last(last);
    return message;
  }

  using Stream = grpc::ClientReaderWriter<UploadMessage, UploadAck>;

  // What becomes of a call with these messages.
  grpc::StatusCode CodeOf(const std::vector<UploadMessage>& messages) {
    grpc::ClientContext context;
    const std::unique_ptr<Stream> stream = stub_->Upload(&context);
    for (const UploadMessage& message : messages) stream->Write(message);
    stream->WritesDone();
    UploadAck ack;
    while (stream->Read(&ack)) {
    }
    return stream->Finish().error_code();
  }
  std::string PathOf(absl::string_view name) const {
    return absl::StrCat(CheckpointPath("/r", id_), "/", name);
  }
  bool IsThere(absl::string_view name) const {
    return files_.KindOf(PathOf(name)).ok();
  }

  FaultyFileSystem files_;
  std::unique_ptr<TransferServer> server_;
  std::unique_ptr<TransferService::Stub> stub_;
  const CheckpointId id_ = TestCheckpointId("job", 5, 1);
};

TEST_F(TransferServiceTest, AcksSayWhatIsDurable) {
  grpc::ClientContext context;
  const std::unique_ptr<Stream> stream = stub_->Upload(&context);
  stream->Write(Header(6));
  stream->Write(Chunk(0, "abc"));
  // Asks for an ack.
  stream->Write(Chunk(3, ""));
  UploadAck ack;
  ASSERT_TRUE(stream->Read(&ack));
  EXPECT_EQ(ack.durable_bytes(), 3);
  EXPECT_FALSE(ack.complete());
  stream->Write(Chunk(3, "def", /*last=*/true));
  ASSERT_TRUE(stream->Read(&ack));
  EXPECT_EQ(ack.durable_bytes(), 6);
  EXPECT_TRUE(ack.complete());
  EXPECT_EQ(ack.crc32c(), Crc32c("abcdef"));
  EXPECT_FALSE(stream->Read(&ack));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(TransferServiceTest, ADamagedChunkIsRefusedAndNotWritten) {
  UploadMessage damaged = Chunk(3, "def", true);
  damaged.mutable_chunk()->set_data("dXf");
  EXPECT_EQ(CodeOf({Header(6), Chunk(0, "abc"), damaged}),
            grpc::StatusCode::DATA_LOSS);
  EXPECT_FALSE(IsThere(kFile));
  // From there on it is sent again.
  EXPECT_EQ(CodeOf({Header(6, 3), Chunk(3, "def", true)}),
            grpc::StatusCode::OK);
  EXPECT_EQ(ReadWholeFile(files_, PathOf(kFile)).value_or("?"), "abcdef");
}

TEST_F(TransferServiceTest, WhatIsOutOfOrderIsRefused) {
  constexpr auto kInvalid = grpc::StatusCode::INVALID_ARGUMENT;
  EXPECT_EQ(CodeOf({Chunk(0, "abc")}), kInvalid);
  EXPECT_EQ(CodeOf({UploadMessage()}), kInvalid);
  EXPECT_EQ(CodeOf({Header(6), Header(6)}), kInvalid);
  EXPECT_EQ(CodeOf({Header(6), UploadMessage()}), kInvalid);
  EXPECT_EQ(CodeOf({Header(6), Chunk(3, "def")}), kInvalid);
  EXPECT_EQ(CodeOf({Header(6), Chunk(-1, "def")}), kInvalid);
  EXPECT_EQ(CodeOf({Header(6), Chunk(0, "abc", true)}), kInvalid);
  EXPECT_EQ(CodeOf({Header(2), Chunk(0, "abc", true)}), kInvalid);
  EXPECT_EQ(CodeOf({Header(-1)}), kInvalid);
  EXPECT_EQ(CodeOf({Header(6, 7)}), kInvalid);
  EXPECT_EQ(CodeOf({Header(INT64_MAX, INT64_MAX)}),
            grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(CodeOf({}), grpc::StatusCode::CANCELLED);
  EXPECT_FALSE(IsThere(kFile));
}

TEST_F(TransferServiceTest, NamesThatLeadElsewhereAreRefused) {
  for (const char* name : {"", "..", "../x", "/etc/passwd", "COMMIT",
                           "manifest.json", "l0000-a/../../b.w.safetensors"}) {
    UploadMessage header = Header(1);
    header.mutable_header()->set_file(name);
    EXPECT_EQ(CodeOf({header}), grpc::StatusCode::INVALID_ARGUMENT) << name;
  }
  UploadMessage header = Header(1);
  header.mutable_header()->mutable_checkpoint()->set_job_id("..");
  header.mutable_header()->set_token(MakeTransferToken(kKey, {"..", 1}));
  EXPECT_EQ(CodeOf({header}), grpc::StatusCode::INVALID_ARGUMENT);
  header = Header(1);
  header.mutable_header()->mutable_checkpoint()->set_step(-1);
  EXPECT_EQ(CodeOf({header}), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(TransferServiceTest, AQuerySaysWhereToGoOn) {
  QueryUploadRequest request;
  *request.mutable_checkpoint() = id_;
  request.set_file(kFile);
  request.set_token(MakeTransferToken(kKey, {"job", 1}));
  const auto query = [&] {
    grpc::ClientContext context;
    QueryUploadResponse response;
    EXPECT_TRUE(stub_->QueryUpload(&context, request, &response).ok());
    return response;
  };
  EXPECT_EQ(query().durable_bytes(), 0);
  EXPECT_FALSE(query().complete());
  EXPECT_EQ(CodeOf({Header(3), Chunk(0, "abc", true)}), grpc::StatusCode::OK);
  EXPECT_EQ(query().durable_bytes(), 3);
  EXPECT_TRUE(query().complete());
  request.set_token("");
  grpc::ClientContext context;
  QueryUploadResponse response;
  EXPECT_EQ(stub_->QueryUpload(&context, request, &response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(TransferServiceTest, ALaterCallOfAFileEndsTheOneBefore) {
  grpc::ClientContext old_context;
  const std::unique_ptr<Stream> old = stub_->Upload(&old_context);
  old->Write(Header(6));
  old->Write(Chunk(0, "old"));
  old->Write(Chunk(3, ""));
  UploadAck ack;
  ASSERT_TRUE(old->Read(&ack));
  EXPECT_EQ(CodeOf({Header(6), Chunk(0, "newnew", true)}),
            grpc::StatusCode::OK);
  EXPECT_FALSE(old->Read(&ack));
  EXPECT_FALSE(old->Finish().ok());
  EXPECT_EQ(ReadWholeFile(files_, PathOf(kFile)).value_or("?"), "newnew");
}

TEST_F(TransferServiceTest, AClientThatStallsIsGivenUp) {
  Start(absl::Milliseconds(100));
  grpc::ClientContext context;
  const std::unique_ptr<Stream> stream = stub_->Upload(&context);
  stream->Write(Header(6));
  stream->Write(Chunk(0, "abc"));
  stream->Write(Chunk(3, ""));
  UploadAck ack;
  ASSERT_TRUE(stream->Read(&ack));
  // And nothing more.
  EXPECT_FALSE(stream->Read(&ack));
  EXPECT_FALSE(stream->Finish().ok());
  const absl::Time limit = SystemClock().Now() + absl::Seconds(30);
  while (IsThere(absl::StrCat(kFile, kPartSuffix)) &&
         SystemClock().Now() < limit) {
    std::this_thread::yield();
  }
  EXPECT_FALSE(IsThere(absl::StrCat(kFile, kPartSuffix)));
  EXPECT_EQ(CodeOf({Header(6, 3), Chunk(3, "def", true)}),
            grpc::StatusCode::OUT_OF_RANGE);
}

TEST_F(TransferServiceTest, AServerStopsWhileUploadsRun) {
  grpc::ClientContext context;
  const std::unique_ptr<Stream> stream = stub_->Upload(&context);
  stream->Write(Header(6));
  server_->Stop();
  UploadAck ack;
  EXPECT_FALSE(stream->Read(&ack));
  EXPECT_FALSE(stream->Finish().ok());
}

}  // namespace
}  // namespace penstock
