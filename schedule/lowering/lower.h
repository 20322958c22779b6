#ifndef PENSTOCK_SCHEDULE_LOWERING_LOWER_H_
#define PENSTOCK_SCHEDULE_LOWERING_LOWER_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "schedule/generators/generator.h"
#include "schedule/ir/action.h"
#include "schedule/ir/schedule.h"
#include "schedule/verifier/memory_bound.h"

namespace penstock {

struct ScheduleRequest {
  // A name of the registry of generators, and its parameters.
  std::string generator;
  std::map<std::string, std::string> parameters;
  // Of one pipeline.
  int num_ranks = 0;
  // 0: as many as the generator wants for so many ranks.
  int num_stages = 0;
  int num_microbatches = 0;
  // Of the model's partition, between stages; every stage index < num_stages.
  std::vector<Edge> edges;
  // "never", "except_last", "always" or stages ("0,2"); insert_recompute.h.
  // Not with a generator's own parameter for it.
  std::string recompute = "never";
  // Ranks that would hold more make the request fail.
  MemoryLimits memory;
  // As GeneratorRequest has them.
  std::vector<int> replicas;
  RankOrder rank_order = RankOrder::kPipelineMajor;
};

// The schedule as a stage server runs it: generated, with the edges attached,
// recompute, reductions, updates, communication and versions inserted, and
// verified before and after. Any update policy. Pure.
//   INVALID_ARGUMENT     from the generator (unknown name or parameter,
//                        counts), an edge that the schedule cannot serve, or a
//                        recompute policy that is none.
//   RESOURCE_EXHAUSTED   it does not fit `memory`; tells rank, place and by
//                        how much.
//   INTERNAL             the result does not verify; carries the violations.
absl::StatusOr<Schedule> MakeSchedule(const ScheduleRequest& request);

// The same, of schedules that flush.
//   INVALID_ARGUMENT  also a schedule that does not.
using FlushScheduleRequest = ScheduleRequest;
absl::StatusOr<Schedule> MakeFlushSchedule(const FlushScheduleRequest& request);

// All lowering passes on a schedule of compute actions, wherever it is from,
// edges attached; not verified. Pure; linear.
//   INVALID_ARGUMENT  of a pass, see its header.
absl::StatusOr<Schedule> Lower(Schedule schedule,
                               const std::string& recompute = "never");

// One rank's list of MakeSchedule(request), without the other ranks' lists in
// memory if the generator can do without them, and checked as far as one rank
// can tell. For schedules that flush and whose stages are each on one rank.
//   INVALID_ARGUMENT  as above; a stage on several ranks; a rank that does not
//                     exist.
absl::StatusOr<std::vector<Action>> MakeRankList(const ScheduleRequest& request,
                                                 RankId rank);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_LOWERING_LOWER_H_
