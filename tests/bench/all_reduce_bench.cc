// The reduction of a gradient between processes, over UCX as stage servers have
// it, against what the links give: the same bytes as a stream between the same
// processes at the same time.
//
//   all_reduce_bench RANKS [MIB] [ROUNDS] [shared_memory|tcp]
//
// RANKS processes hold a gradient of MIB (64). In each of ROUNDS (9) rounds
// they reduce it (stage_server/engine/gradient_reduction.h), and then each
// streams the bytes that a holder sends in a reduction, 2 (RANKS-1)/RANKS of
// the gradient, to the next one, in 1 MiB messages; a time is that of the
// slowest. Prints, by round, "reduce SECONDS stream SECONDS", and then the
// ratio, median (min..max): 1 would be a reduction whose additions cost
// nothing. Target: at least 0.8. all_reduce_bench.py runs it beside Gloo.

#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "proto/stage_service.pb.h"
#include "stage_server/engine/channels.h"
#include "stage_server/engine/gradient_reduction.h"
#include "stage_server/transport/ucx/ucx_transport.h"

namespace penstock {
namespace {

constexpr int64_t kMessageBytes = 1 << 20;
// Messages of the stream under way.
constexpr int64_t kWindow = 16;
constexpr int kWarmUpRounds = 2;
constexpr size_t kLargestAddress = 1 << 16;

struct Setting {
  int ranks = 2;
  int64_t bytes = 64 << 20;
  int rounds = 9;
  bool one_host = true;
};

// One stage on all ranks.
Schedule SharedStage(int ranks) {
  Schedule schedule;
  schedule.ranks.resize(ranks);
  schedule.placement.resize(1);
  for (int rank = 0; rank < ranks; ++rank) {
    schedule.placement[0].push_back(RankId(rank));
  }
  return schedule;
}

absl::Status Gone() {
  return absl::UnavailableError("the other process is gone");
}

absl::Status Say(int socket, const void* data, size_t size) {
  return write(socket, data, size) == static_cast<ssize_t>(size)
             ? absl::OkStatus()
             : Gone();
}

absl::StatusOr<std::string> Hear(int socket) {
  std::string heard(kLargestAddress, '\0');
  const ssize_t size = read(socket, heard.data(), heard.size());
  if (size <= 0) return Gone();
  heard.resize(size);
  return heard;
}

TransportAddress AddressOf(const std::string& text) {
  DataAddress said;
  TransportAddress address;
  if (!said.ParseFromString(text)) return address;
  address.host_identity = said.host_identity();
  address.addresses.insert(said.addresses().begin(), said.addresses().end());
  return address;
}

// One process; its socket leads to the one that began them all.
class Rank {
 public:
  Rank(RankId rank, const Setting& setting, int socket)
      : rank_(rank),
        setting_(setting),
        socket_(socket),
        schedule_(SharedStage(setting.ranks)),
        channels_(ChannelMap::Of(schedule_)) {}

  absl::Status Run() {
    PENSTOCK_RETURN_IF_ERROR(Connect());
    at::set_num_threads(1);
    gradient_ = at::full({setting_.bytes / 4}, 1.0f, at::kFloat);
    const int64_t sent = 2 * setting_.bytes / setting_.ranks *
                         (setting_.ranks - 1) / kMessageBytes;
    for (int i = 0; i < kWarmUpRounds + setting_.rounds; ++i) {
      gradient_.fill_(static_cast<float>(rank_.value() + 1));
      PENSTOCK_RETURN_IF_ERROR(Timed([&] { return Reduce(i + 1); }));
      PENSTOCK_RETURN_IF_ERROR(Timed([&] { return Stream(sent); }));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Connect() {
    UcxOptions options;
    options.spin = SpinFor(setting_.ranks, std::thread::hardware_concurrency());
    options.host_identity =
        setting_.one_host ? "host" : absl::StrCat("host ", rank_.value());
    PENSTOCK_ASSIGN_OR_RETURN(const auto endpoint, MakeUcxEndpoint(options));
    PENSTOCK_ASSIGN_OR_RETURN(const TransportAddress own, endpoint->Address());
    DataAddress mine;
    mine.set_host_identity(own.host_identity);
    for (const auto& [key, bytes] : own.addresses) {
      (*mine.mutable_addresses())[key] = bytes;
    }
    const std::string text = mine.SerializeAsString();
    PENSTOCK_RETURN_IF_ERROR(Say(socket_, text.data(), text.size()));
    ConnectRequest request;
    request.job_epoch = 1;
    request.rank = rank_;
    request.epoch_secret = "secret";
    for (int rank = 0; rank < setting_.ranks; ++rank) {
      PENSTOCK_ASSIGN_OR_RETURN(const std::string heard, Hear(socket_));
      request.peers.push_back(AddressOf(heard));
    }
    request.channels = channels_.channels();
    request.deadline = Deadline();
    PENSTOCK_ASSIGN_OR_RETURN(transport_, endpoint->Connect(request));
    return absl::OkStatus();
  }

  static absl::Time Deadline() { return absl::Now() + absl::Minutes(2); }

  // From when all are ready; tells how long it took.
  template <typename Work>
  absl::Status Timed(Work work) {
    PENSTOCK_RETURN_IF_ERROR(Say(socket_, "r", 1));
    PENSTOCK_RETURN_IF_ERROR(Hear(socket_).status());
    const int64_t start = MonotonicNanos();
    PENSTOCK_RETURN_IF_ERROR(work());
    const int64_t nanos = MonotonicNanos() - start;
    return Say(socket_, &nanos, sizeof(nanos));
  }

  absl::Status Reduce(int64_t step) {
    PENSTOCK_RETURN_IF_ERROR(
        reduction_.Start(step, StageId(0), {gradient_}, *transport_));
    PENSTOCK_RETURN_IF_ERROR(reduction_.Finish(*transport_, Deadline()));
    const float want = setting_.ranks * (setting_.ranks + 1) / 2.0f;
    for (const int64_t i : {int64_t{0}, gradient_.numel() - 1}) {
      if (gradient_[i].item<float>() != want) {
        return absl::DataLossError("the sum is wrong");
      }
    }
    return absl::OkStatus();
  }

  absl::Status Stream(int64_t messages) {
    const RankId next((rank_.value() + 1) % setting_.ranks);
    const RankId last((rank_.value() + setting_.ranks - 1) % setting_.ranks);
    PENSTOCK_ASSIGN_OR_RETURN(const ChannelId to,
                              channels_.OfReduction(StageId(0), rank_, next));
    PENSTOCK_ASSIGN_OR_RETURN(const ChannelId from,
                              channels_.OfReduction(StageId(0), last, rank_));
    const MessageHeader header = {1, 0, DTYPE_FLOAT32, {kMessageBytes / 4}};
    sent_.resize(messages * kMessageBytes);
    received_.resize(messages * kMessageBytes);
    std::vector<RequestId> requests;
    for (int64_t i = 0; i < messages + kWindow; ++i) {
      if (i >= kWindow) {
        for (const int64_t j : {2 * (i - kWindow), 2 * (i - kWindow) + 1}) {
          if (j >= static_cast<int64_t>(requests.size())) continue;
          PENSTOCK_RETURN_IF_ERROR(transport_->Wait(requests[j], Deadline()));
        }
      }
      if (i >= messages) continue;
      const auto place = [&](std::vector<std::byte>& all) {
        return absl::MakeSpan(all).subspan(i * kMessageBytes, kMessageBytes);
      };
      PENSTOCK_ASSIGN_OR_RETURN(
          requests.emplace_back(),
          transport_->PostReceive(from, header, place(received_)));
      PENSTOCK_ASSIGN_OR_RETURN(requests.emplace_back(),
                                transport_->PostSend(to, header, place(sent_)));
    }
    return absl::OkStatus();
  }

  const RankId rank_;
  const Setting setting_;
  const int socket_;
  const Schedule schedule_;
  const ChannelMap channels_;
  at::Tensor gradient_;
  std::vector<std::byte> sent_;
  std::vector<std::byte> received_;
  GradientReduction reduction_{rank_, schedule_.placement, channels_};
  // After what it may still read.
  std::unique_ptr<Transport> transport_;
};

// Lets all begin at once; the slowest one's seconds.
absl::StatusOr<double> Release(const std::vector<int>& sockets) {
  for (const int socket : sockets) {
    PENSTOCK_RETURN_IF_ERROR(Hear(socket).status());
  }
  for (const int socket : sockets)
    PENSTOCK_RETURN_IF_ERROR(Say(socket, "g", 1));
  int64_t slowest = 0;
  for (const int socket : sockets) {
    int64_t nanos = 0;
    if (read(socket, &nanos, sizeof(nanos)) != sizeof(nanos)) return Gone();
    slowest = std::max(slowest, nanos);
  }
  return 1e-9 * static_cast<double>(slowest);
}

absl::Status Measure(const Setting& setting, const std::vector<int>& sockets) {
  std::vector<std::string> addresses;
  for (const int socket : sockets) {
    PENSTOCK_ASSIGN_OR_RETURN(addresses.emplace_back(), Hear(socket));
  }
  for (const int socket : sockets) {
    for (const std::string& address : addresses) {
      PENSTOCK_RETURN_IF_ERROR(Say(socket, address.data(), address.size()));
    }
  }
  std::vector<double> ratios;
  for (int i = 0; i < kWarmUpRounds + setting.rounds; ++i) {
    PENSTOCK_ASSIGN_OR_RETURN(const double reduce, Release(sockets));
    PENSTOCK_ASSIGN_OR_RETURN(const double stream, Release(sockets));
    if (i < kWarmUpRounds) continue;
    std::printf("reduce %.6f stream %.6f\n", reduce, stream);
    ratios.push_back(stream / reduce);
  }
  std::sort(ratios.begin(), ratios.end());
  std::printf("%d ranks, %lld MiB, %s: ratio %.2f (%.2f..%.2f), target 0.80\n",
              setting.ranks, static_cast<long long>(setting.bytes >> 20),
              setting.one_host ? "shared_memory" : "tcp",
              ratios[ratios.size() / 2], ratios.front(), ratios.back());
  return absl::OkStatus();
}

int Main(const std::vector<std::string>& arguments) {
  Setting setting;
  const auto number = [&](size_t i, int64_t otherwise) {
    return i < arguments.size() ? std::atoll(arguments[i].c_str()) : otherwise;
  };
  setting.ranks = static_cast<int>(number(0, 0));
  setting.bytes = number(1, 64) << 20;
  setting.rounds = static_cast<int>(number(2, 9));
  setting.one_host = arguments.size() < 4 || arguments[3] == "shared_memory";
  if (setting.ranks < 2 || setting.bytes < 1 || setting.rounds < 1) {
    std::fprintf(stderr,
                 "usage: all_reduce_bench RANKS [MIB] [ROUNDS] "
                 "[shared_memory|tcp]\n");
    return 2;
  }
  std::vector<int> own_ends;
  std::vector<pid_t> children;
  for (int rank = 0; rank < setting.ranks; ++rank) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0) return 1;
    const pid_t child = fork();
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (const int end : own_ends) close(end);
      close(ends[0]);
      const absl::Status status = Rank(RankId(rank), setting, ends[1]).Run();
      if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
      // A transport stays until all are done.
      char done = 'd';
      (void)!read(ends[1], &done, 1);
      return status.ok() ? 0 : 1;
    }
    close(ends[1]);
    own_ends.push_back(ends[0]);
    children.push_back(child);
  }
  const absl::Status status = Measure(setting, own_ends);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  bool all_well = status.ok();
  for (const int end : own_ends) close(end);
  for (const pid_t child : children) {
    int child_status = 0;
    waitpid(child, &child_status, 0);
    all_well = all_well && child_status == 0;
  }
  return all_well ? 0 : 1;
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) {
  return penstock::Main({argv + 1, argv + argc});
}
