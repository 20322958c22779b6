#include "client/render/table.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

// UTF-8 continuation bytes take no column.
size_t Width(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (c & 0xC0) != 0x80; });
}

std::string CellText(const std::vector<std::string>& row, size_t column) {
  if (column >= row.size() || row[column].empty()) return "-";
  return row[column];
}

}  // namespace

std::string RenderTable(const std::vector<std::string>& heading,
                        const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (size_t column = 0; column < heading.size(); ++column) {
    size_t width = Width(heading[column]);
    for (const std::vector<std::string>& row : rows) {
      width = std::max(width, Width(CellText(row, column)));
    }
    widths.push_back(width);
  }
  std::string table;
  const auto append = [&](const std::vector<std::string>& row) {
    std::string line;
    for (size_t column = 0; column < heading.size(); ++column) {
      const std::string cell = CellText(row, column);
      absl::StrAppend(&line, cell,
                      std::string(widths[column] - Width(cell) + 2, ' '));
    }
    absl::StrAppend(&table, absl::StripTrailingAsciiWhitespace(line), "\n");
  };
  append(heading);
  for (const std::vector<std::string>& row : rows) append(row);
  return table;
}

}  // namespace penstock
