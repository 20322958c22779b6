#ifndef PENSTOCK_STAGE_SERVER_TRANSPORT_CONFORMANCE_H_
#define PENSTOCK_STAGE_SERVER_TRANSPORT_CONFORMANCE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "stage_server/transport/transport.h"

namespace penstock {

// The suite that every transport runs: each sentence of transport.h is a test.
// A test of an implementation links it and instantiates it:
//
//   INSTANTIATE_TEST_SUITE_P(InProcess, TransportConformanceTest,
//                            ::testing::Values(...), ConformanceName);
struct ConformanceSubject {
  using EndpointMaker = std::function<std::unique_ptr<TransportEndpoint>()>;

  std::string name;
  // Called once a test; the maker is called on each executor thread.
  std::function<EndpointMaker()> make_fabric;
  // Whether the end of a peer within this process is noticed before the
  // deadline.
  bool notices_lost_thread = false;

  friend std::ostream& operator<<(std::ostream& out,
                                  const ConformanceSubject& subject) {
    return out << subject.name;
  }
};

inline std::string ConformanceName(
    const ::testing::TestParamInfo<ConformanceSubject>& info) {
  return info.param.name;
}

// What one rank does with its connected transport, on its own thread.
using RankBody = std::function<void(RankId, std::unique_ptr<Transport>)>;

class TransportConformanceTest
    : public ::testing::TestWithParam<ConformanceSubject> {
 protected:
  TransportConformanceTest() : make_endpoint_(GetParam().make_fabric()) {}

  std::unique_ptr<TransportEndpoint> MakeEndpoint() const {
    return make_endpoint_();
  }

  // Runs `body` for each rank on its own thread and joins them. Fails the test
  // when a rank does not connect.
  void RunRanks(int num_ranks, const std::vector<ChannelSpec>& channels,
                const RankBody& body) const;
  // `first` as rank 0 and `second` as rank 1, with channels 0 (0>1) and 1
  // (1>0).
  void RunPair(
      const std::function<void(std::unique_ptr<Transport>)>& first,
      const std::function<void(std::unique_ptr<Transport>)>& second) const;

  // What Connect of each rank said, when `adjust` changed its request.
  std::vector<absl::Status> ConnectRanks(
      int num_ranks, const std::vector<ChannelSpec>& channels,
      const std::function<void(ConnectRequest&)>& adjust,
      const RankBody& body) const;

 private:
  const ConformanceSubject::EndpointMaker make_endpoint_;
};

inline constexpr ChannelId kForward(0);
inline constexpr ChannelId kBackward(1);

// kForward from rank 0 to rank 1 and kBackward from 1 to 0.
std::vector<ChannelSpec> PairChannels();

// Far enough away that a sound transport never meets it.
absl::Time LongDeadline();

// A float32 header of one dimension of `size_bytes` / 4 elements.
MessageHeader HeaderOf(int64_t step, int microbatch, size_t size_bytes);

// Bytes that tell sequence numbers apart.
std::vector<std::byte> PayloadOf(int64_t sequence, size_t size_bytes);

// Sends or receives one message of PayloadOf(step, size_bytes), in whole;
// receiving also compares the bytes.
absl::Status SendPayload(Transport& transport, ChannelId channel, int64_t step,
                         size_t size_bytes);
absl::Status ReceivePayload(Transport& transport, ChannelId channel,
                            int64_t step, size_t size_bytes);

// What each of the five calls that can fail says now.
std::vector<absl::Status> StatusOfEveryCall(Transport& transport,
                                            ChannelId outgoing,
                                            ChannelId incoming);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_TRANSPORT_CONFORMANCE_H_
