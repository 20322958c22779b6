#include "schedule/generators/replicate.h"

#include <cstddef>
#include <optional>

#include "base/ids.h"

namespace penstock {
namespace {

// The actions whose microbatches `rename` gives a new number.
template <typename Rename>
std::vector<Action> Deal(const std::vector<Action>& actions, Rename rename) {
  std::vector<Action> dealt;
  for (const Action& action : actions) {
    const size_t before = dealt.size();
    for (int i = 0; i < action.num_microbatches; ++i) {
      const std::optional<int> number = rename(action.microbatch.value() + i);
      if (!number.has_value()) continue;
      Action& one = dealt.emplace_back(action);
      one.microbatch = MicrobatchId(*number);
      one.num_microbatches = 1;
    }
    const bool is_left_out = dealt.size() == before;
    if (is_left_out && before > 0) dealt.back().overlaps_next = false;
  }
  return dealt;
}

Schedule OutlineOf(const Schedule& base, int num_microbatches, int num_ranks) {
  Schedule schedule;
  schedule.name = base.name;
  schedule.num_microbatches = num_microbatches;
  schedule.accumulation = base.accumulation;
  schedule.placement.resize(base.placement.size());
  schedule.ranks.resize(num_ranks);
  return schedule;
}

}  // namespace

Schedule ReplicatePipeline(const Schedule& base, int width,
                           int num_microbatches, RankOrder order) {
  const int num_ranks = base.num_ranks();
  const auto rank_of = [&](int rank, int pipeline) {
    return order == RankOrder::kDataMajor ? rank * width + pipeline
                                          : pipeline * num_ranks + rank;
  };
  Schedule schedule = OutlineOf(base, num_microbatches, num_ranks * width);
  for (int pipeline = 0; pipeline < width; ++pipeline) {
    for (int stage = 0; stage < base.num_stages(); ++stage) {
      for (const RankId holder : base.placement[stage]) {
        schedule.placement[stage].push_back(
            RankId(rank_of(holder.value(), pipeline)));
      }
    }
    for (int rank = 0; rank < num_ranks; ++rank) {
      schedule.ranks[rank_of(rank, pipeline)] =
          Deal(base.ranks[rank], [&](int j) -> std::optional<int> {
            const int microbatch = j * width + pipeline;
            if (microbatch >= num_microbatches) return std::nullopt;
            return microbatch;
          });
    }
  }
  return schedule;
}

Schedule ReplicateRanks(const Schedule& base, const std::vector<int>& counts) {
  std::vector<int> first = {0};
  for (const int count : counts) first.push_back(first.back() + count);
  Schedule schedule = OutlineOf(base, base.num_microbatches, first.back());
  for (int stage = 0; stage < base.num_stages(); ++stage) {
    for (const RankId holder : base.placement[stage]) {
      for (int i = 0; i < counts[holder.value()]; ++i) {
        schedule.placement[stage].push_back(RankId(first[holder.value()] + i));
      }
    }
  }
  for (int rank = 0; rank < base.num_ranks(); ++rank) {
    const int count = counts[rank];
    for (int replica = 0; replica < count; ++replica) {
      schedule.ranks[first[rank] + replica] =
          Deal(base.ranks[rank], [&](int b) -> std::optional<int> {
            if (b % count != replica) return std::nullopt;
            return b;
          });
    }
  }
  return schedule;
}

RankLists ReplicateLists(const RankLists& base, int width) {
  RankLists lists;
  for (const std::vector<Action>& actions : base) {
    for (int k = 0; k < width; ++k) {
      lists.push_back(Deal(
          actions, [&](int j) -> std::optional<int> { return j * width + k; }));
    }
  }
  return lists;
}

Schedule PipelineMajor(const Schedule& side_by_side, int width) {
  const int num_ranks = side_by_side.num_ranks() / width;
  const auto new_rank = [&](int rank) {
    return rank % width * num_ranks + rank / width;
  };
  Schedule schedule = side_by_side;
  for (std::vector<RankId>& holders : schedule.placement) {
    for (RankId& holder : holders) holder = RankId(new_rank(holder.value()));
  }
  for (const auto lists :
       {&Schedule::ranks, &Schedule::period, &Schedule::epilogue}) {
    const RankLists& before = side_by_side.*lists;
    for (size_t rank = 0; rank < before.size(); ++rank) {
      (schedule.*lists)[new_rank(static_cast<int>(rank))] = before[rank];
    }
  }
  return schedule;
}

}  // namespace penstock
