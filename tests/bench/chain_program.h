#ifndef PENSTOCK_TESTS_BENCH_CHAIN_PROGRAM_H_
#define PENSTOCK_TESTS_BENCH_CHAIN_PROGRAM_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "schedule/ir/schedule.h"
#include "stage_server/engine/interpreter.h"

namespace penstock {

// The generator's schedule as stage servers run it, for a model whose stages
// form a chain.
absl::StatusOr<Schedule> ChainSchedule(const std::string& generator,
                                       int num_ranks, int num_microbatches);

// What one rank of it runs where no layer has parameters.
RankProgram ChainProgram(const Schedule& schedule, RankId rank);

}  // namespace penstock

#endif  // PENSTOCK_TESTS_BENCH_CHAIN_PROGRAM_H_
