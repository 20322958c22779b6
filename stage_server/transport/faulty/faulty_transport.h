#ifndef PENSTOCK_STAGE_SERVER_TRANSPORT_FAULTY_FAULTY_TRANSPORT_H_
#define PENSTOCK_STAGE_SERVER_TRANSPORT_FAULTY_FAULTY_TRANSPORT_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "stage_server/transport/transport.h"

namespace penstock {

// What goes wrong with what one rank sends. The fate of a message depends on
// the seed, its channel and its number on that channel alone.
struct Faults {
  uint64_t seed = 0;
  // Probability that a message is held back, for 1 to `max_delay` turns: a Test
  // is a turn, and so is each look of a Wait, which looks again and again while
  // anything is held. What follows on its channel is held with it; messages of
  // other channels overtake it.
  double delay = 0;
  int max_delay = 16;
  // Probability that a message is lost: its send completes; its receiver gets
  // the channel's next one in its place or waits in vain.
  double drop = 0;
  // The rank is gone once it has sent so many: its transport ends with
  // UNAVAILABLE and peers see what the inner one shows of a lost rank.
  std::optional<int64_t> die_after;
};

// An endpoint, for tests, whose transport keeps its contract towards its caller
// and has these faults towards peers.
std::unique_ptr<TransportEndpoint> MakeFaultyEndpoint(
    std::unique_ptr<TransportEndpoint> inner, const Faults& faults);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_TRANSPORT_FAULTY_FAULTY_TRANSPORT_H_
