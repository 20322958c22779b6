#ifndef PENSTOCK_SCHEDULE_GENERATORS_FACTS_H_
#define PENSTOCK_SCHEDULE_GENERATORS_FACTS_H_

#include <string>

#include "schedule/ir/schedule.h"
#include "schedule/simulator/cost_model.h"

namespace penstock {

// For tests of generators: what a flush schedule is like when its stages form a
// chain.

// One rank's list as it is written: "0F0 0F1 0B0 0B1".
std::string ListText(const Schedule& schedule, int rank);

// "" if every stage has one F of every microbatch, then either one B (or its
// two halves), or one I and one W, all on one rank that holds the stage, and
// the lists run to their end; else what is wrong.
std::string Flaw(Schedule schedule);

struct Facts {
  double makespan = 0;
  // Idle / total.
  double sync_bubble = 0;
  double span_bubble = 0;
  // Microbatches in flight, of full stages: the largest and smallest rank's.
  double peak = 0;
  double least_peak = 0;
};

// By simulation. Fails the test, and gives zeros, if the lists do not end.
Facts FactsOf(Schedule schedule, const UniformTimes& times = {});

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_FACTS_H_
