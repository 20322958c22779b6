#include "client/render/use_view.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/render/quantity.h"
#include "client/render/table.h"

namespace penstock {
namespace {

using nlohmann::ordered_json;

struct EdgeRow {
  std::string tensor;
  bool backward = false;
  int from_stage = 0;
  int to_stage = 0;
  int64_t messages = 0;
  int64_t bytes = 0;
  int64_t tensor_bytes = 0;
};

// By edge, forward first.
std::vector<EdgeRow> EdgeRows(const JobInfo& info) {
  const auto& edges = info.plan().schedule().edges();
  std::map<std::pair<int, bool>, EdgeRow> rows;
  for (const RankInfo& rank : info.ranks()) {
    for (const EdgeUse& use : rank.use().edges()) {
      if (use.edge() < 0 || use.edge() >= edges.size()) continue;
      const auto& edge = edges[use.edge()];
      EdgeRow& row = rows[{use.edge(), use.backward()}];
      row.tensor = edge.tensor();
      row.backward = use.backward();
      row.from_stage = use.backward() ? edge.to_stage() : edge.from_stage();
      row.to_stage = use.backward() ? edge.from_stage() : edge.to_stage();
      row.messages += use.messages();
      row.bytes += use.bytes();
      row.tensor_bytes += use.tensor_bytes();
    }
  }
  std::vector<EdgeRow> sorted;
  for (auto& [key, row] : rows) sorted.push_back(std::move(row));
  return sorted;
}

std::vector<std::string> MemoryCells(const std::string& rank,
                                     const std::string& what,
                                     const MemoryUse& use) {
  return {rank,
          what,
          BytesText(use.weight_bytes()),
          BytesText(use.gradient_bytes()),
          BytesText(use.optimizer_bytes()),
          BytesText(use.activation_bytes()),
          BytesText(use.weight_queue_bytes()),
          BytesText(use.peak_bytes())};
}

}  // namespace

std::string MemoryTable(const JobInfo& info) {
  std::vector<std::vector<std::string>> rows;
  for (int i = 0; i < info.ranks_size(); ++i) {
    const RankInfo& rank = info.ranks(i);
    if (rank.has_predicted_memory()) {
      rows.push_back(
          MemoryCells(absl::StrCat(i), "expected", rank.predicted_memory()));
    }
    if (rank.use().has_memory()) {
      rows.push_back(
          MemoryCells(absl::StrCat(i), "measured", rank.use().memory()));
    }
  }
  if (rows.empty()) return "";
  return RenderTable({"RANK", "MEMORY", "WEIGHTS", "GRADIENTS", "OPTIMIZER",
                      "ACTIVATIONS", "W QUEUE", "PEAK"},
                     rows);
}

std::string PeakMemoryText(const JobInfo& info) {
  int most = -1;
  int64_t bytes = 0;
  for (int i = 0; i < info.ranks_size(); ++i) {
    const MemoryUse& use = info.ranks(i).use().memory();
    if (use.peak_bytes() <= bytes) continue;
    bytes = use.peak_bytes();
    most = i;
  }
  if (most < 0) return "";
  const RankInfo& rank = info.ranks(most);
  const std::string expected =
      rank.has_predicted_memory()
          ? absl::StrCat(" (expected ",
                         BytesText(rank.predicted_memory().peak_bytes()), ")")
          : "";
  return absl::StrCat(BytesText(bytes), " on rank ", most, expected);
}

ordered_json MemoryToJson(const MemoryUse& use) {
  return {{"weights", use.weight_bytes()},
          {"gradients", use.gradient_bytes()},
          {"optimizer", use.optimizer_bytes()},
          {"activations", use.activation_bytes()},
          {"weight_queue", use.weight_queue_bytes()},
          {"peak", use.peak_bytes()}};
}

std::string EdgeTable(const JobInfo& info) {
  std::vector<std::vector<std::string>> rows;
  for (const EdgeRow& row : EdgeRows(info)) {
    rows.push_back(
        {absl::StrCat(row.backward ? "gradient of " : "", row.tensor),
         absl::StrCat("stage ", row.from_stage),
         absl::StrCat("stage ", row.to_stage), CountText(row.messages),
         BytesText(row.bytes), BytesText(row.tensor_bytes)});
  }
  if (rows.empty()) return "";
  return RenderTable(
      {"EDGE", "FROM", "TO", "MESSAGES", "ON THE WIRE", "IN MEMORY"}, rows);
}

ordered_json EdgesToJson(const JobInfo& info) {
  ordered_json rows = ordered_json::array();
  for (const EdgeRow& row : EdgeRows(info)) {
    rows.push_back({{"edge", row.tensor},
                    {"direction", row.backward ? "backward" : "forward"},
                    {"from_stage", row.from_stage},
                    {"to_stage", row.to_stage},
                    {"messages", row.messages},
                    {"bytes", row.bytes},
                    {"tensor_bytes", row.tensor_bytes}});
  }
  return rows;
}

}  // namespace penstock
