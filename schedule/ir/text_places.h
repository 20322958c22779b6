#ifndef PENSTOCK_SCHEDULE_IR_TEXT_PLACES_H_
#define PENSTOCK_SCHEDULE_IR_TEXT_PLACES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/ids.h"

namespace penstock {

// A place in a text, both counted from 1.
struct TextPlace {
  int64_t line = 1;
  int64_t column = 1;

  friend bool operator==(const TextPlace&, const TextPlace&) = default;
};

// Where the lists of a schedule file stand, so that whoever wrote it by hand
// can be shown the action that is wrong. Borrows the text; takes little memory
// for each rank and none for the actions.
class TextPlaces {
 public:
  // `text`: a file that `ParseSchedule` reads.
  explicit TextPlaces(absl::string_view text);

  // The action at `position` of the rank's list; of a continuous schedule, the
  // list that `Unroll` makes with `periods` periods, of which the one in the
  // file is meant. position < 0: the rank's (first) line. A rank that the file
  // does not have: its first line. Reads the rank's lines up to there.
  TextPlace Of(RankId rank, int position, int periods = 0) const;

 private:
  struct Line {
    int64_t number = 0;
    // Of the line's first character, and of the one after its label.
    size_t begin = 0;
    size_t list = 0;
  };

  struct Found {
    std::optional<size_t> offset;
    // Actions looked at; of the whole list where there is no such action.
    int64_t num_before = 0;
  };

  // The action at `position` of the list in a line.
  Found Find(const Line& line, int64_t position) const;
  TextPlace PlaceOf(const Line& line, size_t offset) const;

  absl::string_view text_;
  // Index is the section (one, or prologue, period and epilogue), then rank.
  std::vector<std::vector<Line>> sections_;
};

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_IR_TEXT_PLACES_H_
