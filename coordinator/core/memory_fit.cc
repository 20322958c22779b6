#include "coordinator/core/memory_fit.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <numeric>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace penstock {
namespace {

constexpr double kUnit = 1024;

int NumRanks(const Plan& plan) { return plan.schedule().ranks_size(); }

// 0: not known.
int64_t NeedOf(const Plan& plan, int rank) {
  return rank < plan.predicted_memory_size()
             ? plan.predicted_memory(rank).peak_bytes()
             : 0;
}

int64_t RoomOf(const ServerRecord& server) {
  const int64_t memory = server.info.memory_bytes();
  return memory == 0 ? std::numeric_limits<int64_t>::max() : memory;
}

bool Fits(const Plan& plan, int rank, const ServerRecord& server) {
  return NeedOf(plan, rank) <= RoomOf(server);
}

// Of the servers that are not lost; nothing if there are none, or one has not
// told.
std::optional<int64_t> LargestMemory(const ClusterState& state) {
  std::optional<int64_t> largest;
  for (const auto& [id, server] : state.servers) {
    if (server.info.state() == SERVER_STATE_LOST) continue;
    if (server.info.memory_bytes() == 0) return std::nullopt;
    largest = std::max(largest.value_or(0), server.info.memory_bytes());
  }
  return largest;
}

std::string TableOf(const Plan& plan) {
  constexpr char kRow[] = "%-5s %-10s %-10s %-10s %-11s %s\n";
  std::string table = absl::StrFormat(kRow, "rank", "weights", "gradients",
                                      "optimizer", "activations", "in all");
  for (int rank = 0; rank < NumRanks(plan); ++rank) {
    const MemoryUse& use = plan.predicted_memory(rank);
    absl::StrAppend(
        &table,
        absl::StrFormat(
            kRow, absl::StrCat(rank), MemoryText(use.weight_bytes()),
            MemoryText(use.gradient_bytes()), MemoryText(use.optimizer_bytes()),
            MemoryText(use.activation_bytes() + use.weight_queue_bytes()),
            MemoryText(use.peak_bytes())));
  }
  return table;
}

// Ways to need less that the job does not go yet.
std::string AdviceFor(const Plan& plan) {
  const Job& job = plan.job();
  std::vector<std::string> ways;
  int most_versions = 1;
  for (const wire::VersionRule& rule : plan.schedule().versions()) {
    most_versions = std::max(most_versions, rule.delay() + 1);
  }
  if (most_versions > 2) {
    ways.push_back(
        absl::StrCat("weights.policy double_buffer, which keeps 2 versions of "
                     "the weights instead of ",
                     most_versions));
  }
  if (most_versions > 1) {
    ways.push_back("weights.policy flush, which keeps one");
  }
  if (job.schedule().recompute() != "always") {
    ways.push_back("schedule.recompute: always");
  }
  ways.push_back("more schedule.microbatches or a smaller batch_size");
  ways.push_back("more partition.stages, or servers with more memory");
  return absl::StrJoin(ways, "; ");
}

}  // namespace

std::string MemoryText(int64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= kUnit && unit + 1 < std::size(kUnits)) {
    value /= kUnit;
    ++unit;
  }
  return absl::StrFormat("%.3g %s", value, kUnits[unit]);
}

absl::Status CheckMemory(const ClusterState& state, const Plan& plan) {
  const std::optional<int64_t> largest = LargestMemory(state);
  if (!largest.has_value()) return absl::OkStatus();
  int worst = -1;
  for (int rank = 0; rank < NumRanks(plan); ++rank) {
    if (NeedOf(plan, rank) <= *largest) continue;
    if (worst < 0 || NeedOf(plan, rank) > NeedOf(plan, worst)) worst = rank;
  }
  if (worst < 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "rank ", worst, " is expected to hold ", MemoryText(NeedOf(plan, worst)),
      ", and the largest stage server has ", MemoryText(*largest), ":\n",
      TableOf(plan), "less is needed with: ", AdviceFor(plan)));
}

std::vector<const ServerRecord*> FitByMemory(
    const Plan& plan, const std::vector<const ServerRecord*>& free) {
  const int num_ranks = NumRanks(plan);
  std::vector<const ServerRecord*> chosen(free.begin(),
                                          free.begin() + num_ranks);
  std::vector<int> ranks(num_ranks);
  std::iota(ranks.begin(), ranks.end(), 0);
  if (std::all_of(ranks.begin(), ranks.end(),
                  [&](int rank) { return Fits(plan, rank, *chosen[rank]); })) {
    return chosen;
  }
  std::stable_sort(ranks.begin(), ranks.end(), [&](int a, int b) {
    return NeedOf(plan, a) > NeedOf(plan, b);
  });
  // Each on the largest that is left: if there is a way at all, this is one.
  std::vector<const ServerRecord*> by_memory = free;
  std::stable_sort(by_memory.begin(), by_memory.end(),
                   [](const ServerRecord* a, const ServerRecord* b) {
                     return RoomOf(*a) > RoomOf(*b);
                   });
  for (int i = 0; i < num_ranks; ++i) {
    if (!Fits(plan, ranks[i], *by_memory[i])) return {};
    chosen[ranks[i]] = by_memory[i];
  }
  return chosen;
}

}  // namespace penstock
