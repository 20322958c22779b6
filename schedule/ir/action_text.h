#ifndef PENSTOCK_SCHEDULE_IR_ACTION_TEXT_H_
#define PENSTOCK_SCHEDULE_IR_ACTION_TEXT_H_

#include <cstdint>
#include <limits>
#include <string>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/ids.h"
#include "schedule/ir/schedule.h"
#include "schedule/ir/text_cursor.h"

namespace penstock {

// The largest number that the text form can write.
inline constexpr int64_t kMaxNumber = std::numeric_limits<int32_t>::max();

// Finds edges by tensor name and the stage at one end, in constant time.
// Borrows the edges.
class EdgeNames {
 public:
  explicit EdgeNames(absl::Span<const Edge> edges);

  absl::Span<const Edge> edges() const { return edges_; }

  // The edges that `tensor` alone can mean at `stage`, where `op` happens: how
  // many, and the first.
  struct Match {
    int count = 0;
    int first = -1;
  };
  Match Find(absl::string_view tensor, StageId stage, Op op) const;

 private:
  // Tensor, stage, whether the stage makes (or owns) the tensor.
  using Key = std::tuple<absl::string_view, int, bool>;

  void Add(absl::string_view tensor, StageId stage, bool at_maker, int edge);

  absl::Span<const Edge> edges_;
  absl::flat_hash_map<Key, Match> matches_;
};

// Appends one action as `ToString` in text_format.h writes it.
void AppendAction(const Action& action, const EdgeNames& names,
                  std::string* out);

// Takes one action, with the `&` of a pair's first, and leaves the cursor after
// it. INVALID_ARGUMENT with column and what was expected.
absl::StatusOr<Action> TakeAction(TextCursor& cursor, const EdgeNames& names);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_IR_ACTION_TEXT_H_
