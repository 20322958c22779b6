#include "client/schedules/comparison.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "schedule/generators/registry.h"
#include "schedule/generators/request.h"
#include "schedule/ir/chain.h"
#include "schedule/planner/auto_schedule.h"

namespace penstock {
namespace {

constexpr char kAuto[] = "auto";

bool HasParameter(const GeneratorInfo& info, const std::string& name) {
  if (info.chunks.has_value() && info.chunks->min < info.chunks->max &&
      ChunksParameter(*info.chunks).name == name) {
    return true;
  }
  return std::any_of(
      info.parameters.begin(), info.parameters.end(),
      [&](const ParameterInfo& parameter) { return parameter.name == name; });
}

// Of several schedules, each takes the parameters that it has; a single one is
// asked with all, so that its own error tells of a misspelt one.
std::map<std::string, std::string> ParametersFor(
    const std::string& source, const ComparisonRequest& request) {
  if (request.sources.size() == 1) return request.generator.parameters;
  const absl::StatusOr<const GeneratorInfo*> info = FindGenerator(source);
  std::map<std::string, std::string> taken;
  if (!info.ok()) return taken;
  for (const auto& [name, value] : request.generator.parameters) {
    if (HasParameter(**info, name)) taken.emplace(name, value);
  }
  return taken;
}

absl::Status CheckParametersAreTaken(const ComparisonRequest& request) {
  if (request.sources.size() == 1) return absl::OkStatus();
  for (const auto& [name, value] : request.generator.parameters) {
    bool taken = false;
    for (const std::string& source : request.sources) {
      const absl::StatusOr<const GeneratorInfo*> info = FindGenerator(source);
      taken |= info.ok() && HasParameter(**info, name);
    }
    if (!taken) {
      return absl::InvalidArgumentError(absl::StrCat(
          "none of these schedules has a parameter \"", name, "\""));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Schedule> MakeAuto(const ComparisonRequest& request) {
  AutoRequest wanted;
  wanted.num_ranks = request.generator.num_ranks;
  wanted.num_microbatches = request.generator.num_microbatches;
  wanted.edges = ChainEdges;
  wanted.costs = [&request](const Schedule& schedule) {
    return CostsOf(request.costs, schedule);
  };
  wanted.cap = request.cap;
  PENSTOCK_ASSIGN_OR_RETURN(AutoChoice choice, AutoSchedule(wanted));
  return LowerAsChosen(std::move(choice.schedule), request.lowering);
}

absl::Status Run(const std::string& source, const ComparisonRequest& request,
                 ComparedSchedule* compared) {
  SourcedSchedule sourced;
  if (source == kAuto) {
    PENSTOCK_ASSIGN_OR_RETURN(sourced.schedule, MakeAuto(request));
    compared->notes.push_back(absl::StrCat("chose ", sourced.schedule.name));
  } else {
    GeneratorRequest generator = request.generator;
    generator.parameters = ParametersFor(source, request);
    PENSTOCK_ASSIGN_OR_RETURN(sourced,
                              LoadSchedule(source, generator, request.lowering,
                                           request.working_folder));
    if (LooksLikePath(source) && sourced.chain_assumed) {
      compared->notes.push_back(
          "the file has no edges: its stages are taken for a chain");
    }
  }
  const Schedule& schedule = sourced.schedule;
  compared->num_microbatches = schedule.num_microbatches;
  compared->num_stages = schedule.num_stages();
  compared->is_continuous = schedule.is_continuous();
  PENSTOCK_ASSIGN_OR_RETURN(const CostModel costs,
                            CostsOf(request.costs, schedule));
  PENSTOCK_ASSIGN_OR_RETURN(
      ContinuousReport run,
      SimulateContinuous(schedule, costs, request.periods,
                         {.record_transfers = request.record_transfers}));
  compared->run = std::move(run);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<ComparedSchedule>> Compare(
    const ComparisonRequest& request) {
  PENSTOCK_RETURN_IF_ERROR(CheckParametersAreTaken(request));
  std::vector<ComparedSchedule> all;
  for (const std::string& source : request.sources) {
    ComparedSchedule compared;
    compared.name = source;
    compared.status = Run(source, request, &compared);
    if (!compared.status.ok() && !request.keep_failures) {
      return compared.status;
    }
    all.push_back(std::move(compared));
  }
  return all;
}

}  // namespace penstock
