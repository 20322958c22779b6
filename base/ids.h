#ifndef PENSTOCK_BASE_IDS_H_
#define PENSTOCK_BASE_IDS_H_

#include <compare>
#include <cstdint>
#include <ostream>

namespace penstock {

// A number that cannot be passed where another kind of number is meant. Counts
// from 0 unless its name says otherwise; -1 is no value that a caller gets.
template <typename Tag>
class Id {
 public:
  constexpr Id() = default;
  constexpr explicit Id(int value) : value_(value) {}

  constexpr int value() const { return value_; }

  friend constexpr auto operator<=>(Id, Id) = default;

  template <typename H>
  friend H AbslHashValue(H h, Id id) {
    return H::combine(std::move(h), id.value_);
  }
  friend std::ostream& operator<<(std::ostream& out, Id id) {
    return out << id.value_;
  }

 private:
  int value_ = -1;
};

// A slot in one epoch of a job; runs one or more stages.
using RankId = Id<struct RankIdTag>;
// A set of layers that one action runs.
using StageId = Id<struct StageIdTag>;
// Within one step.
using MicrobatchId = Id<struct MicrobatchIdTag>;
// Index into a schedule's edges.
using EdgeId = Id<struct EdgeIdTag>;

}  // namespace penstock

#endif  // PENSTOCK_BASE_IDS_H_
