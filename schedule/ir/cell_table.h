#ifndef PENSTOCK_SCHEDULE_IR_CELL_TABLE_H_
#define PENSTOCK_SCHEDULE_IR_CELL_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace penstock {

// A value for each (row, column), for instance (stage, microbatch). An array
// where the table is about as large as the schedule, so that a look-up costs
// nothing; a hash map where it claims to be larger than its lists can fill, so
// that rubbish takes no more memory than it is long.
template <typename Value>
class CellTable {
 public:
  // `num_actions`: about how many cells may be filled.
  // Requires: nothing is asked for outside of rows x columns.
  CellTable(int64_t rows, int64_t columns, size_t num_actions)
      : columns_(columns) {
    const int64_t few = 4 * static_cast<int64_t>(num_actions) + 1024;
    if (rows > 0 && columns > 0 && columns <= few / rows) {
      cells_.resize(rows * columns);
    }
  }

  // The cell to write to.
  Value& At(int64_t row, int64_t column) {
    const int64_t index = row * columns_ + column;
    return cells_.empty() ? sparse_[index] : cells_[index];
  }

  // The cell as it is; a value of defaults if nothing was written there.
  const Value& Get(int64_t row, int64_t column) const {
    const int64_t index = row * columns_ + column;
    if (!cells_.empty()) return cells_[index];
    const auto found = sparse_.find(index);
    return found == sparse_.end() ? none_ : found->second;
  }

 private:
  int64_t columns_;
  std::vector<Value> cells_;
  absl::flat_hash_map<int64_t, Value> sparse_;
  Value none_{};
};

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_IR_CELL_TABLE_H_
