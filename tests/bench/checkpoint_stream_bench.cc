// What a checkpoint's way to the store and back, and its verification there,
// reach of one plain gRPC stream of the same chunks, which keeps nothing and
// checks nothing. Server and client share this process, as they share the
// machine of a small cluster.
//
//   checkpoint_stream_bench FOLDER [MEBIBYTES] [ROUNDS]
//
// The rounds alternate between all; each line has the median of one, in
// MiB a second, its least and most, and seconds of CPU per GiB. FOLDER is where
// files go: on a disk it is measured too. The last line is the most memory that
// client and server together have had: with 10240 MEBIBYTES, what a checkpoint
// of 10 GiB takes.

#include <grpcpp/grpcpp.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/safetensors/header.h"
#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/transfer/token.h"
#include "checkpoint/transfer/transfer_server.h"
#include "checkpoint/transfer/transfer_shard_store.h"
#include "proto/transfer_service.grpc.pb.h"

namespace penstock {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr char kKey[] = "0123456789abcdef";

// Takes messages and forgets them.
class PlainStream : public TransferService::Service {
 public:
  PlainStream() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    stub_ = TransferService::NewStub(grpc::CreateChannel(
        absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
  }

  absl::Status Send(const std::string& chunk, int64_t num_chunks) {
    grpc::ClientContext context;
    const auto stream = stub_->Upload(&context);
    UploadMessage message;
    message.mutable_chunk()->set_data(chunk);
    for (int64_t i = 0; i < num_chunks; ++i) {
      if (!stream->Write(message)) break;
    }
    stream->WritesDone();
    return stream->Finish().ok() ? absl::OkStatus()
                                 : absl::UnknownError("the stream broke");
  }

 private:
  grpc::Status Upload(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<UploadAck, UploadMessage>* stream) override {
    UploadMessage message;
    while (stream->Read(&message)) {
    }
    return grpc::Status::OK;
  }

  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<TransferService::Stub> stub_;
};

rusage Usage() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage;
}

double CpuSeconds() {
  const rusage usage = Usage();
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * time.tv_usec;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Series {
  std::string name;
  std::function<absl::Status()> run;
  std::vector<double> mib_per_second;
  double cpu_seconds = 0;
};

absl::Status Measure(Series& series, int64_t mebibytes) {
  const double cpu = CpuSeconds();
  const int64_t start = MonotonicNanos();
  PENSTOCK_RETURN_IF_ERROR(series.run());
  const int64_t nanos = MonotonicNanos() - start;
  series.cpu_seconds += CpuSeconds() - cpu;
  series.mib_per_second.push_back(1e9 * mebibytes / nanos);
  return absl::OkStatus();
}

void Print(Series& series, int64_t mebibytes, double plain) {
  auto& rates = series.mib_per_second;
  std::sort(rates.begin(), rates.end());
  const double median = rates[rates.size() / 2];
  std::printf(
      "%-10s %7.0f MiB/s  (%.0f to %.0f)  %.2f of plain  %.2f CPU s per GiB\n",
      series.name.c_str(), median, rates.front(), rates.back(), median / plain,
      series.cpu_seconds * 1024 / (mebibytes * rates.size()));
}

// One file of one tensor of zeros.
struct Example {
  CheckpointManifest manifest;
  std::string header;
};

Example MakeExample(int64_t step, int64_t mebibytes) {
  Example example;
  CheckpointId& id = *example.manifest.mutable_id();
  id.set_job_id("bench");
  id.set_step(step);
  example.manifest.mutable_state()->set_step(step);
  SafetensorsHeader header;
  const int64_t elements = mebibytes * kMiB / 4;
  header.tensors = {{"x", StoredType::kFloat32, {elements}}};
  example.header = EncodeHeader(header).value();
  ShardFile& file = *example.manifest.add_files();
  file.set_kind(ShardFile::WEIGHTS);
  file.set_name(ShardFileName(0, "x", ShardFile::WEIGHTS));
  ShardTensor& tensor = *file.add_tensors();
  tensor.set_name("x");
  tensor.set_type("F32");
  tensor.add_shape(elements);
  tensor.set_offset_bytes(example.header.size());
  tensor.set_size_bytes(mebibytes * kMiB);
  file.set_size_bytes(tensor.offset_bytes() + tensor.size_bytes());
  const std::string chunk(kMiB, '\0');
  uint32_t of_tensor = 0;
  uint32_t of_file = Crc32c(example.header);
  for (int64_t i = 0; i < mebibytes; ++i) {
    of_tensor = Crc32c(chunk, of_tensor);
    of_file = Crc32c(chunk, of_file);
  }
  tensor.set_crc32c(of_tensor);
  file.set_crc32c(of_file);
  return example;
}

absl::Status Upload(ShardStore& store, const Example& example,
                    const std::string& chunk, int64_t num_chunks) {
  const ShardFile& file = example.manifest.files(0);
  PENSTOCK_ASSIGN_OR_RETURN(
      const auto upload,
      store.Begin(example.manifest.id(), file.name(), file.size_bytes()));
  PENSTOCK_RETURN_IF_ERROR(upload->Append(example.header));
  for (int64_t i = 0; i < num_chunks; ++i) {
    PENSTOCK_RETURN_IF_ERROR(upload->Append(chunk));
  }
  return upload->Finish().status();
}

absl::Status Read(const ShardStore& store, const Example& example,
                  int64_t mebibytes) {
  constexpr int64_t kAtOnce = 64;
  for (int64_t i = 0; i < mebibytes; i += kAtOnce) {
    const int64_t size = std::min(kAtOnce, mebibytes - i) * kMiB;
    PENSTOCK_RETURN_IF_ERROR(store
                                 .Read(example.manifest.id(),
                                       example.manifest.files(0).name(),
                                       i * kMiB, size)
                                 .status());
  }
  return absl::OkStatus();
}

absl::Status Run(const std::string& root, int64_t mebibytes, int rounds) {
  const auto files = MakePosixFileSystem();
  PENSTOCK_ASSIGN_OR_RETURN(CheckpointStore folder,
                            CheckpointStore::Open(*files, root));
  TransferServer::Options server_options;
  server_options.key = kKey;
  PENSTOCK_ASSIGN_OR_RETURN(
      const auto server, TransferServer::Start(*files, root, server_options));
  TransferClientOptions options;
  options.address = server->address();
  options.token = MakeTransferToken(kKey, {"bench", 0});
  const auto store = MakeTransferShardStore(options, SystemClock());
  const std::string chunk(kMiB, '\0');
  const Example written = MakeExample(/*step=*/0, mebibytes);
  const Example committed = MakeExample(/*step=*/1, mebibytes);
  PENSTOCK_RETURN_IF_ERROR(Upload(*store, committed, chunk, mebibytes));
  PENSTOCK_RETURN_IF_ERROR(folder.Commit(committed.manifest));

  PlainStream plain;
  Series all[] = {
      {"plain", [&] { return plain.Send(chunk, mebibytes); }},
      {"upload", [&] { return Upload(*store, written, chunk, mebibytes); }},
      {"read", [&] { return Read(*store, committed, mebibytes); }},
      {"verify",
       [&] { return folder.Verify(committed.manifest.id(), nullptr); }}};
  for (int round = 0; round < rounds; ++round) {
    for (Series& series : all) {
      PENSTOCK_RETURN_IF_ERROR(Measure(series, mebibytes));
    }
  }
  auto plain_rates = all[0].mib_per_second;
  std::sort(plain_rates.begin(), plain_rates.end());
  for (Series& series : all) {
    Print(series, mebibytes, plain_rates[plain_rates.size() / 2]);
  }
  std::printf("memory     %7.0f MiB at most\n", Usage().ru_maxrss / 1024.0);
  PENSTOCK_RETURN_IF_ERROR(folder.Delete(written.manifest.id()));
  return folder.Delete(committed.manifest.id());
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) {
  const int64_t mebibytes = argc > 2 ? std::atoll(argv[2]) : 512;
  const int rounds = argc > 3 ? std::atoi(argv[3]) : 5;
  if (argc < 2 || mebibytes < 1 || rounds < 1) {
    std::fprintf(
        stderr, "usage: checkpoint_stream_bench FOLDER [MEBIBYTES] [ROUNDS]\n");
    return 2;
  }
  const absl::Status status = penstock::Run(argv[1], mebibytes, rounds);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}
