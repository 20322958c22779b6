#ifndef PENSTOCK_TESTS_SIMULATION_TIMETABLE_H_
#define PENSTOCK_TESTS_SIMULATION_TIMETABLE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "absl/time/time.h"

namespace penstock::simulation {

// What is to happen when. What is due at one time happens in the order in which
// it was added.
class Timetable {
 public:
  void Add(absl::Time at, std::function<void()> what) {
    entries_.emplace(std::make_pair(at, ++last_), std::move(what));
  }
  bool empty() const { return entries_.empty(); }
  // Of the next one. Requires: not empty.
  absl::Time next() const { return entries_.begin()->first.first; }
  std::function<void()> Take() {
    auto what = std::move(entries_.begin()->second);
    entries_.erase(entries_.begin());
    return what;
  }

 private:
  uint64_t last_ = 0;
  std::map<std::pair<absl::Time, uint64_t>, std::function<void()>> entries_;
};

}  // namespace penstock::simulation

#endif  // PENSTOCK_TESTS_SIMULATION_TIMETABLE_H_
