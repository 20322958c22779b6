#include "schedule/ir/grid.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "schedule/ir/replay.h"
#include "schedule/ir/text_format.h"
#include "schedule/ir/unroll.h"

namespace penstock {
namespace {

constexpr int64_t kRowsAround = 10;
constexpr int kRanksShown = 9;

// Cells by row and column; rows from `first_stuck` on never ran.
struct Table {
  std::vector<std::string> header;
  std::map<int64_t, std::vector<std::string>> rows;
  int64_t first_stuck = 0;
};

void PutCell(Table* table, int64_t row, int column, std::string cell) {
  std::vector<std::string>& cells = table->rows[row];
  cells.resize(table->header.size(), ".");
  cells[column] = std::move(cell);
}

void AppendLine(const std::string& label, const std::vector<std::string>& cells,
                size_t width, std::string* out) {
  std::string line = absl::StrFormat("%4s", label);
  for (const std::string& cell : cells) {
    absl::StrAppend(&line, "  ", cell, std::string(width - cell.size(), ' '));
  }
  line.erase(line.find_last_not_of(' ') + 1);
  absl::StrAppend(out, line, "\n");
}

std::string Print(const Table& table) {
  size_t width = 4;
  for (const std::string& cell : table.header) {
    width = std::max(width, cell.size());
  }
  for (const auto& [row, cells] : table.rows) {
    for (const std::string& cell : cells) {
      width = std::max(width, cell.size());
    }
  }
  std::string out;
  AppendLine("step", table.header, width, &out);
  for (const auto& [row, cells] : table.rows) {
    AppendLine(row < table.first_stuck ? absl::StrCat(row) : "-", cells, width,
               &out);
  }
  return out;
}

// The row of each action of `rank`: when it began or, of those that never did,
// one after another below `result.makespan`.
std::vector<int64_t> RowsOf(const ReplayResult& result, int rank) {
  std::vector<int64_t> rows = result.starts[rank];
  int64_t next = result.makespan;
  for (int64_t& row : rows) {
    if (row < 0) row = next++;
  }
  return rows;
}

// The grid of `ranks`.
std::string PrintLists(const Schedule& schedule) {
  const ReplayResult result =
      Replay(schedule,
             {.cost = [](const Action& a) { return IsCompute(a.op) ? 1 : 0; },
              .overlap_pairs = true});
  Table table{.first_stuck = result.makespan};
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    table.header.push_back(absl::StrCat("r", rank));
  }
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    const std::vector<int64_t> rows = RowsOf(result, rank);
    std::string cell;
    int64_t row = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      const Action& action = schedule.ranks[rank][i];
      if (!IsCompute(action.op)) continue;
      if (cell.empty()) row = rows[i];
      cell += ToString(action);
      if (action.overlaps_next) continue;  // the rest of the pair follows
      PutCell(&table, row, rank, std::exchange(cell, ""));
    }
    if (!cell.empty()) PutCell(&table, row, rank, std::move(cell));
  }
  return Print(table);
}

}  // namespace

std::string PrintGrid(const Schedule& schedule) {
  const absl::StatusOr<Schedule> run = Unroll(schedule, /*periods=*/1);
  return PrintLists(run.ok() ? *run : schedule);
}

std::string PrintMarkedGrid(const Schedule& schedule, const GridMark& mark) {
  const ReplayResult result = Replay(schedule, {});
  Table table{.first_stuck = result.makespan};
  const int first_rank =
      std::clamp(mark.rank.value() - kRanksShown / 2, 0,
                 std::max(0, schedule.num_ranks() - kRanksShown));
  const int end_rank = std::min(schedule.num_ranks(), first_rank + kRanksShown);
  for (int rank = first_rank; rank < end_rank; ++rank) {
    table.header.push_back(absl::StrCat("r", rank));
  }
  int64_t marked_row = 0;
  if (mark.rank.value() >= 0 && mark.rank.value() < schedule.num_ranks()) {
    const std::vector<int64_t> rows = RowsOf(result, mark.rank.value());
    if (mark.position >= 0 && mark.position < static_cast<int>(rows.size())) {
      marked_row = rows[mark.position];
    }
  }
  for (int rank = first_rank; rank < end_rank; ++rank) {
    const std::vector<int64_t> rows = RowsOf(result, rank);
    for (size_t i = 0; i < rows.size(); ++i) {
      if (std::abs(rows[i] - marked_row) > kRowsAround) continue;
      std::string cell = ToString(schedule.ranks[rank][i], schedule.edges);
      if (RankId(rank) == mark.rank && static_cast<int>(i) == mark.position) {
        cell = absl::StrCat(">", cell, "<");
      }
      PutCell(&table, rows[i], rank - first_rank, std::move(cell));
    }
  }
  return Print(table);
}

}  // namespace penstock
