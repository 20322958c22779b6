#include "schedule/generators/registry.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "schedule/generators/chimera.h"
#include "schedule/generators/dual_pipe_v.h"
#include "schedule/generators/gpipe.h"
#include "schedule/generators/gpipe_grouped.h"
#include "schedule/generators/interleaved.h"
#include "schedule/generators/interleaved_zb.h"
#include "schedule/generators/loop_bfs.h"
#include "schedule/generators/naive.h"
#include "schedule/generators/one_f_one_b.h"
#include "schedule/generators/pipedream.h"
#include "schedule/generators/pipedream_2bw.h"
#include "schedule/generators/pipedream_vertical.h"
#include "schedule/generators/replicate.h"
#include "schedule/generators/request.h"
#include "schedule/generators/v_half.h"
#include "schedule/generators/v_min.h"
#include "schedule/generators/wpipe.h"
#include "schedule/generators/zb_h1.h"
#include "schedule/generators/zb_h2.h"
#include "schedule/generators/zbv.h"

namespace penstock {
namespace {

constexpr int64_t kMaxActions = 100'000'000;

// F, I and W of each.
constexpr int64_t kActionsPerMicrobatch = 3;

absl::Status CheckSize(int64_t num_stages, int64_t num_microbatches) {
  if (num_stages <= kMaxActions / kActionsPerMicrobatch / num_microbatches) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      num_stages, " stages x ", num_microbatches,
      " microbatches are more than ", kMaxActions, " actions; want at most ",
      kMaxActions / kActionsPerMicrobatch / num_stages, " microbatches"));
}

bool HasReplicas(const GeneratorRequest& request) {
  return std::any_of(request.replicas.begin(), request.replicas.end(),
                     [](int count) { return count > 1; });
}

bool Flushes(const GeneratorInfo& generator) {
  return generator.update_policy == "flush";
}

bool CanReplicate(const GeneratorInfo& generator) {
  return Flushes(generator) || generator.generate_replicated != nullptr;
}

// One number for each rank.
absl::StatusOr<std::vector<int>> ReplicasOf(const GeneratorInfo& generator,
                                            const GeneratorRequest& request) {
  std::vector<int> counts = request.replicas;
  if (counts.empty()) counts = {1};
  const auto bad = [&](const std::string& problem) {
    return absl::InvalidArgumentError(absl::StrCat(
        "replicas ", absl::StrJoin(request.replicas, ","), problem));
  };
  if (counts.size() == 1) counts.assign(request.num_ranks, counts[0]);
  if (static_cast<int>(counts.size()) != request.num_ranks) {
    return bad(absl::StrCat(" are ", counts.size(),
                            " numbers, want one, or one for each of the ",
                            request.num_ranks, " ranks of a pipeline"));
  }
  for (const int count : counts) {
    if (count < 1) return bad(": want at least 1");
    if (count > request.num_microbatches) {
      return bad(absl::StrCat(": a replica would have no microbatch, of ",
                              request.num_microbatches, "; want at most ",
                              request.num_microbatches));
    }
    if (count > 1 && !CanReplicate(generator)) {
      return bad(absl::StrCat(
          ": schedule ", generator.name,
          " fixes the weights that a microbatch reads as it enters, which "
          "replicas would have to wait for each other for; want 1, or another "
          "schedule"));
    }
  }
  return counts;
}

absl::StatusOr<Schedule> GenerateReplicated(const GeneratorInfo& generator,
                                            GeneratorRequest request) {
  const int width = request.replicas[0];
  const bool is_even =
      std::all_of(request.replicas.begin(), request.replicas.end(),
                  [&](int count) { return count == width; });
  if (!Flushes(generator)) {
    PENSTOCK_ASSIGN_OR_RETURN(Schedule schedule,
                              generator.generate_replicated(request));
    if (!is_even || request.rank_order == RankOrder::kDataMajor) {
      return schedule;
    }
    return PipelineMajor(schedule, width);
  }
  if (!is_even && generator.generate_replicated != nullptr) {
    return generator.generate_replicated(request);
  }
  if (!is_even) {
    PENSTOCK_ASSIGN_OR_RETURN(const Schedule base, generator.generate(request));
    return ReplicateRanks(base, request.replicas);
  }
  const int num_microbatches = request.num_microbatches;
  request.num_microbatches = (num_microbatches - 1) / width + 1;
  PENSTOCK_ASSIGN_OR_RETURN(const Schedule base, generator.generate(request));
  return ReplicatePipeline(base, width, num_microbatches, request.rank_order);
}

}  // namespace

const std::vector<GeneratorInfo>& Generators() {
  static const auto* generators = new std::vector<GeneratorInfo>{
      NaiveGenerator(),         GpipeGenerator(),
      OneFOneBGenerator(),      InterleavedGenerator(),
      ChimeraGenerator(),       GpipeGroupedGenerator(),
      PipedreamGenerator(),     PipedreamVerticalGenerator(),
      Pipedream2bwGenerator(),  WpipeGenerator(),
      LoopBfsGenerator(),       ZbH1Generator(),
      InterleavedZbGenerator(), ZbH2Generator(),
      ZbvGenerator(),           VHalfGenerator(),
      VMinGenerator(),          DualPipeVGenerator()};
  return *generators;
}

absl::StatusOr<const GeneratorInfo*> FindGenerator(absl::string_view name) {
  std::vector<std::string> names;
  for (const GeneratorInfo& generator : Generators()) {
    if (generator.name == name) return &generator;
    names.push_back(generator.name);
  }
  return UnknownWord("schedule", name, names);
}

absl::StatusOr<int> CountStages(absl::string_view name,
                                const GeneratorRequest& request) {
  PENSTOCK_ASSIGN_OR_RETURN(const GeneratorInfo* generator,
                            FindGenerator(name));
  PENSTOCK_ASSIGN_OR_RETURN(const GeneratorRequest complete,
                            CompleteRequest(*generator, request));
  return complete.num_stages;
}

absl::StatusOr<int> CountRanks(absl::string_view name,
                               GeneratorRequest request) {
  const int wanted = std::exchange(request.num_stages, 0);
  for (int ranks = wanted; ranks >= 1; --ranks) {
    request.num_ranks = ranks;
    const absl::StatusOr<int> stages = CountStages(name, request);
    if (stages.ok() && *stages == wanted) return ranks;
  }
  request.num_ranks = 1;
  PENSTOCK_ASSIGN_OR_RETURN(const int of_one_rank, CountStages(name, request));
  return absl::InvalidArgumentError(absl::StrCat(
      "schedule ", name, " has ", of_one_rank,
      of_one_rank == 1 ? " stage" : " stages", " on one rank and never ",
      wanted, "; want a multiple, or say how many ranks there are"));
}

absl::StatusOr<Schedule> Generate(absl::string_view name,
                                  const GeneratorRequest& request) {
  PENSTOCK_ASSIGN_OR_RETURN(const GeneratorInfo* generator,
                            FindGenerator(name));
  PENSTOCK_ASSIGN_OR_RETURN(GeneratorRequest complete,
                            CompleteRequest(*generator, request));
  PENSTOCK_RETURN_IF_ERROR(
      CheckSize(complete.num_stages, complete.num_microbatches));
  PENSTOCK_ASSIGN_OR_RETURN(complete.replicas,
                            ReplicasOf(*generator, complete));
  if (!HasReplicas(complete)) return generator->generate(complete);
  return GenerateReplicated(*generator, std::move(complete));
}

absl::StatusOr<std::vector<Action>> GenerateRank(
    absl::string_view name, const GeneratorRequest& request, RankId rank) {
  PENSTOCK_ASSIGN_OR_RETURN(const GeneratorInfo* generator,
                            FindGenerator(name));
  PENSTOCK_ASSIGN_OR_RETURN(const GeneratorRequest complete,
                            CompleteRequest(*generator, request));
  if (HasReplicas(complete)) {
    return absl::InvalidArgumentError(
        "the list of one rank is made for schedules without replicas");
  }
  if (rank.value() < 0 || rank.value() >= complete.num_ranks) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank ", rank.value(), " of ", complete.num_ranks,
                     ", want 0 to ", complete.num_ranks - 1));
  }
  if (generator->generate_rank != nullptr) {
    PENSTOCK_RETURN_IF_ERROR(CheckSize(complete.num_stages / complete.num_ranks,
                                       complete.num_microbatches));
    return generator->generate_rank(complete, rank.value());
  }
  PENSTOCK_RETURN_IF_ERROR(
      CheckSize(complete.num_stages, complete.num_microbatches));
  PENSTOCK_ASSIGN_OR_RETURN(Schedule schedule, generator->generate(complete));
  return std::move(schedule.ranks[rank.value()]);
}

}  // namespace penstock
