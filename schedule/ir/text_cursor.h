#ifndef PENSTOCK_SCHEDULE_IR_TEXT_CURSOR_H_
#define PENSTOCK_SCHEDULE_IR_TEXT_CURSOR_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock {

// A place in one line of text, moving right as tokens are taken. Every error is
// INVALID_ARGUMENT and says column (from 1), what was expected and what is
// there. Borrows the text.
class TextCursor {
 public:
  explicit TextCursor(absl::string_view text) : text_(text) {}

  bool AtEnd() const { return offset_ == text_.size(); }
  size_t offset() const { return offset_; }
  // Whether the next characters are `token`; takes them if so.
  bool Take(absl::string_view token);
  // How many words are left, between blanks or characters of `separators`.
  size_t CountWords(absl::string_view separators) const;
  // Takes blanks (space, tab, carriage return), if any.
  void TakeBlanks();

  // Takes `token` or fails.
  absl::Status Expect(absl::string_view token);
  // Takes a decimal number without sign or leading zero, at most `max`.
  absl::StatusOr<int64_t> Number(absl::string_view what, int64_t max);
  // Takes a name (see `IsName`).
  absl::StatusOr<absl::string_view> Name(absl::string_view what);

  // "column 5: expected `what`, got "X"".
  absl::Status Unexpected(absl::string_view what) const;
  // "column 5: `message`", for the character at `offset`.
  static absl::Status ErrorAt(size_t offset, absl::string_view message);

 private:
  absl::string_view text_;
  size_t offset_ = 0;
};

// Whether `text` can stand as the name of a schedule or tensor: letters,
// digits, `_` `.` `/` `:` `-`, and neither empty nor longer than 1000.
bool IsName(absl::string_view text);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_IR_TEXT_CURSOR_H_
