#ifndef PENSTOCK_SCHEDULE_GENERATORS_GENERATOR_H_
#define PENSTOCK_SCHEDULE_GENERATORS_GENERATOR_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "schedule/ir/action.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Which ranks the replicas of a pipeline are: one whole pipeline after the
// other, or the replicas of each of its ranks side by side.
enum class RankOrder { kPipelineMajor, kDataMajor };

struct GeneratorRequest {
  // Of one pipeline.
  int num_ranks = 0;
  // 0: as many as the generator wants for so many ranks (see `CountStages`).
  int num_stages = 0;
  // Of a step.
  int num_microbatches = 0;
  // Of the generator; those left out have their defaults.
  std::map<std::string, std::string> parameters;
  // How many ranks hold what one rank of the pipeline holds and share its
  // microbatches, b going to replica b mod R: one number for all of its ranks,
  // or one for each. Empty: 1.
  std::vector<int> replicas;
  // Where one number is for all; else replicas are side by side.
  RankOrder rank_order = RankOrder::kPipelineMajor;
};

// Both ends belong to it.
struct IntegerRange {
  int min = 0;
  int max = 0;
};

// Whether a parameter is one integer or several, joined with commas.
enum class ListFor { kNothing, kRanks, kStages };

// A choice that a generator offers. A value is one of `values` or, where there
// is a `range`, an integer in it (several for a list).
struct ParameterInfo {
  std::string name;
  // One line, for people.
  std::string description;
  // Words that it may have.
  std::vector<std::string> values;
  std::optional<IntegerRange> range;
  // What there is an integer of `range` for each of, if it is a list.
  ListFor list = ListFor::kNothing;
  std::string default_value;
};

// How many stages a generator puts on a rank (chunks, v in the literature).
struct ChunkRange {
  int min = 1;
  int max = 1;
  int default_value = 1;
};

// A published schedule: what it is, and the functions that make it.
//
// The functions get a request that has been checked against this description
// and completed: `num_stages` is set, every parameter has a value that its
// `ParameterInfo` allows. All are pure.
struct GeneratorInfo {
  std::string name;
  // Where it comes from: authors, title, year, section.
  std::string source;
  // What it gives for what, in one line.
  std::string trade;
  // When weights change (design: weight versions), as the file format says it:
  // "flush", "stash", "vertical", "double_buffer", "grouped".
  std::string update_policy;
  // Unset: stages need not be a multiple of the ranks, and `generate` checks
  // them; those left open are as many as a list for stages has integers, or as
  // the ranks.
  std::optional<ChunkRange> chunks = ChunkRange();
  std::vector<ParameterInfo> parameters;
  // The whole schedule, its lists holding compute actions (F and backwards)
  // only: no edges, no communication, no update.
  //   INVALID_ARGUMENT  there is none for this request; names the nearest
  //                     requests that there are one for.
  absl::StatusOr<Schedule> (*generate)(const GeneratorRequest&) = nullptr;
  // One rank's list of that schedule, in memory and time that grow with this
  // list alone. Null where a list follows only from all the others'.
  absl::StatusOr<std::vector<Action>> (*generate_rank)(const GeneratorRequest&,
                                                       int rank) = nullptr;
  // The whole schedule with `replicas`, one number for each rank, not all of
  // them 1, the replicas of a rank side by side. Of a flush only asked for
  // numbers that are not all the same, and if null, each replica runs its part
  // of the plain list; of the others null where there can be no replicas.
  absl::StatusOr<Schedule> (*generate_replicated)(const GeneratorRequest&) =
      nullptr;
};

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_GENERATOR_H_
