#ifndef PENSTOCK_CLIENT_SCHEDULES_SCHEDULE_SOURCE_H_
#define PENSTOCK_CLIENT_SCHEDULES_SCHEDULE_SOURCE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "schedule/generators/generator.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// A schedule that a person asked for, ready to be looked at: compute actions
// and, of a file, whatever else it holds.
struct SourcedSchedule {
  Schedule schedule;
  // Whether it says nothing about edges, so that its stages were taken for a
  // chain, each feeding the next.
  bool chain_assumed = false;
  // Of a file, what stands in it; empty for a generator, and for a file whose
  // schedule was lowered and has other places.
  std::string text;
};

// How much of the lowering a schedule is to go through.
struct LoweringChoice {
  // As in schedule/lowering/insert_recompute.h.
  std::string recompute = "never";
  // Reductions, updates, communication and versions too, as stage servers run
  // it; else of all this only recompute.
  bool whole = false;
};

//   INVALID_ARGUMENT  of a pass: a recompute policy that is none; what it would
//                     insert is there already.
absl::StatusOr<Schedule> LowerAsChosen(Schedule schedule,
                                       const LoweringChoice& lowering);

// The schedule `source`: a generator's name, to which `request` belongs, or a
// schedule file, which says everything itself. A word with a '.' or a '/' is a
// path, relative to `working_folder`.
//   INVALID_ARGUMENT  from the generator, the parser or the lowering (of a
//                     file, with its name before it); no such name or file,
//                     with a suggestion.
absl::StatusOr<SourcedSchedule> LoadSchedule(const std::string& source,
                                             const GeneratorRequest& request,
                                             const LoweringChoice& lowering,
                                             const std::string& working_folder);

// Whether `source` is a path by its looks.
bool LooksLikePath(absl::string_view source);

// Whether it holds what lowering inserts: communication, G, N or U.
bool IsLowered(const Schedule& schedule);

// "name=value" pairs as a generator's parameters.
//   INVALID_ARGUMENT  one without a '=' or a name, or one name twice.
absl::StatusOr<std::map<std::string, std::string>> ParseParameters(
    const std::vector<std::string>& pairs);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_SCHEDULES_SCHEDULE_SOURCE_H_
