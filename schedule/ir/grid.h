#ifndef PENSTOCK_SCHEDULE_IR_GRID_H_
#define PENSTOCK_SCHEDULE_IR_GRID_H_

#include <optional>
#include <string>

#include "base/ids.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// A cell to point at.
struct GridMark {
  RankId rank;
  // Index in the rank's list.
  int position = 0;
};

// The schedule as a table, one column a rank, one row a step in which every
// compute action takes one step and everything else none:
//
//   step  r0    r1    r2    r3
//      0  0F0   .     .     .
//      1  0F1   1F0   .     .
//
// Only compute actions are shown, a pair as one cell, "0F4&3B2". A continuous
// schedule is drawn with its period once. A schedule without communication is
// drawn along its edges, so one without edges has no order between its ranks.
// This is the format of golden files. Pure.
std::string PrintGrid(const Schedule& schedule);

// The same with every action shown and taking one step, the marked one as
// ">0RB0[h0<r1]<", and rows further than ten from it left out. Actions that can
// never run stand below the others, in rows whose step is "-". More than nine
// ranks: those nearest to the mark.
std::string PrintMarkedGrid(const Schedule& schedule, const GridMark& mark);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_IR_GRID_H_
