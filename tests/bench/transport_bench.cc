// Two processes move tensors over UCX, as two stage servers do: one one-way
// time, or one stream's rate. transport_bench.py runs it against ucx_perftest.
//
//   transport_bench shared_memory|tcp latency|stream BYTES COUNT
//
// Prints one number: microseconds one way (half of the median round trip), or
// bytes a second.

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "proto/stage_service.pb.h"
#include "stage_server/transport/ucx/ucx_transport.h"

namespace penstock {
namespace {

// Receives posted ahead in the stream, and sends under way.
constexpr int kWindow = 16;

struct Plan {
  bool stream = false;
  int64_t bytes = 0;
  int64_t count = 0;
  int64_t warm_up = 0;
};

// The other process's data address, for ours.
absl::StatusOr<TransportAddress> Swap(int socket, const TransportAddress& own) {
  DataAddress mine;
  mine.set_host_identity(own.host_identity);
  for (const auto& [key, bytes] : own.addresses) {
    (*mine.mutable_addresses())[key] = bytes;
  }
  const std::string text = mine.SerializeAsString();
  std::string heard(1 << 16, '\0');
  if (write(socket, text.data(), text.size()) !=
      static_cast<ssize_t>(text.size())) {
    return absl::UnavailableError("the other process is gone");
  }
  const ssize_t size = read(socket, heard.data(), heard.size());
  DataAddress theirs;
  if (size <= 0 || !theirs.ParseFromArray(heard.data(), size)) {
    return absl::UnavailableError("the other process is gone");
  }
  TransportAddress address;
  address.host_identity = theirs.host_identity();
  address.addresses.insert(theirs.addresses().begin(),
                           theirs.addresses().end());
  return address;
}

absl::StatusOr<std::unique_ptr<Transport>> Connect(RankId rank, bool one_host,
                                                   int socket) {
  UcxOptions options;
  options.host_identity =
      one_host ? "host" : absl::StrCat("host ", rank.value());
  PENSTOCK_ASSIGN_OR_RETURN(const auto endpoint, MakeUcxEndpoint(options));
  PENSTOCK_ASSIGN_OR_RETURN(const TransportAddress own, endpoint->Address());
  ConnectRequest request;
  request.job_epoch = 1;
  request.rank = rank;
  request.epoch_secret = "secret";
  request.peers = {own, own};
  PENSTOCK_ASSIGN_OR_RETURN(request.peers[1 - rank.value()], Swap(socket, own));
  request.channels = {{ChannelId(0), RankId(0), RankId(1), "x 0>1"},
                      {ChannelId(1), RankId(1), RankId(0), "x 1>0"}};
  request.deadline = absl::Now() + absl::Seconds(20);
  return endpoint->Connect(request);
}

// One process's end of the two channels.
class Rank {
 public:
  Rank(RankId rank, std::unique_ptr<Transport> transport, int64_t bytes)
      : rank_(rank),
        transport_(std::move(transport)),
        header_{1, 0, DTYPE_FLOAT32, {bytes / 4}},
        sent_(bytes),
        received_(kWindow, std::vector<std::byte>(bytes)),
        deadline_(absl::Now() + absl::Minutes(5)) {}

  // Microseconds one way of the median round trip.
  absl::StatusOr<double> PingPong(const Plan& plan) {
    std::vector<int64_t> nanos;
    for (int64_t i = 0; i < plan.warm_up + plan.count; ++i) {
      const int64_t start = MonotonicNanos();
      PENSTOCK_ASSIGN_OR_RETURN(const RequestId receive, PostReceive(0));
      if (rank_ == RankId(1)) PENSTOCK_RETURN_IF_ERROR(Wait(receive));
      PENSTOCK_ASSIGN_OR_RETURN(const RequestId send, PostSend());
      if (rank_ == RankId(0)) PENSTOCK_RETURN_IF_ERROR(Wait(receive));
      PENSTOCK_RETURN_IF_ERROR(Wait(send));
      if (i >= plan.warm_up) nanos.push_back(MonotonicNanos() - start);
    }
    std::nth_element(nanos.begin(), nanos.begin() + nanos.size() / 2,
                     nanos.end());
    return static_cast<double>(nanos[nanos.size() / 2]) / 2000;
  }

  // Bytes a second from rank 0 to rank 1, until rank 1 has answered that it
  // has everything.
  absl::StatusOr<double> Stream(const Plan& plan) {
    PENSTOCK_RETURN_IF_ERROR(StreamMessages(plan.warm_up));
    const int64_t start = MonotonicNanos();
    PENSTOCK_RETURN_IF_ERROR(StreamMessages(plan.count));
    return static_cast<double>(plan.bytes) * static_cast<double>(plan.count) *
           1e9 / static_cast<double>(MonotonicNanos() - start);
  }

 private:
  absl::StatusOr<RequestId> PostReceive(int slot) {
    return transport_->PostReceive(ChannelId(1 - rank_.value()), header_,
                                   absl::MakeSpan(received_[slot]));
  }
  absl::StatusOr<RequestId> PostSend() {
    return transport_->PostSend(ChannelId(rank_.value()), header_, sent_);
  }
  absl::Status Wait(RequestId request) {
    return transport_->Wait(request, deadline_);
  }

  absl::Status StreamMessages(int64_t count) {
    const bool sender = rank_ == RankId(0);
    std::vector<RequestId> window(kWindow);
    for (int64_t i = 0; i < count + kWindow; ++i) {
      const int slot = static_cast<int>(i % kWindow);
      if (i >= kWindow && i - kWindow < count) {
        PENSTOCK_RETURN_IF_ERROR(Wait(window[slot]));
      }
      if (i >= count) continue;
      PENSTOCK_ASSIGN_OR_RETURN(window[slot],
                                sender ? PostSend() : PostReceive(slot));
    }
    PENSTOCK_ASSIGN_OR_RETURN(const RequestId answer,
                              sender ? PostReceive(0) : PostSend());
    return Wait(answer);
  }

  const RankId rank_;
  const std::unique_ptr<Transport> transport_;
  const MessageHeader header_;
  const std::vector<std::byte> sent_;
  std::vector<std::vector<std::byte>> received_;
  const absl::Time deadline_;
};

absl::Status RunRank(RankId rank, bool one_host, int socket, const Plan& plan) {
  PENSTOCK_ASSIGN_OR_RETURN(auto transport, Connect(rank, one_host, socket));
  Rank self(rank, std::move(transport), plan.bytes);
  PENSTOCK_ASSIGN_OR_RETURN(const double figure, plan.stream
                                                     ? self.Stream(plan)
                                                     : self.PingPong(plan));
  if (rank == RankId(0)) std::printf("%.6g\n", figure);
  // A transport stays until its peer is done.
  char done = 'd';
  if (write(socket, &done, 1) != 1 || read(socket, &done, 1) != 1) {
    return absl::UnavailableError("the other process is gone");
  }
  return absl::OkStatus();
}

int Main(const std::vector<std::string>& arguments) {
  if (arguments.size() != 4) {
    std::fprintf(stderr,
                 "usage: transport_bench shared_memory|tcp latency|stream "
                 "BYTES COUNT\n");
    return 2;
  }
  const bool one_host = arguments[0] == "shared_memory";
  Plan plan;
  plan.stream = arguments[1] == "stream";
  plan.bytes = std::atoll(arguments[2].c_str()) / 4 * 4;
  plan.count = std::atoll(arguments[3].c_str());
  plan.warm_up = std::max<int64_t>(plan.count / 10, 1);
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) != 0) return 1;
  const pid_t child = fork();
  const RankId rank(child == 0 ? 1 : 0);
  close(sockets[1 - rank.value()]);
  const absl::Status status =
      RunRank(rank, one_host, sockets[rank.value()], plan);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  if (child == 0) return status.ok() ? 0 : 1;
  int child_status = 0;
  waitpid(child, &child_status, 0);
  return status.ok() && child_status == 0 ? 0 : 1;
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) {
  return penstock::Main({argv + 1, argv + argc});
}
