#include "schedule/ir/text_cursor.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

constexpr size_t kMaxName = 1000;

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' ||
         c == '.' || c == '/' || c == ':' || c == '-';
}

}  // namespace

bool IsName(absl::string_view text) {
  return !text.empty() && text.size() <= kMaxName &&
         std::all_of(text.begin(), text.end(), IsNameCharacter);
}

bool TextCursor::Take(absl::string_view token) {
  if (!absl::StartsWith(text_.substr(offset_), token)) return false;
  offset_ += token.size();
  return true;
}

void TextCursor::TakeBlanks() {
  while (!AtEnd() && IsBlank(text_[offset_])) ++offset_;
}

size_t TextCursor::CountWords(absl::string_view separators) const {
  size_t count = 0;
  bool inside = false;
  for (const char c : text_.substr(offset_)) {
    const bool separates = IsBlank(c) || absl::StrContains(separators, c);
    if (!separates && !inside) ++count;
    inside = !separates;
  }
  return count;
}

absl::Status TextCursor::Expect(absl::string_view token) {
  if (Take(token)) return absl::OkStatus();
  return Unexpected(absl::StrCat("\"", token, "\""));
}

absl::StatusOr<int64_t> TextCursor::Number(absl::string_view what,
                                           int64_t max) {
  const size_t begin = offset_;
  int64_t value = 0;
  while (!AtEnd() &&
         absl::ascii_isdigit(static_cast<unsigned char>(text_[offset_]))) {
    const int digit = text_[offset_] - '0';
    if (value > (max - digit) / 10) {
      return ErrorAt(begin, absl::StrCat(what, " is larger than ", max));
    }
    value = value * 10 + digit;
    ++offset_;
  }
  if (offset_ == begin) return Unexpected(what);
  if (text_[begin] == '0' && offset_ - begin > 1) {
    return ErrorAt(begin, absl::StrCat(what, " has a leading zero"));
  }
  return value;
}

absl::StatusOr<absl::string_view> TextCursor::Name(absl::string_view what) {
  const size_t begin = offset_;
  size_t end = begin;
  while (end < text_.size() && IsNameCharacter(text_[end])) ++end;
  if (end == begin) return Unexpected(what);
  if (end - begin > kMaxName) {
    return ErrorAt(
        begin, absl::StrCat(what, " is longer than ", kMaxName, " characters"));
  }
  offset_ = end;
  return text_.substr(begin, end - begin);
}

absl::Status TextCursor::Unexpected(absl::string_view what) const {
  std::string got = "the end";
  if (!AtEnd()) {
    constexpr size_t kShown = 20;
    absl::string_view rest = text_.substr(offset_);
    const size_t blank = rest.find_first_of(" \t\r", 1);
    rest = rest.substr(0, std::min(blank, kShown));
    got = absl::StrCat("\"", absl::CHexEscape(rest), "\"");
  }
  return ErrorAt(offset_, absl::StrCat("expected ", what, ", got ", got));
}

absl::Status TextCursor::ErrorAt(size_t offset, absl::string_view message) {
  return absl::InvalidArgumentError(
      absl::StrCat("column ", offset + 1, ": ", message));
}

}  // namespace penstock
