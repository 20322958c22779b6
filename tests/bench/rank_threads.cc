#include "tests/bench/rank_threads.h"

#include <barrier>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "stage_server/engine/channels.h"

namespace penstock {
namespace {

// What the threads share to find each other.
struct Meeting {
  explicit Meeting(int num_ranks) : addresses(num_ranks), barrier(num_ranks) {}

  std::vector<TransportAddress> addresses;
  std::barrier<> barrier;
};

absl::Status RunRank(const Schedule& schedule, RankId rank,
                     const EndpointFactory& make_endpoint, const RankBody& body,
                     Meeting* meeting) {
  PENSTOCK_ASSIGN_OR_RETURN(const auto endpoint, make_endpoint());
  PENSTOCK_ASSIGN_OR_RETURN(meeting->addresses[rank.value()],
                            endpoint->Address());
  meeting->barrier.arrive_and_wait();
  ConnectRequest request;
  request.job_epoch = 1;
  request.rank = rank;
  request.epoch_secret = "secret";
  request.peers = meeting->addresses;
  request.channels = ChannelMap::Of(schedule).channels();
  request.deadline = absl::Now() + absl::Seconds(10);
  PENSTOCK_ASSIGN_OR_RETURN(auto transport, endpoint->Connect(request));
  return body(rank, std::move(transport),
              [meeting] { meeting->barrier.arrive_and_wait(); });
}

}  // namespace

absl::Status RunRankThreads(const Schedule& schedule,
                            const EndpointFactory& make_endpoint,
                            const RankBody& body) {
  Meeting meeting(schedule.num_ranks());
  std::vector<std::thread> threads;
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    threads.emplace_back([&, rank] {
      const absl::Status status =
          RunRank(schedule, RankId(rank), make_endpoint, body, &meeting);
      if (status.ok()) return;
      std::fprintf(stderr, "rank %d: %s\n", rank, status.ToString().c_str());
      std::exit(1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return absl::OkStatus();
}

}  // namespace penstock
