#ifndef PENSTOCK_SCHEDULE_GENERATORS_REGISTRY_H_
#define PENSTOCK_SCHEDULE_GENERATORS_REGISTRY_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "schedule/generators/generator.h"
#include "schedule/ir/action.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Every schedule that can be asked for by name, in the order to show them.
const std::vector<GeneratorInfo>& Generators();

// INVALID_ARGUMENT, with a suggestion and the names there are, if none is
// called `name`. The pointer lives as long as the program.
absl::StatusOr<const GeneratorInfo*> FindGenerator(absl::string_view name);

// How many stages the schedule of this request has: what a model is cut into
// before the schedule can run it. `request.num_stages`, if that is not 0.
// Errors as of `Generate`.
absl::StatusOr<int> CountStages(absl::string_view name,
                                const GeneratorRequest& request);

// The inverse, for a request whose `num_ranks` is 0: how many ranks the
// schedule of `request.num_stages` stages runs on, the most where there are
// several.
//   INVALID_ARGUMENT  as of `Generate`; no number of ranks has so many stages.
absl::StatusOr<int> CountRanks(absl::string_view name,
                               GeneratorRequest request);

// The schedule called `name`: its placement and compute actions. Sound once
// lowered, for every request that it accepts; fewer microbatches than ranks,
// one microbatch and one rank are fine. Pure.
//
// With as many replicas of each rank these are whole pipelines, each of which
// runs the schedule of its share of the microbatches (replicate.h); the shares
// need not be equal. Otherwise it is the generator's own form of the schedule
// with replicas or, where it has none, each replica runs its part of the list
// that one rank would run.
//
//   INVALID_ARGUMENT  unknown name, parameter or value (with a suggestion); a
//                     count below 1; a schedule of more than 10^8 actions;
//                     counts that the schedule does not run on, with the
//                     nearest that it does; replicas that are neither one
//                     number nor one for each rank, more than microbatches, or
//                     of a schedule that does not flush.
absl::StatusOr<Schedule> Generate(absl::string_view name,
                                  const GeneratorRequest& request);

// The list of one rank in that schedule, without replicas: equal to
// `Generate(...)->ranks[rank]`, but for most schedules made without the other
// ranks' lists, so that a big pipeline can be planned rank by rank. Of a
// continuous schedule, its prologue.
//   INVALID_ARGUMENT  as above, a rank that the schedule does not have, or
//                     replicas.
absl::StatusOr<std::vector<Action>> GenerateRank(
    absl::string_view name, const GeneratorRequest& request, RankId rank);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_REGISTRY_H_
