#include "tests/bench/chain_program.h"

#include "base/status_macros.h"
#include "schedule/generators/registry.h"
#include "schedule/ir/chain.h"
#include "schedule/lowering/lower.h"

namespace penstock {

absl::StatusOr<Schedule> ChainSchedule(const std::string& generator,
                                       int num_ranks, int num_microbatches) {
  FlushScheduleRequest request;
  request.generator = generator;
  request.num_ranks = num_ranks;
  request.num_microbatches = num_microbatches;
  PENSTOCK_ASSIGN_OR_RETURN(
      request.num_stages,
      CountStages(generator, {num_ranks, 0, num_microbatches, {}}));
  request.edges = ChainEdges(request.num_stages);
  return MakeFlushSchedule(request);
}

RankProgram ChainProgram(const Schedule& schedule, RankId rank) {
  RankProgram program;
  program.rank = rank;
  program.schedule = schedule;
  program.owned_layers.resize(schedule.num_ranks());
  program.loss_places.resize(schedule.num_ranks());
  program.receive_lookahead = 2;
  program.step_timeout = absl::Seconds(30);
  return program;
}

}  // namespace penstock
