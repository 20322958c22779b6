#include "schedule/planner/auto_schedule.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "schedule/generators/registry.h"
#include "schedule/simulator/report.h"

namespace penstock {
namespace {

constexpr int kRounds = 4;
// How many of the best candidates of a placement our own schedules start from.
constexpr size_t kStarts = 3;
constexpr double kPatience[] = {0, 0.5, 1};

using Placement = std::vector<std::vector<RankId>>;

// A candidate with all that making a better one of it needs.
struct Trial {
  AutoCandidate candidate;
  Schedule schedule;
  CostModel costs;
  Timeline timeline;
  double peak_in_flight = 0;
  int64_t peak_bytes = 0;
};

bool IsBetter(const Trial& a, const Trial& b) {
  if (a.candidate.fits != b.candidate.fits) return a.candidate.fits;
  return a.candidate.makespan < b.candidate.makespan;
}

bool Fits(const MemoryCap& cap, const Trial& trial) {
  return (!cap.in_flight || trial.peak_in_flight <= *cap.in_flight + 1e-9) &&
         (!cap.bytes || trial.peak_bytes <= *cap.bytes);
}

absl::StatusOr<Trial> Try(const AutoRequest& request, std::string name,
                          Schedule schedule, CostModel costs) {
  Trial trial;
  PENSTOCK_ASSIGN_OR_RETURN(SimulationReport report,
                            SimulateAndReport(schedule, costs));
  for (size_t rank = 0; rank < report.peak_bytes.size(); ++rank) {
    trial.peak_in_flight = std::max(trial.peak_in_flight,
                                    report.summary.ranks[rank].peak_in_flight);
    trial.peak_bytes = std::max(trial.peak_bytes, report.peak_bytes[rank]);
  }
  trial.candidate = {.name = std::move(name),
                     .makespan = report.summary.makespan,
                     .fits = Fits(request.cap, trial)};
  trial.schedule = std::move(schedule);
  trial.costs = std::move(costs);
  trial.timeline = std::move(report.timeline);
  return trial;
}

// Ranks hold fewer microbatches the later they come, but at most `most`.
std::string FallingList(int num_ranks, int most) {
  std::vector<int> numbers;
  for (int rank = 0; rank < num_ranks; ++rank) {
    numbers.push_back(std::min(num_ranks - rank, most));
  }
  return absl::StrJoin(numbers, ",");
}

// The defaults, then every other word of each parameter, one at a time; of a
// list by rank (1F1B's warm-up), those that need less memory.
std::vector<std::map<std::string, std::string>> Variants(
    const GeneratorInfo& generator, int num_ranks) {
  std::vector<std::map<std::string, std::string>> variants = {{}};
  for (const ParameterInfo& parameter : generator.parameters) {
    if (parameter.name == "recompute") continue;
    for (const std::string& value : parameter.values) {
      if (value != parameter.default_value) {
        variants.push_back({{parameter.name, value}});
      }
    }
    if (parameter.list != ListFor::kRanks) continue;
    for (int most = 1; most < num_ranks; ++most) {
      variants.push_back({{parameter.name, FallingList(num_ranks, most)}});
    }
  }
  return variants;
}

std::string NameOf(const GeneratorInfo& generator,
                   const std::map<std::string, std::string>& parameters,
                   int chunks) {
  std::string name = generator.name;
  if (chunks > 1) absl::StrAppend(&name, " v=", chunks);
  for (const auto& [key, value] : parameters) {
    absl::StrAppend(&name, " ", key, "=", value);
  }
  return name;
}

// Those that exist for the request; a generator that refuses is left out.
absl::StatusOr<std::vector<Trial>> TryFixed(const AutoRequest& request) {
  std::vector<Trial> trials;
  std::map<Placement, CostModel> known;
  for (const GeneratorInfo& generator : Generators()) {
    if (generator.update_policy != "flush") continue;
    for (const int chunks : request.chunks_per_rank) {
      for (const auto& parameters : Variants(generator, request.num_ranks)) {
        absl::StatusOr<Schedule> schedule = Generate(
            generator.name, {.num_ranks = request.num_ranks,
                             .num_stages = request.num_ranks * chunks,
                             .num_microbatches = request.num_microbatches,
                             .parameters = parameters});
        if (!schedule.ok()) continue;
        schedule->edges = request.edges(schedule->num_stages());
        auto costs = known.find(schedule->placement);
        if (costs == known.end()) {
          PENSTOCK_ASSIGN_OR_RETURN(CostModel made, request.costs(*schedule));
          costs = known.emplace(schedule->placement, std::move(made)).first;
        }
        PENSTOCK_ASSIGN_OR_RETURN(
            Trial trial, Try(request, NameOf(generator, parameters, chunks),
                             *std::move(schedule), costs->second));
        trials.push_back(std::move(trial));
      }
    }
  }
  return trials;
}

// List schedules for one placement, from the orders of fixed ones.
class Improver {
 public:
  explicit Improver(const AutoRequest& request) : request_(request) {}

  // `fixed` are of one placement, each stage on one rank, the best first. The
  // best list schedule, if there is any that fits.
  std::optional<Trial> Improve(const std::vector<const Trial*>& fixed) {
    best_.reset();
    const Trial& first = *fixed[0];
    Consider("the longest way", first,
             WayToTheEnd(first.schedule, first.costs));
    for (size_t i = 0; i < std::min(fixed.size(), kStarts); ++i) {
      const Trial& from = *fixed[i];
      Consider(from.candidate.name, from,
               StartTimes(from.schedule, from.costs, from.timeline));
      Consider(from.candidate.name, from,
               LatestStarts(from.schedule, from.costs, from.timeline));
    }
    for (int round = 0; round < kRounds && best_; ++round) {
      const Trial from = *best_;
      Consider(origin_, from,
               LatestStarts(from.schedule, from.costs, from.timeline));
      Consider(origin_, from,
               StartTimes(from.schedule, from.costs, from.timeline));
      if (best_->candidate.makespan >= from.candidate.makespan) break;
    }
    return std::move(best_);
  }

 private:
  void Consider(const std::string& origin, const Trial& from,
                const ActionPriorities& priorities) {
    for (const bool split : {true, false}) {
      for (const double patience : kPatience) {
        absl::StatusOr<Schedule> schedule =
            ListSchedule(from.schedule, from.costs, priorities,
                         {.split_backward = split,
                          .patience = patience,
                          .cap = request_.cap});
        if (!schedule.ok()) return;  // the cap is too small for the placement
        schedule->name = "auto";
        absl::StatusOr<Trial> trial =
            Try(request_, absl::StrCat("auto from ", origin),
                *std::move(schedule), from.costs);
        if (!trial.ok() || !trial->candidate.fits) continue;
        if (best_ && !IsBetter(*trial, *best_)) continue;
        best_ = *std::move(trial);
        origin_ = origin;
      }
    }
  }

  const AutoRequest& request_;
  std::optional<Trial> best_;
  std::string origin_;
};

bool EachStageOnOneRank(const Placement& placement) {
  return std::all_of(placement.begin(), placement.end(),
                     [](const auto& ranks) { return ranks.size() == 1; });
}

absl::Status NothingFits(const std::vector<Trial>& trials) {
  if (trials.empty()) {
    return absl::InvalidArgumentError(
        "no schedule of the registry takes these numbers of ranks, chunks and "
        "microbatches");
  }
  const auto least = std::min_element(
      trials.begin(), trials.end(), [](const Trial& a, const Trial& b) {
        return std::pair(a.peak_bytes, a.peak_in_flight) <
               std::pair(b.peak_bytes, b.peak_in_flight);
      });
  return absl::ResourceExhaustedError(absl::StrCat(
      "no schedule fits under the memory cap; the thriftiest fixed one, ",
      least->candidate.name, ", needs ", least->peak_bytes, " bytes and ",
      least->peak_in_flight, " microbatches in flight on one rank"));
}

}  // namespace

absl::StatusOr<AutoChoice> AutoSchedule(const AutoRequest& request) {
  if (request.num_ranks < 1 || request.num_microbatches < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(request.num_ranks, " ranks and ", request.num_microbatches,
                     " microbatches, want at least 1 of each"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(std::vector<Trial> trials, TryFixed(request));
  std::stable_sort(trials.begin(), trials.end(), IsBetter);
  std::map<Placement, std::vector<const Trial*>> by_placement;
  for (const Trial& trial : trials) {
    if (EachStageOnOneRank(trial.schedule.placement)) {
      by_placement[trial.schedule.placement].push_back(&trial);
    }
  }
  std::vector<Trial> own;
  for (const auto& [placement, fixed] : by_placement) {
    if (std::optional<Trial> trial = Improver(request).Improve(fixed)) {
      own.push_back(*std::move(trial));
    }
  }
  for (Trial& trial : own) trials.push_back(std::move(trial));
  // A fixed schedule goes before one of ours that is no better.
  std::stable_sort(trials.begin(), trials.end(), IsBetter);
  if (trials.empty() || !trials[0].candidate.fits) return NothingFits(trials);
  AutoChoice choice;
  choice.makespan = trials[0].candidate.makespan;
  for (const Trial& trial : trials)
    choice.candidates.push_back(trial.candidate);
  choice.schedule = std::move(trials[0].schedule);
  return choice;
}

}  // namespace penstock
