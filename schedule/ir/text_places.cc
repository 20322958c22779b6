#include "schedule/ir/text_places.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace penstock {
namespace {

constexpr absl::string_view kBlanks = " \t\r";

// Whether the line, without blanks before it, is "r3: ...".
bool IsList(absl::string_view line) {
  size_t end = 1;
  while (end < line.size() &&
         absl::ascii_isdigit(static_cast<unsigned char>(line[end]))) {
    ++end;
  }
  return absl::StartsWith(line, "r") && end > 1 && end < line.size() &&
         line[end] == ':';
}

}  // namespace

TextPlaces::TextPlaces(absl::string_view text) : text_(text) {
  sections_.emplace_back();
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const size_t first = std::min(text.find_first_not_of(kBlanks, begin), end);
    const absl::string_view line = text.substr(first, end - first);
    ++number;
    if (absl::StartsWith(line, "period") ||
        absl::StartsWith(line, "epilogue")) {
      sections_.emplace_back();
    } else if (IsList(line)) {
      sections_.back().push_back({number, begin, text.find(':', first) + 1});
    }
    begin = end + 1;
  }
}

TextPlaces::Found TextPlaces::Find(const Line& line, int64_t position) const {
  Found found;
  bool inside = false;
  for (size_t i = line.list; i < text_.size() && text_[i] != '\n'; ++i) {
    const char c = text_[i];
    const bool blank = c == ' ' || c == '\t' || c == '\r';
    if (!blank && !inside && found.num_before++ == position) {
      found.offset = i;
      return found;
    }
    inside = !blank && c != '&';
  }
  return found;
}

TextPlace TextPlaces::PlaceOf(const Line& line, size_t offset) const {
  return {line.number, static_cast<int64_t>(offset - line.begin) + 1};
}

TextPlace TextPlaces::Of(RankId rank, int position, int periods) const {
  const auto r = static_cast<size_t>(rank.value());
  if (rank.value() < 0 || r >= sections_[0].size()) return {};
  int64_t left = position;
  for (size_t section = 0; section < sections_.size() && left >= 0; ++section) {
    if (r >= sections_[section].size()) break;
    const Line& line = sections_[section][r];
    const int64_t times = section == 1 ? periods : 1;
    Found found = Find(line, left);
    if (!found.offset && left < found.num_before * times) {
      found = Find(line, left % found.num_before);
    }
    if (found.offset && times > 0) return PlaceOf(line, *found.offset);
    left -= found.num_before * times;
  }
  const Line& line = sections_[0][r];
  return PlaceOf(line, std::min(text_.find_first_not_of(kBlanks, line.begin),
                                text_.size()));
}

}  // namespace penstock
