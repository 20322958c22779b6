#ifndef PENSTOCK_TESTS_SIMULATION_HELD_PARTS_H_
#define PENSTOCK_TESTS_SIMULATION_HELD_PARTS_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "proto/stage_service.pb.h"

namespace penstock::simulation {

// Which parts of states a stage server's memory holds; by the rules of
// stage_server/checkpoint/state_memory.h, without the parts.
class HeldParts {
 public:
  // Of each rank the newest `kept` stay. As soon as a rank has two of a newer
  // epoch, those of the job's older epochs go.
  void Add(const CheckpointId& id, int rank, size_t kept);
  bool Contains(const CheckpointId& id, int rank) const;
  void KeepOnly(const std::string& job_id);
  void Clear() { parts_.clear(); }
  MemoryReport Report() const;

 private:
  using Owner = std::pair<std::string, int>;    // job, rank
  using Version = std::pair<int64_t, int64_t>;  // epoch, step
  std::map<Owner, std::set<Version>> parts_;
};

}  // namespace penstock::simulation

#endif  // PENSTOCK_TESTS_SIMULATION_HELD_PARTS_H_
