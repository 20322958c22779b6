#ifndef PENSTOCK_TESTS_SIMULATION_NETWORK_H_
#define PENSTOCK_TESTS_SIMULATION_NETWORK_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "proto/stage_service.pb.h"

namespace penstock::simulation {

// One stream between a stage server's process and a coordinator's. Each end
// learns by itself that it is over; until then it may speak to nobody.
struct Session {
  std::string server_id;
  // The process's own number of it, and the process.
  int64_t number = 0;
  uint64_t incarnation = 0;
  // The coordinator's process.
  int64_t generation = 0;
  bool is_open_at_server = true;
  bool is_open_at_coordinator = true;
  // The coordinator has seen the Hello.
  bool has_begun = false;
  // On the way, in order; up without a value: the server has hung up.
  std::deque<std::optional<StageMessage>> up;
  std::deque<CoordinatorMessage> down;
};

}  // namespace penstock::simulation

#endif  // PENSTOCK_TESTS_SIMULATION_NETWORK_H_
