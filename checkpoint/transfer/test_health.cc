#include "checkpoint/transfer/test_health.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "grpcpp/client_context.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/byte_buffer.h"

namespace penstock {
namespace {

constexpr char kCheck[] = "/grpc.health.v1.Health/Check";
constexpr char kReflect[] =
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

grpc::ByteBuffer BufferOf(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return "";
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// A field of type string: its key, its length (below 128), its bytes.
std::string Field(int number, const std::string& text) {
  constexpr int kLengthDelimited = 2;
  const char head[] = {static_cast<char>(number << 3 | kLengthDelimited),
                       static_cast<char>(text.size())};
  return absl::StrCat(std::string(head, sizeof(head)), text);
}

struct Answer {
  grpc::Status status;
  std::string bytes;
};

// One message there, one back.
Answer Ask(const std::shared_ptr<grpc::Channel>& channel,
           const std::string& method, const std::string& request) {
  Answer answer;
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareCall(&context, method, &queue);
  const auto wait = [&queue] {
    void* tag = nullptr;
    bool done = false;
    return queue.Next(&tag, &done) && done;
  };
  call->StartCall(nullptr);
  bool alive = wait();
  if (alive) {
    call->WriteLast(BufferOf(request), grpc::WriteOptions(), nullptr);
    alive = wait();
  }
  grpc::ByteBuffer response;
  if (alive) {
    call->Read(&response, nullptr);
    if (wait()) answer.bytes = BytesOf(response);
  }
  call->Finish(&answer.status, nullptr);
  wait();
  return answer;
}

}  // namespace

std::string HealthOf(const std::shared_ptr<grpc::Channel>& channel,
                     const std::string& service) {
  const Answer answer =
      Ask(channel, kCheck, service.empty() ? "" : Field(1, service));
  switch (answer.status.error_code()) {
    case grpc::StatusCode::OK:
      // Field 1, a number: 1 is SERVING, 2 is NOT_SERVING.
      return answer.bytes == "\x08\x01"   ? "SERVING"
             : answer.bytes == "\x08\x02" ? "NOT_SERVING"
                                          : "another answer";
    case grpc::StatusCode::NOT_FOUND:
      return "NOT_FOUND";
    case grpc::StatusCode::UNAVAILABLE:
      return "UNAVAILABLE";
    default:
      return absl::StrCat("code ", answer.status.error_code());
  }
}

std::string ReflectedServices(const std::shared_ptr<grpc::Channel>& channel) {
  constexpr int kListServices = 7;
  return Ask(channel, kReflect, Field(kListServices, "*")).bytes;
}

}  // namespace penstock
