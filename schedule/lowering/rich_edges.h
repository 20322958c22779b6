#ifndef PENSTOCK_SCHEDULE_LOWERING_RICH_EDGES_H_
#define PENSTOCK_SCHEDULE_LOWERING_RICH_EDGES_H_

#include <vector>

#include "schedule/ir/schedule.h"

namespace penstock {

// For tests: a chain over the schedule's stages whose last stage also takes
// from the first and, where the schedule can carry it, shares a weight with it.
std::vector<Edge> RichEdges(const Schedule& schedule);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_LOWERING_RICH_EDGES_H_
