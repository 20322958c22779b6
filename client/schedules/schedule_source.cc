#include "client/schedules/schedule_source.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/text_format.h"
#include "schedule/lowering/insert_recompute.h"
#include "schedule/lowering/lower.h"

namespace penstock {
namespace {

// Of a file that the command line names, everything that is wrong is the
// command line's fault, but for what the user may not read.
absl::Status AsWrongArgument(const absl::Status& status) {
  if (status.ok() || absl::IsPermissionDenied(status)) return status;
  return absl::InvalidArgumentError(status.message());
}

}  // namespace

bool LooksLikePath(absl::string_view source) {
  return absl::StrContains(source, '/') || absl::StrContains(source, '.');
}

bool IsLowered(const Schedule& schedule) {
  for (const RankLists* part :
       {&schedule.ranks, &schedule.period, &schedule.epilogue}) {
    for (const std::vector<Action>& actions : *part) {
      for (const Action& action : actions) {
        if (!IsCompute(action.op)) return true;
      }
    }
  }
  return false;
}

absl::StatusOr<Schedule> LowerAsChosen(Schedule schedule,
                                       const LoweringChoice& lowering) {
  if (lowering.whole) return Lower(std::move(schedule), lowering.recompute);
  PENSTOCK_ASSIGN_OR_RETURN(const RecomputePolicy policy,
                            ParseRecomputePolicy(lowering.recompute));
  return InsertRecompute(std::move(schedule), policy);
}

absl::StatusOr<SourcedSchedule> LoadSchedule(
    const std::string& source, const GeneratorRequest& request,
    const LoweringChoice& lowering, const std::string& working_folder) {
  SourcedSchedule sourced;
  if (LooksLikePath(source)) {
    absl::StatusOr<std::string> text =
        ReadFile(absl::StartsWith(source, "/")
                     ? source
                     : absl::StrCat(working_folder, "/", source));
    if (!text.ok()) return AsWrongArgument(text.status());
    absl::StatusOr<Schedule> schedule = ParseSchedule(*text);
    if (!schedule.ok()) return WithContext(schedule.status(), source);
    sourced.text = *std::move(text);
    sourced.schedule = *std::move(schedule);
    sourced.chain_assumed = sourced.schedule.edges.empty() &&
                            sourced.schedule.num_stages() > 1 &&
                            !IsLowered(sourced.schedule);
  } else {
    const absl::StatusOr<const GeneratorInfo*> generator =
        FindGenerator(source);
    if (!generator.ok()) {
      return WithMessage(
          generator.status(),
          absl::StrCat(generator.status().message(),
                       "; a file is named with its path, as ./", source));
    }
    PENSTOCK_ASSIGN_OR_RETURN(sourced.schedule, Generate(source, request));
    sourced.chain_assumed = true;
  }
  if (sourced.chain_assumed) {
    sourced.schedule.edges = ChainEdges(sourced.schedule.num_stages());
  }
  const Schedule& as_written = sourced.schedule;
  absl::StatusOr<Schedule> lowered = LowerAsChosen(as_written, lowering);
  if (!lowered.ok()) return WithContext(lowered.status(), source);
  if (*lowered != as_written) sourced.text.clear();
  sourced.schedule = *std::move(lowered);
  return sourced;
}

absl::StatusOr<std::map<std::string, std::string>> ParseParameters(
    const std::vector<std::string>& pairs) {
  std::map<std::string, std::string> parameters;
  for (const std::string& pair : pairs) {
    const std::pair<std::string, std::string> split =
        absl::StrSplit(pair, absl::MaxSplits('=', 1));
    if (split.first.empty() || !absl::StrContains(pair, '=')) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--param wants name=value, as warmup=pb, got \"", pair, "\""));
    }
    if (!parameters.insert(split).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("--param gives ", split.first, " twice"));
    }
  }
  return parameters;
}

}  // namespace penstock
